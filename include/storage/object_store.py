"""What is asked of an S3 service, whichever it is."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from include.files.file import FileRecord, FileStamp, LedgerFile, ObjectRef


class ObjectStore(Protocol):
    """An S3 bucket service. Its errors are `EnvironmentFailure`, of one object `ObjectRefused`; a missing object is `ObjectGone`."""

    def objects(self, bucket: str, prefix: str) -> Iterator[FileStamp]: ...
    def folders(self, bucket: str, prefix: str) -> tuple[list[str], list[FileStamp]]: ...
    def head(self, bucket: str, key: str) -> FileStamp | None: ...
    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO: ...
    def read_bytes(self, bucket: str, key: str, etag: str | None = None) -> bytes: ...
    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef: ...
    def replace(self, bucket: str, key: str, body: bytes, *, etag: str) -> ObjectRef: ...
    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, etag: str) -> ObjectRef: ...
    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool: ...


def as_it_lies(store: ObjectStore, bucket: str, kept: FileRecord) -> LedgerFile | None:
    """The file with the object that holds its bytes now; None where none does."""
    there = store.head(*kept.place(bucket)) if kept.has_bytes else None
    if there is None or (kept.location == "landing" and there.etag != kept.file.etag):
        return None
    return dataclasses.replace(kept.file, lies_at=there)


def digest_of(store: ObjectStore, bucket: str, key: str, etag: str | None = None, algorithm: str = "sha256") -> str:
    """The hash of an object's bytes, in hexadecimal.

    Raises:
        ObjectGone: as `ObjectStore.read`.
    """
    with store.read(bucket, key, etag) as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()  # type: ignore[arg-type]
