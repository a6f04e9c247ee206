"""Which hosts a run may be told to read from: a list that people write, held against the address that is about to be connected to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from include.errors import UsageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PUBLIC = "*"
_ENTRY = re.compile(r"(\[[^\]]+\]|[^:]+)(?::([0-9]{1,5}))?")
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Where clouds hand out the credentials of a machine, besides link-local addresses.
_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:c1::a9fe:a9fe", "fd20:ce::254"))
)
# Python 3.11 takes these for global.
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20", "64:ff9b:1::/48", "5f00::/16")))


@dataclass(frozen=True)
class _Entry:
    """`what`: `*`, a name, `*.` and a domain, or a network; `port` None = any."""

    what: str | Network
    port: int | None

    def admits(self, host: str, port: int, address: Address) -> bool:
        if self.port not in {None, port}:
            return False
        if not isinstance(self.what, str):
            wide = self.what.num_addresses > 1
            return address.version == self.what.version and address in self.what and not (wide and _is_never_meant(address))
        if self.what == PUBLIC:
            return is_public(address)
        return self.names(host) and not _is_never_meant(address)

    def names(self, host: str) -> bool:
        """Whether it names this host, in words."""
        if not isinstance(self.what, str) or self.what == PUBLIC:
            return False
        return host.endswith(self.what[1:]) if self.what.startswith("*.") else host == self.what


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts that may be read from.

    Each entry may end with `:port`, and then is for that port alone:

    - `*` is every host at a public address;
    - `data.example.com` and `*.example.com` are these, at a private or loopback address too;
    - `10.1.2.3`, `10.1.0.0/16`, `[fd00::7]` is whatever has such an address.

    Link-local and multicast addresses and those where clouds hand out credentials want an entry with exactly that address.
    """

    entries: tuple[_Entry, ...]

    @classmethod
    def parse(cls, text: str) -> AllowedHosts:
        """Read a list with blanks or commas between the entries.

        Raises:
            UsageError: one is neither a name nor an address.
        """
        return cls(tuple(map(_entry, text.replace(",", " ").split())))

    def with_names(self, *names: str) -> AllowedHosts:
        return AllowedHosts((*self.entries, *(_Entry(name, None) for name in names)))

    def admits(self, host: str, port: int, address: str) -> bool:
        """Whether a host may be connected to at an address; an address that stands for another must be allowed as that one too.

        >>> hosts = AllowedHosts.parse("* localhost:8080")
        >>> hosts.admits("example.com", 80, "93.184.215.14"), hosts.admits("example.com", 80, "::ffff:127.0.0.1")
        (True, False)
        >>> hosts.admits("localhost", 8080, "127.0.0.1"), hosts.admits("localhost", 9000, "127.0.0.1")
        (True, False)
        """
        name = _plain(host)
        return all(any(entry.admits(name, port, one) for entry in self.entries) for one in _meant(address))

    def names(self, host: str, port: int) -> bool:
        """Whether an entry names this host in words, wherever it may lie: for when somebody else looks its address up."""
        return any(entry.names(_plain(host)) and entry.port in {None, port} for entry in self.entries)


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet, and of nobody's own network."""
    own = address.is_private or address.is_reserved or address.is_unspecified or _is_never_meant(address)
    return address.is_global and not own and not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


def _is_never_meant(address: Address) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA


def _meant(address: str) -> Iterator[Address]:
    """The addresses that one leads to: of an IPv6 address that carries an IPv4 address, that one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        yield found
    elif found.ipv4_mapped is not None:
        yield found.ipv4_mapped
    elif found in _NAT64:
        yield ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    else:
        yield found
        if found.sixtofour is not None:
            yield found.sixtofour


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _entry(token: str) -> _Entry:
    whole = _ENTRY.fullmatch(token)
    what, port = (whole[1], whole[2]) if whole else (token, None)
    if what == PUBLIC:
        return _Entry(PUBLIC, int(port) if port else None)
    try:
        return _Entry(ipaddress.ip_network(what.strip("[]"), strict=False), int(port) if port else None)
    except ValueError:
        name = _plain(what)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{token!r} is no host: say *, a name such as data.example.com or *.example.com, an address or a network")
    return _Entry(name, int(port) if port else None)
