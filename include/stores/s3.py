"""S3 behind the `ObjectStore` port. Takes a boto3 client, never opens one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from include.ingestion.errors import AlreadyThere, EnvironmentFailure, ObjectGone
from include.ingestion.file import FileStamp, ObjectRef

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

_MULTIPART = TransferConfig(multipart_threshold=16 * 2**20, multipart_chunksize=16 * 2**20, max_concurrency=2)
_GONE = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {"412", "PreconditionFailed"}
_TAKEN = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_REREADS = 3
_NEXT_STEP = "see `sluice status`, docs/runbooks/services.md and docs/runbooks/disk-full.md"
_ONE_COPY = 5 * 2**30  # S3 copies no more in one request


class S3Store:
    """An S3 service as the core sees it. Every refusal of the service is one of the core's own errors."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def objects(self, bucket: str, prefix: str) -> Iterator[FileStamp]:
        """Every object below a prefix, page by page, in the store's order."""
        with _translated(bucket, prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                yield from _stamps(bucket, page)

    def folders(self, bucket: str, prefix: str) -> tuple[list[str], list[FileStamp]]:
        """The folders directly below a prefix (each ending with a slash), and the objects that lie beside them."""
        folders: list[str] = []
        objects: list[FileStamp] = []
        with _translated(bucket, prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
                folders.extend(entry["Prefix"] for entry in page.get("CommonPrefixes", ()))
                objects.extend(_stamps(bucket, page))
        return folders, objects

    def head(self, bucket: str, key: str) -> FileStamp | None:
        """The object under a key as it is now, or None."""
        try:
            with _translated(bucket, key):
                found = self._client.head_object(Bucket=bucket, Key=key)
        except ObjectGone:
            return None
        return FileStamp(bucket, key, _bare(found["ETag"]), found["ContentLength"], found["LastModified"])

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:
        """A stream of an object's bytes, pinned to one content; a broken connection is taken up where it broke.

        Raises:
            ObjectGone: the object is not there or, where an etag is given, has another content by now.
            EnvironmentFailure: S3 does not answer or refuses.
        """
        return io.BufferedReader(_PinnedReader(self._client, bucket, key, etag), 1 << 20)

    def read_bytes(self, bucket: str, key: str, etag: str | None = None) -> bytes:
        with self.read(bucket, key, etag) as stream:
            return stream.read()

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:
        """Write an object; a stream in parts, so that memory stays bounded.

        Raises:
            AlreadyThere: `if_absent` and the key is taken; a lost answer to our own write looks the same, so compare bytes.
        """
        if not isinstance(body, bytes):
            return self._put_stream(bucket, key, body, rows)
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {}
        try:
            with _translated(bucket, key):
                answer = self._client.put_object(Bucket=bucket, Key=key, Body=body, **condition)
        except ObjectGone as gone:
            if if_absent:
                raise AlreadyThere(bucket, key) from gone
            raise
        return ObjectRef(key, len(body), _bare(answer["ETag"]), rows)

    def replace(self, bucket: str, key: str, body: bytes, *, etag: str) -> ObjectRef:
        """Write over one content of an object, and over no other.

        Raises:
            ObjectGone: the object is not there with that etag; a lost answer to our own write looks the same.
        """
        with _translated(bucket, key, etag):
            answer = self._client.put_object(Bucket=bucket, Key=key, Body=body, IfMatch=_quoted(etag))
        return ObjectRef(key, len(body), _bare(answer["ETag"]))

    def _put_stream(self, bucket: str, key: str, body: BinaryIO, rows: int) -> ObjectRef:
        with _translated(bucket, key):
            self._client.upload_fileobj(body, bucket, key, Config=_MULTIPART)
            written = self._client.head_object(Bucket=bucket, Key=key)
        return ObjectRef(key, written["ContentLength"], _bare(written["ETag"]), rows)

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, etag: str) -> ObjectRef:
        """Copy one content of an object inside the store.

        Raises:
            ObjectGone: the source is not there with that etag.
        """
        source: CopySourceTypeDef = {"Bucket": bucket, "Key": key}
        there = self.head(bucket, key)
        if there is None or there.etag != etag:
            raise ObjectGone(bucket, key, etag, "gone" if there is None else "changed")
        with _translated(bucket, key, etag):
            if there.size <= _ONE_COPY:
                self._client.copy_object(Bucket=to_bucket, Key=to_key, CopySource=source, CopySourceIfMatch=_quoted(etag))
            else:
                self._client.copy(source, to_bucket, to_key, Config=_MULTIPART)
            written = self._client.head_object(Bucket=to_bucket, Key=to_key)
        return ObjectRef(to_key, written["ContentLength"], _bare(written["ETag"]))

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:
        """Delete an object, or only that content of it; False where the object has another content, which stays."""
        if etag is not None:
            there = self.head(bucket, key)
            if there is None:
                return True
            if there.etag != etag:
                return False
        with _translated(bucket, key):
            self._client.delete_object(Bucket=bucket, Key=key)
        return True


class _PinnedReader(io.RawIOBase):
    """Reads one content of one object; after a broken connection it goes on at the next byte, under the same etag."""

    def __init__(self, client: S3Client, bucket: str, key: str, etag: str | None) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._etag = etag
        self._at = 0
        self._body = self._open()

    def _open(self) -> Any:
        wanted: dict[str, Any] = {"IfMatch": _quoted(self._etag)} if self._etag else {}
        if self._at:
            wanted["Range"] = f"bytes={self._at}-"
        with _translated(self._bucket, self._key, self._etag):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key, **wanted)
        self._etag = self._etag or _bare(answer["ETag"])
        self._size = self._at + answer["ContentLength"]
        return answer["Body"]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        for reread in range(_REREADS + 1):
            try:
                piece = self._body.read(len(buffer))
                if piece:
                    break
            except (HTTPClientError, BotoCoreError, OSError) as broken:
                if reread == _REREADS:
                    raise EnvironmentFailure(
                        "S3", f"reading s3://{self._bucket}/{self._key} broke off at byte {self._at}: {broken}"
                    ) from broken
            self._body.close()
            self._body = self._open()
        else:
            raise EnvironmentFailure("S3", f"reading s3://{self._bucket}/{self._key} ended at byte {self._at} of {self._size}")
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed and hasattr(self, "_body"):
            self._body.close()
        super().close()


def _stamps(bucket: str, page: Any) -> Iterator[FileStamp]:
    """The finished objects of one page; S3Proxy also lists uploads in progress, which have no etag yet."""
    for entry in page.get("Contents", ()):
        if "ETag" in entry:
            yield FileStamp(bucket, entry["Key"], _bare(entry["ETag"]), entry["Size"], entry["LastModified"])


def _quoted(etag: str) -> str:
    """An etag as HTTP wants it in a condition."""
    return f'"{etag}"'


def _bare(etag: str) -> str:
    return etag.strip('"')


@contextmanager
def _translated(bucket: str, key: str, etag: str | None = None) -> Iterator[None]:
    """Turn botocore's errors into the core's: gone, changed, or the environment."""
    where = f"s3://{bucket}/{key}"
    try:
        yield
    except ClientError as refused:
        code = str(refused.response.get("Error", {}).get("Code", ""))
        if code in _GONE:
            raise ObjectGone(bucket, key, etag or "-", "gone") from refused
        if code in _CHANGED or code in _TAKEN:
            raise ObjectGone(bucket, key, etag or "-", "changed") from refused
        if code == "NoSuchBucket":
            raise EnvironmentFailure("S3", f"bucket {bucket} does not exist", "create it, or correct the connection sluice_s3") from refused
        message = refused.response.get("Error", {}).get("Message", "")
        if code == "InternalError":
            message += " (a store whose disk is full says the same)"
        raise EnvironmentFailure("S3", f"{refused.operation_name} of {where} refused: {code} {message}", _NEXT_STEP) from refused
    except BotoCoreError as failed:
        raise EnvironmentFailure("S3", f"no answer for {where}: {failed}") from failed
