"""A proxy before the S3 of the tests that refuses some requests, as stores with other rights or abilities would; the rest is passed on."""

from __future__ import annotations

import enum
import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from tests.http_server import serving

Answer = tuple[int, str]
_OF_A_HOP = {"transfer-encoding", "connection", "content-length"}


class Spoiled(enum.Enum):
    """An answer that does not arrive as the store gave it."""

    CUT = "it ends half-way"
    EMPTY = "it has no bytes"
    SILENT = "there is none"


@dataclass
class Choosy:
    """What the proxy refuses: from method, key with bucket and headers to a status and a code, to how the answer is spoiled, or None.

    `before` is called before a request is passed on; `asked` is what came.
    """

    refuses: Callable[[str, str, Any], Answer | Spoiled | None] = lambda *_: None
    before: Callable[[str, str], None] = lambda *_: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""


class _Proxy(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    choosy: Choosy
    store: SplitResult

    def pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        key = unquote(urlsplit(self.path).path)
        self.choosy.asked.append((self.command, key))
        refused = self.choosy.refuses(self.command, key, self.headers)
        if refused is Spoiled.SILENT:
            self.close_connection = True
        elif isinstance(refused, tuple):
            status, code = refused
            said = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            self.answer(status, [("Content-Type", "application/xml")], len(said), said)
        else:
            self.choosy.before(self.command, key)
            self.answer(*self.given(body, refused))

    def given(self, body: bytes | None, spoiled: Spoiled | None) -> tuple[int, list[tuple[str, str]], int, bytes]:
        """What the real store answers, or as much of it as is to arrive."""
        upstream = http.client.HTTPConnection(self.store.hostname or "", self.store.port or 80, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body)
        got = upstream.getresponse()
        data = got.read()
        upstream.close()
        headers = [(name, value) for name, value in got.getheaders() if name.lower() not in _OF_A_HOP]
        size = int(got.getheader("Content-Length") or 0) if self.command == "HEAD" else len(data)
        if spoiled is Spoiled.EMPTY:
            return got.status, headers, 0, b""
        if spoiled is Spoiled.CUT:
            self.close_connection = True
            data = data[: len(data) // 2]
        return got.status, headers, size, data

    def answer(self, status: int, headers: list[tuple[str, str]], size: int, data: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing: the test's output is its own."""

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on  # noqa: N815 (the base class looks for these names)


@contextmanager
def before(endpoint: str) -> Iterator[Choosy]:
    """A proxy before a store for as long as the block works. Signatures stay right, since the client's Host is passed on."""
    choosy = Choosy()
    with serving(type("Proxy", (_Proxy,), {"choosy": choosy, "store": urlsplit(endpoint)})) as choosy.url:
        yield choosy
