"""A real HTTP server on loopback whose manners a test chooses: with ranges or without, breaking off, saying no."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """What the server serves, and how.

    Attributes:
        content: the file's bytes.
        ranges: whether it knows Range.
        sized: whether it says how long the content is.
        breaks: after how many bytes each of the next answers breaks off.
        answers: makes a whole answer of its own from a path and the headers, or None: (status, headers, body).
        token, token_status: how a POST is answered: a sign-in.
        asked: the paths and Range headers of the requests that came.
    """

    content: bytes = b""
    ranges: bool = True
    sized: bool = True
    breaks: list[int] = field(default_factory=list)
    answers: Callable[[str, Any], tuple[int, dict[str, str], bytes] | None] | None = None
    token: str = ""
    token_status: int = 200
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@contextmanager
def served(site: Site) -> Iterator[Site]:
    """Serve until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers.get("Range")))
            own = site.answers(self.path, self.headers) if site.answers else None
            status, headers, body = own or self.file()
            short = site.breaks.pop(0) if site.breaks and own is None else len(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if site.sized:
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                self.wfile.write(body[:short])
            except ConnectionError:
                return  # the client has read enough

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(site.token_status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(site.token)))
            self.end_headers()
            self.wfile.write(site.token.encode())

        def file(self) -> tuple[int, dict[str, str], bytes]:
            headers = {"ETag": f'"{hashlib.sha256(site.content).hexdigest()[:16]}"'}
            wanted = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range", ""))
            if not (site.ranges and wanted):
                return 200, headers, site.content
            start, size = int(wanted[1]), len(site.content)
            if start >= size:
                return 416, headers | {"Content-Range": f"bytes */{size}"}, b""
            return 206, headers | {"Content-Range": f"bytes {start}-{size - 1}/{size}"}, site.content[start:]

        def log_message(self, *_: object) -> None:
            """Say nothing: the test's output is its own."""

    with serving(Handler) as site.url:
        yield site


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port of loopback until the end of the block; the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
