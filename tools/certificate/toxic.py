"""A TCP proxy that misbehaves when it is told to: it stands before S3 (and then understands HTTP) or before PostgreSQL."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

_PIECE = 1 << 16
_BACKLOG = 64
_METHODS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ")
_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_REFUSED_SECONDS = 0.6
_DELAY_SECONDS = 1.5
_SILENT_SECONDS = 3.0


class Toxic(enum.Enum):
    """One way to misbehave."""

    REFUSED = "new connections are refused and open ones reset, for a moment"
    RESET = "the connection is reset instead of passing a request on"
    DELAYED = "a request is passed on late"
    SILENT = "a request is swallowed, and the connection reset after seconds of silence"
    SLOW_DOWN = "S3 answers 503 SlowDown"
    LOST_ANSWER = "a request is passed on and done; its answer never arrives, the connection is reset"


class ToxicProxy:
    """Passes bytes between clients and one server, on a loopback port of its own; misbehaves for the next requests when armed."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._lock = threading.Lock()
        self._toxic: Toxic | None = None
        self._hits = 0
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        self._calm = threading.Event()
        self._listens = threading.Event()
        self._listens.set()
        self._listener = _bound()
        self._listener.listen(_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True, name="toxic").start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.set()
        self._calm.set()
        _stop_listening(self._listener)
        self._listener.close()
        self._reset_all()

    def moved(self, port: int) -> None:
        """The server listens elsewhere now."""
        self._server = (self._server[0], port)

    def arm(self, toxic: Toxic, hits: int) -> None:
        """Misbehave for the next `hits` requests."""
        if toxic is Toxic.REFUSED:
            self._refuse(_REFUSED_SECONDS * hits)
            return
        with self._lock:
            self._toxic, self._hits = toxic, hits

    def disarm(self) -> None:
        with self._lock:
            self._toxic, self._hits = None, 0
        self._calm.set()
        self._listens.wait()

    def _refuse(self, seconds: float) -> None:
        """Refuse for a moment. The socket stays bound: a port let go may be another program's when it is wanted back."""
        self._listens.wait()
        self._listens.clear()
        self._calm.clear()
        _stop_listening(self._listener)
        self._reset_all()

        def again() -> None:
            self._calm.wait(seconds)
            if not self._closing.is_set():
                self._listener.listen(_BACKLOG)
                self._listens.set()
                self._accept()

        threading.Thread(target=again, daemon=True, name="toxic").start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, timeout=5)
            except OSError:
                _reset(client)  # the server is down: its client is to notice at once
                continue
            server.settimeout(None)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(one)
            talk = _Talk(self, client, server)
            threading.Thread(target=talk.requests, daemon=True, name="toxic").start()
            threading.Thread(target=talk.answers, daemon=True, name="toxic").start()

    def take(self) -> Toxic | None:
        """The toxic that the next request meets."""
        with self._lock:
            if self._hits <= 0:
                return None
            self._hits -= 1
            return self._toxic

    def drop(self, *ended: socket.socket) -> None:
        for one in ended:
            self._open.discard(one)

    def _reset_all(self) -> None:
        for one in list(self._open):
            _reset(one)
        self._open.clear()


class _Talk:
    def __init__(self, proxy: ToxicProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._http: bool | None = None
        self._lose_answer = False

    def requests(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(_PIECE):
                if self._http is None:
                    self._http = data.startswith(_METHODS)
                begins = not self._http or data.startswith(_METHODS)
                toxic = self._proxy.take() if begins else None
                if not self._passed_on(data, toxic):
                    break
        self._end()

    def _passed_on(self, data: bytes, toxic: Toxic | None) -> bool:
        """Whether the connection lives on after this request."""
        if toxic is Toxic.RESET:
            return False
        if toxic is Toxic.SILENT:
            time.sleep(_SILENT_SECONDS)
            return False
        if toxic is Toxic.SLOW_DOWN:
            head = (
                f"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {len(_SLOW_DOWN)}\r\nConnection: close\r\n\r\n"
            )
            self._client.sendall(head.encode() + _SLOW_DOWN)
            self._client.shutdown(socket.SHUT_WR)
            time.sleep(0.05)
            return False
        if toxic is Toxic.DELAYED:
            time.sleep(_DELAY_SECONDS)
        self._lose_answer = self._lose_answer or toxic is Toxic.LOST_ANSWER
        self._server.sendall(data)
        return True

    def answers(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(_PIECE):
                if self._lose_answer and not data.startswith(b"HTTP/1.1 100"):
                    break
                self._client.sendall(data)
        self._end()

    def _end(self) -> None:
        self._proxy.drop(self._client, self._server)
        for one in (self._client, self._server):
            _reset(one)


def _bound() -> socket.socket:
    """A socket on a free port that it keeps while it does not listen: Linux lets go of a port that was not asked for by number."""
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(free.getsockname())
        return bound


def _stop_listening(listener: socket.socket) -> None:
    """So that a thread waiting in accept() notices."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


def _reset(one: socket.socket) -> None:
    """Close with RST, and wake whoever reads from it."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)
    one.close()
