"""Where a source's bytes come from: a local file, HTTP, S3. An origin is described and opened at any byte."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError

from include.errors import EnvironmentFailure
from include.inputs import SECRET_PARAMETER, UNRESTRICTED, InputPolicy
from include.storage.object_store import ObjectStore
from sluice.produce.errors import SourceChanged, SourceMissing

_TIMEOUT = (5, 60)
_TRIES = 5


@dataclass(frozen=True)
class Described:
    """How a content is recognised without reading it. `version` is empty where the origin says nothing that tells contents apart."""

    size: int | None
    version: str


class Origin(Protocol):
    """A place that holds one file's bytes. `location` may be shown and stored."""

    @property
    def location(self) -> str: ...
    def describe(self) -> Described: ...
    def open(self, at: int = 0) -> BinaryIO: ...


class LocalFile:
    """A file of this machine, where the policy allows one."""

    def __init__(self, path: str | Path, policy: InputPolicy = UNRESTRICTED) -> None:
        self._path, self._policy = str(path), policy
        self.location = str(policy.path_of(self._path))

    def describe(self) -> Described:
        with self.open() as stream:
            status = os.fstat(stream.fileno())
        return Described(status.st_size, f"mtime {status.st_mtime_ns}")

    def open(self, at: int = 0) -> BinaryIO:
        try:
            stream = self._policy.open_file(self._path)
            stream.seek(at)
        except FileNotFoundError as error:
            raise SourceMissing(self.location, "there is no such file") from error
        except OSError as error:
            raise SourceMissing(self.location, (error.strerror or str(error)).lower()) from error
        return stream


class S3Object:
    """An object of the store that Sluice uses."""

    def __init__(self, store: ObjectStore, bucket: str, key: str) -> None:
        self._store, self._bucket, self._key = store, bucket, key
        self.location = f"s3://{bucket}/{key}"
        self._etag: str | None = None

    def describe(self) -> Described:
        found = self._store.head(self._bucket, self._key)
        if found is None:
            raise SourceMissing(self.location, "there is no such object")
        self._etag = found.etag
        return Described(found.size, f"etag {found.etag}")

    def open(self, at: int = 0) -> BinaryIO:
        stream = self._store.read(self._bucket, self._key, self._etag)
        skip(stream, at)
        return stream


class HttpFile:
    """A file behind an HTTP(S) URL; a broken answer is taken up where it broke.

    Args:
        location: what is shown and stored instead of the URL.
        check: looks at a first answer and raises where it is not the file (a login page).
    """

    def __init__(
        self,
        url: str,
        session: requests.Session,
        *,
        location: str | None = None,
        check: Callable[[requests.Response], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.location = location or without_secrets(url)
        self._url, self._session, self._check, self._pause = url, session, check, pause
        self._described: Described | None = None

    def describe(self) -> Described:
        """Ask with a GET that is not read: many servers answer HEAD differently, or not at all."""
        with self.request(0) as answer:
            self._described = _described(answer)
        return self._described

    def open(self, at: int = 0) -> BinaryIO:
        """The bytes from `at` on.

        Raises:
            SourceMissing, SourceChanged: the server no longer has the file, or has another content than was described.
            EnvironmentFailure: it does not answer.
        """
        return io.BufferedReader(_HttpReader(self, self._described or self.describe(), at, self._pause), 1 << 20)

    def request(self, at: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={at}-"} if at else {})}
        try:
            answer = self._session.get(self._url, headers=headers, stream=True, timeout=_TIMEOUT)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema) as error:
            raise SourceMissing(self.location, "is no URL that can be read") from error
        except requests.RequestException as error:
            what = f"no answer for {self.location} ({type(error).__name__})"
            raise EnvironmentFailure("source", what, "is the address right?") from error
        self._refuse(answer)
        return answer

    def _refuse(self, answer: requests.Response) -> None:
        if self._check is not None:
            self._check(answer)
        if answer.status_code in (200, 206, 416):
            return
        answer.close()
        status_text = f"the server answers {answer.status_code} {answer.reason}"
        if answer.status_code == 429 or answer.status_code >= 500:
            raise EnvironmentFailure("source", f"{self.location}: {status_text}", "try again later")
        raise SourceMissing(self.location, status_text)


class _HttpReader(io.RawIOBase):
    """One content read from a byte on; every new connection must show the same content."""

    def __init__(self, file: HttpFile, described: Described, at: int, pause: Callable[[float], None]) -> None:
        self._file, self._described, self._at, self._pause = file, described, at, pause
        self._answer: requests.Response | None = None
        self._fruitless = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._described.size is None or self._at < self._described.size:
            try:
                if self._answer is None:
                    self._answer = self._connect()
                piece: bytes = self._answer.raw.read(len(buffer), decode_content=False)
            except (requests.RequestException, EnvironmentFailure, OSError, HTTPError) as broken:
                self._broke(broken)
                continue
            if piece:
                self._fruitless = 0
                buffer[: len(piece)] = piece
                self._at += len(piece)
                return len(piece)
            if self._described.size is None:
                break
            self._broke(None)
        return 0

    def _connect(self) -> requests.Response:
        start = 0 if self._described.size is None else self._at
        answer = self._file.request(start)
        whole = _described(answer)
        if whole.version != self._described.version or (whole.size is not None and whole.size != self._described.size):
            answer.close()
            raise SourceChanged(self._file.location, f"the server now has another content ({whole}; it was {self._described})")
        if answer.status_code == 200:  # the server knows no Range: read again what we have
            skip(answer.raw, self._at)
        return answer

    def _broke(self, why: Exception | None) -> None:
        self._fruitless += 1
        self._hang_up()
        if self._fruitless == _TRIES:
            what = f"reading {self._file.location} broke off at byte {self._at} of {self._described.size}, {_TRIES} times"
            raise EnvironmentFailure("source", f"{what} ({type(why).__name__ if why else 'too short an answer'})") from why
        self._pause(0.2 * 2**self._fruitless)

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def close(self) -> None:
        self._hang_up()
        super().close()


def skip(stream: Any, count: int) -> None:
    """Read `count` bytes and let them go; fewer where the stream ends before."""
    while count > 0 and (piece := stream.read(min(count, 1 << 20))):
        count -= len(piece)


def without_secrets(url: str) -> str:
    """A URL that may be shown and stored: no login, and none of the query's signatures and tokens.

    >>> without_secrets("https://me:pw@host:8443/a.csv?day=1&X-Amz-Signature=abc&token=t")
    'https://host:8443/a.csv?day=1'
    """
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if not SECRET_PARAMETER.fullmatch(name)]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(query), ""))


def _described(answer: requests.Response) -> Described:
    """The whole content's size and version, from an answer with all of it or with a range."""
    headers = answer.headers
    of_range = answer.status_code in (206, 416)
    total = headers.get("Content-Range", "").rpartition("/")[2] if of_range else headers.get("Content-Length", "")
    version = headers.get("ETag") or headers.get("Last-Modified") or ""
    return Described(int(total) if total.isdigit() else None, version)
