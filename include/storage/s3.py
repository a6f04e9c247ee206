"""S3 behind the `ObjectStore` port. Takes a boto3 client, never opens one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

from include.errors import AlreadyThere, DeploymentFault, EnvironmentFailure, ObjectGone, ObjectRefused
from include.files.file import FileStamp, ObjectRef

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

_MULTIPART = TransferConfig(multipart_threshold=16 * 2**20, multipart_chunksize=16 * 2**20, max_concurrency=2)
_GONE = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {"412", "PreconditionFailed"}
_TAKEN = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_CONDITION_UNKNOWN = {"NotImplemented", "InvalidRequest", "InvalidArgument", "501", "400"}
_REREADS = 3
_OF_ITS_KEY = {"DisabledException", "InvalidKeyUsageException", "KeyUnavailableException"}
_OF_THE_OBJECT = {"InvalidObjectState", *_OF_ITS_KEY}  # said with 403, and not of who asks
_DENIED = {"403", "AccessDenied", "Forbidden", "AllAccessDisabled"}
_CREDENTIALS = {
    *("401", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId", "InvalidSecurity", "InvalidToken", "NotSignedUp"),
    *("AccountProblem", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException"),
    *("301", "307", "IllegalLocationConstraintException", "PermanentRedirect", "TemporaryRedirect"),
}
_THROTTLED = {"429", "RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"}
_UNAUTHORIZED, _FORBIDDEN, _OF_THE_SERVER = 401, 403, 500
_DOWN = "see `sluice status` and docs/runbooks/stores-down.md"
_DISK = "see `sluice status` and docs/runbooks/disk-full.md"
_CONNECTION = "correct the connection sluice_s3 (its keys, its region, the clock of this machine)"
_ONE_COPY = 5 * 2**30  # S3 copies no more in one request


class S3Store:
    """An S3 service as the core sees it. Every refusal of the service is one of the core's own errors."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._deletes_conditionally = True  # until the store says that it knows no such thing

    def objects(self, bucket: str, prefix: str) -> Iterator[FileStamp]:
        """Every object below a prefix, page by page, in the store's order."""
        with _mapped(bucket, prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                yield from _stamps(bucket, page)

    def folders(self, bucket: str, prefix: str) -> tuple[list[str], list[FileStamp]]:
        """The folders directly below a prefix (each ending with a slash), and the objects that lie beside them."""
        folders: list[str] = []
        objects: list[FileStamp] = []
        with _mapped(bucket, prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
                folders.extend(entry["Prefix"] for entry in page.get("CommonPrefixes", ()))
                objects.extend(_stamps(bucket, page))
        return folders, objects

    def head(self, bucket: str, key: str) -> FileStamp | None:
        """The object under a key as it is now, or None."""
        try:
            with _mapped(bucket, key, reads=True):
                found = self._client.head_object(Bucket=bucket, Key=key)
        except ObjectGone:
            return None
        return FileStamp(bucket, key, _bare(found["ETag"]), found["ContentLength"], found["LastModified"])

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:
        """A stream of an object's bytes, pinned to one content; a broken connection is taken up where it broke.

        Raises:
            ObjectGone: the object is not there or, where an etag is given, has another content by now.
            ObjectRefused: S3 does not give it; whether it gives others is for the caller to ask.
            DeploymentFault: there is no such bucket, or nobody knows the key that requests are signed with.
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
            with _mapped(bucket, key):
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
        with _mapped(bucket, key, etag):
            answer = self._client.put_object(Bucket=bucket, Key=key, Body=body, IfMatch=_quoted(etag))
        return ObjectRef(key, len(body), _bare(answer["ETag"]))

    def _put_stream(self, bucket: str, key: str, body: BinaryIO, rows: int) -> ObjectRef:
        with _mapped(bucket, key):
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
        with _mapped(bucket, key, etag):
            if there.size <= _ONE_COPY:
                self._client.copy_object(Bucket=to_bucket, Key=to_key, CopySource=source, CopySourceIfMatch=_quoted(etag))
            else:
                self._client.copy(source, to_bucket, to_key, Config=_MULTIPART)
            written = self._client.head_object(Bucket=to_bucket, Key=to_key)
        return ObjectRef(to_key, written["ContentLength"], _bare(written["ETag"]))

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:
        """Delete an object, or only that content of it; False where the object has another content, which stays.

        A content is looked for and then deleted on condition (If-Match), so that an upload in between stays. A store that refuses the
        condition, or passes over it, may lose one that comes between the two.
        """
        if etag is None:
            with _mapped(bucket, key):
                self._client.delete_object(Bucket=bucket, Key=key)
            return True
        there = self.head(bucket, key)
        if there is None or there.etag != etag:
            return there is None
        try:
            with _mapped(bucket, key, etag):
                self._delete_content(bucket, key, etag)
        except ObjectGone:
            return self.head(bucket, key) is None
        return True

    def _delete_content(self, bucket: str, key: str, etag: str) -> None:
        if self._deletes_conditionally:
            try:
                self._client.delete_object(Bucket=bucket, Key=key, IfMatch=_quoted(etag))
            except ClientError as refused:
                if refused.response.get("Error", {}).get("Code") not in _CONDITION_UNKNOWN:
                    raise
                self._deletes_conditionally = False
            else:
                return
        self._client.delete_object(Bucket=bucket, Key=key)


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
        with _mapped(self._bucket, self._key, self._etag, reads=True):
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
            except (BotoCoreError, OSError) as broken:
                if reread == _REREADS:
                    raise self._broken_off(f"broke off at byte {self._at}: {broken}") from broken
            self._body.close()
            self._body = self._open()
        else:
            raise self._broken_off(f"ended at byte {self._at} of {self._size}")
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _broken_off(self, how: str) -> ObjectRefused:
        return ObjectRefused(self._bucket, self._key, "BrokenOff", f"reading s3://{self._bucket}/{self._key} {how}", _DOWN, passing=True)

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
def _mapped(bucket: str, key: str, etag: str | None = None, *, reads: bool = False) -> Iterator[None]:
    """Turn botocore's errors into the core's. `reads`: what is refused may be that object's own fault."""
    where = f"s3://{bucket}/{key}"
    try:
        yield
    except ClientError as refused:
        code = str(refused.response.get("Error", {}).get("Code", ""))
        if code in _GONE:
            raise ObjectGone(bucket, key, etag or "-", "gone") from refused
        if code in _CHANGED or code in _TAKEN:
            raise ObjectGone(bucket, key, etag or "-", "changed") from refused
        raise _refused(refused, code, bucket, key, where, reads=reads) from refused
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as lacking:
        raise DeploymentFault("S3", f"no key to sign with: {lacking}", _CONNECTION) from lacking
    except BotoCoreError as failed:
        what = f"no answer for {where}: {failed}"
        if reads:
            raise ObjectRefused(bucket, key, type(failed).__name__, what, _DOWN, passing=True) from failed
        raise EnvironmentFailure("S3", what, _DOWN) from failed


def _refused(refused: ClientError, code: str, bucket: str, key: str, where: str, *, reads: bool) -> EnvironmentFailure:
    """What a refusal that is about no missing or changed object is."""
    status = int(refused.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = str(refused.response.get("Error", {}).get("Message", ""))
    what = f"{refused.operation_name} of {where} refused: {f'{code} {message}'.strip()}"
    if code == "NoSuchBucket":
        return DeploymentFault("S3", f"bucket {bucket} does not exist", "`sluice bucket` makes it, or correct the connection sluice_s3")
    if code in _CREDENTIALS or status == _UNAUTHORIZED:
        return DeploymentFault("S3", what, _CONNECTION)
    denied = code in _DENIED or (status == _FORBIDDEN and code not in _OF_THE_OBJECT)
    passing = status >= _OF_THE_SERVER or code in _THROTTLED
    if reads:
        return ObjectRefused(bucket, key, code, what, _mend(code, denied=denied, passing=passing), denied=denied, passing=passing)
    if denied:
        return DeploymentFault("S3", what, f"let the user of the connection sluice_s3 do {refused.operation_name} there (deploy/iam/)")
    if code == "InternalError":
        return EnvironmentFailure("S3", f"{what} (a store whose disk is full says the same)", _DISK)
    return EnvironmentFailure("S3", what, _DOWN)


def _mend(code: str, *, denied: bool, passing: bool) -> str:
    """What lets an object be read that the store refuses."""
    if code == "InvalidObjectState":
        return "it lies in an archive class: restore it there"
    if code in _OF_ITS_KEY or code.startswith("KMS"):
        return "the key that it is encrypted with is disabled, gone or not ours to use: enable or grant it"
    if denied:
        return "let the user of the connection sluice_s3 read it, its encryption key included (deploy/iam/)"
    return _DOWN if passing else "look at that object with your store's own tools, or land it again"
