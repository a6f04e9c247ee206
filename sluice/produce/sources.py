"""A source of lines, wherever it lies and however it is compressed; read as a stream, so memory does not grow with it."""

from __future__ import annotations

import errno
import functools
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from include.errors import UsageError
from include.inputs import UNRESTRICTED, InputPolicy, InputRefused
from include.storage.object_store import ObjectStore
from sluice.produce.drive import GOOGLE_HOSTS, drive_id, private_file, public_file
from sluice.produce.errors import SourceBroken
from sluice.produce.guarded import session_for
from sluice.produce.origins import Described, HttpFile, LocalFile, Origin, S3Object, skip

_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
_BUFFER = 1 << 20


class Source:
    """The decompressed bytes of an origin. The compression is told by the content, since links have no endings."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self.location = origin.location
        self.described: Described = origin.describe()

    @contextmanager
    def open(self, at: int = 0) -> Iterator[BinaryIO]:
        """The bytes from `at` on; a plain source is opened there, a compressed one is read up to there.

        Raises:
            SourceBroken: the compressed bytes are damaged or end early.
        """
        if self._magic.startswith((_GZIP, _XZ)):
            with self._origin.open() as packed:
                stream = self._unpacked(packed)
                skip(stream, at)
                yield stream
        else:
            with self._origin.open(at) as stream:
                yield stream

    @functools.cached_property
    def _magic(self) -> bytes:
        with self._origin.open() as head:
            return head.read(len(_XZ))

    def _unpacked(self, packed: BinaryIO) -> BinaryIO:
        unpacked = gzip.open(packed) if self._magic.startswith(_GZIP) else lzma.open(packed)  # noqa: SIM115 (closed with what it wraps)
        return cast(BinaryIO, io.BufferedReader(_AsTaskFailure(cast(BinaryIO, unpacked), self.location), _BUFFER))


class _AsTaskFailure(io.RawIOBase):
    """Says of damaged bytes where they are."""

    def __init__(self, stream: BinaryIO, location: str) -> None:
        self._stream, self._location = stream, location

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._stream.read(len(buffer))
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as broken:
            raise SourceBroken(self._location, f"its compressed content is damaged or ends early ({broken})") from broken
        buffer[: len(piece)] = piece
        return len(piece)


def source(
    location: str,
    *,
    credentials: Mapping[str, Any] | None = None,
    store: ObjectStore | None = None,
    policy: InputPolicy = UNRESTRICTED,
) -> Source:
    """The source that a person names: a path, an HTTP(S) URL, a Google Drive link or id, or s3://bucket/key.

    Args:
        credentials: of a Google service account, for Drive files that are not public.
        store: where s3:// leads.
        policy: what of all that may be read.

    Raises:
        UsageError: the location is of no such form, there is nothing (SourceMissing), or it may not be read (InputRefused).
        EnvironmentFailure: a server does not answer.
    """
    return Source(origin_of(location, credentials=credentials, store=store, policy=policy))


def origin_of(
    location: str,
    *,
    credentials: Mapping[str, Any] | None = None,
    store: ObjectStore | None = None,
    policy: InputPolicy = UNRESTRICTED,
) -> Origin:
    """Tell by its form where a location leads; a file of this machine goes before a Drive id that looks alike."""
    if not location:
        raise UsageError("no source given: a path, an http(s) URL, a Google Drive link or id")
    if "://" not in location and _is_there(location, policy):
        return LocalFile(location, policy)
    try:
        scheme, file_id = urlsplit(location).scheme.lower() if "://" in location else "", drive_id(location)
    except ValueError as error:
        raise UsageError(f"{location} is no URL that can be read: {error}") from error
    if file_id:
        hosts = policy.hosts and policy.hosts.with_names(*GOOGLE_HOSTS)
        return private_file(file_id, credentials, hosts=hosts) if credentials else public_file(file_id, session_for(hosts))
    if scheme in ("http", "https"):
        return HttpFile(location, session_for(policy.hosts))
    if scheme == "s3" and store is not None:
        return S3Object(store, *policy.object_at(location))
    if scheme == "file" and policy.folders is None:
        return LocalFile(location.partition("://")[2])
    if scheme or location.startswith("drive:"):
        raise UsageError(f"{location}: a source is a path, an http(s) URL, a Google Drive link or drive:ID, or s3://bucket/key")
    return LocalFile(location, policy)


def _is_there(location: str, policy: InputPolicy) -> bool:
    try:
        policy.open_file(location).close()
    except InputRefused:
        return False
    except OSError as error:
        return error.errno != errno.ENOENT
    return True
