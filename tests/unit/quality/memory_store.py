"""An object store in memory that honours the port `ObjectStore`, for tests that need no service."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO

from include.errors import AlreadyThere, ObjectGone
from include.files.file import FileStamp, ObjectRef

_NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


class MemoryStore:
    """Objects by (bucket, key). `read_size` bounds what one read of a stream gives, as a network does."""

    def __init__(self, read_size: int | None = None) -> None:
        self.held: dict[tuple[str, str], bytes] = {}
        self._read_size = read_size

    def objects(self, bucket: str, prefix: str) -> Iterator[FileStamp]:
        for (where, key), body in sorted(self.held.items()):
            if where == bucket and key.startswith(prefix):
                yield FileStamp(bucket, key, _etag(body), len(body), _NOW)

    def folders(self, bucket: str, prefix: str) -> tuple[list[str], list[FileStamp]]:
        stamps = [*self.objects(bucket, prefix)]
        below = [stamp for stamp in stamps if "/" in stamp.key[len(prefix) :]]
        names = sorted({prefix + stamp.key[len(prefix) :].split("/")[0] + "/" for stamp in below})
        return names, [stamp for stamp in stamps if stamp not in below]

    def head(self, bucket: str, key: str) -> FileStamp | None:
        body = self.held.get((bucket, key))
        return None if body is None else FileStamp(bucket, key, _etag(body), len(body), _NOW)

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:
        return _Trickle(self.read_bytes(bucket, key, etag), self._read_size)

    def read_bytes(self, bucket: str, key: str, etag: str | None = None) -> bytes:
        body = self.held.get((bucket, key))
        if body is None:
            raise ObjectGone(bucket, key, etag or "", "it was deleted")
        if etag not in (None, _etag(body)):
            raise ObjectGone(bucket, key, etag or "", "it was overwritten")
        return body

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:
        if if_absent and (bucket, key) in self.held:
            raise AlreadyThere(bucket, key)
        content = body if isinstance(body, bytes) else body.read()
        self.held[bucket, key] = content
        return ObjectRef(key, len(content), _etag(content), rows)

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, etag: str) -> ObjectRef:
        return self.put(to_bucket, to_key, self.read_bytes(bucket, key, etag))

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:
        body = self.held.get((bucket, key))
        if body is None or etag not in (None, _etag(body)):
            return False
        del self.held[bucket, key]
        return True


class _Trickle(io.BytesIO):
    def __init__(self, body: bytes, read_size: int | None) -> None:
        super().__init__(body)
        self._read_size = read_size

    def read(self, size: int | None = -1, /) -> bytes:
        asked = -1 if size is None else size
        return super().read(asked if self._read_size is None else min(asked, self._read_size) if asked >= 0 else self._read_size)


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
