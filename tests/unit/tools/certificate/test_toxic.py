"""The proxy misbehaves as it is armed to, and only for as long."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.certificate.toxic import Toxic, ToxicProxy


class Counting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: list[str]

    def do_GET(self) -> None:
        self.served.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"fine")

    def log_message(self, *_: object) -> None:
        return


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A connection that is reset is what these tests are about."""


@pytest.fixture
def served() -> Iterator[tuple[ToxicProxy, list[str]]]:
    """A proxy before a server, and the paths that reached the server."""
    handler = type("Handler", (Counting,), {"served": []})
    server = Quiet(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with ToxicProxy("127.0.0.1", server.server_port) as proxy:
        yield proxy, handler.served
    server.shutdown()
    server.server_close()


def ask(proxy: ToxicProxy, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_unarmed_it_passes_everything_on(served: tuple[ToxicProxy, list[str]]) -> None:
    proxy, paths = served
    assert [ask(proxy, "/a"), ask(proxy, "/b")] == [(200, b"fine")] * 2
    assert paths == ["/a", "/b"]


@pytest.mark.parametrize(
    ("toxic", "reached"),
    [(Toxic.RESET, False), (Toxic.SILENT, False), (Toxic.LOST_ANSWER, True)],
)
def test_a_request_that_gets_no_answer(served: tuple[ToxicProxy, list[str]], toxic: Toxic, reached: bool) -> None:
    proxy, paths = served
    proxy.arm(toxic, 1)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        ask(proxy, "/struck")
    assert (paths == ["/struck"]) is reached
    assert ask(proxy, "/next") == (200, b"fine")


def test_s3s_503_is_answered_as_often_as_it_is_armed(served: tuple[ToxicProxy, list[str]]) -> None:
    proxy, paths = served
    proxy.arm(Toxic.SLOW_DOWN, 2)
    answers = [ask(proxy, f"/{number}") for number in range(3)]
    assert [status for status, _ in answers] == [503, 503, 200]
    assert b"<Code>SlowDown</Code>" in answers[0][1]
    assert paths == ["/2"]


def test_a_late_request_arrives(served: tuple[ToxicProxy, list[str]]) -> None:
    proxy, _ = served
    proxy.arm(Toxic.DELAYED, 1)
    began = time.monotonic()
    assert ask(proxy, "/late") == (200, b"fine")
    assert time.monotonic() - began > 1


def test_disarmed_it_is_there_at_once_however_long_it_was_to_refuse(served: tuple[ToxicProxy, list[str]]) -> None:
    proxy, _ = served
    proxy.arm(Toxic.REFUSED, 100)
    with pytest.raises(ConnectionRefusedError):
        ask(proxy, "/refused")
    proxy.disarm()
    assert ask(proxy, "/again") == (200, b"fine")


def test_refused_for_a_moment_and_then_there_again(served: tuple[ToxicProxy, list[str]]) -> None:
    proxy, _ = served
    proxy.arm(Toxic.REFUSED, 1)
    with pytest.raises(ConnectionRefusedError):
        ask(proxy, "/refused")
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", proxy.port))
    time.sleep(1)
    assert ask(proxy, "/again") == (200, b"fine")
