"""HTTP that connects only where it may: each connection, a redirect's and a repeated one too, is made to an address that was looked at."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from include.hosts import AllowedHosts
from include.inputs import HOSTS, InputRefused

_PORTS = {"http": 80, "https": 443}


def session_for(hosts: AllowedHosts | None) -> requests.Session:
    """A session that reads from these hosts alone; None = from any."""
    return requests.Session() if hosts is None else guard(_WithoutNetrc(), hosts)


def guard(session: requests.Session, hosts: AllowedHosts | None) -> requests.Session:
    """Let a session read from these hosts alone."""
    if hosts is not None:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _GuardedAdapter(hosts))
    return session


class _WithoutNetrc(requests.Session):
    """Hands out no password that lies in the home of whoever the process runs as."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = lambda request: request  # whatever is set here goes before .netrc

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """After a redirect, too."""
        before = response.request.url
        if before is None or prepared_request.url is None or self.should_strip_auth(before, prepared_request.url):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)


class _GuardedAdapter(HTTPAdapter):
    """Connects to what the list admits. A proxy looks names up by itself, so through one only hosts that are named in words are asked."""

    def __init__(self, hosts: AllowedHosts) -> None:
        self._hosts = hosts
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._hosts)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if request.url is not None and select_proxy(request.url, options.get("proxies")):
            parts = urlsplit(request.url)
            if not self._hosts.names(parts.hostname or "", parts.port or _PORTS[parts.scheme]):
                raise _refused(parts.hostname or "", parts.port or _PORTS[parts.scheme], "is asked through a proxy and not named")
        return super().send(request, *args, **options)


def _pools(hosts: AllowedHosts) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, of connections that look at the address first."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, super()._new_conn, hosts)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, super()._new_conn, hosts)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connected(connection: HTTPConnection, connect: Callable[[], socket.socket], hosts: AllowedHosts) -> socket.socket:
    """A socket to an address of the connection's host that was looked at: the name is not looked up again.

    Raises:
        InputRefused: one of its addresses is none that may be read from.
    """
    name = connection._dns_host  # noqa: SLF001 (what is connected to; `host`, the name that TLS and the header hold, follows it)
    try:
        found = socket.getaddrinfo(name.strip("[]"), connection.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise _refused(name, connection.port, "is no name of a host") from error
    except socket.gaierror as error:
        raise NameResolutionError(name, connection, error) from error
    addresses = [str(at[0]) for *_, at in found]
    if not all(hosts.admits(name, connection.port, address) for address in addresses):
        raise _refused(name, connection.port, "is at a private, loopback, link-local or otherwise special address, or not on the list")
    last: Exception | None = None
    try:
        for address in addresses:
            connection._dns_host = address  # noqa: SLF001
            try:
                return connect()
            except (ConnectTimeoutError, NewConnectionError) as failed:
                last = failed
    finally:
        connection._dns_host = name  # noqa: SLF001
    raise last or NewConnectionError(connection, "it has no address")


def _refused(host: str, port: int, why: str) -> InputRefused:
    return InputRefused(f"{host}:{port}", why, f"The hosts that may be read from are named in {HOSTS}")
