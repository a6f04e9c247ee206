"""The domains of this release, and their feeds by name. Adding one: a folder here, its name below.

A domain says in a module of its own what each part of its feeds is, by a function of the module's name (spec, services) -> part; what it
does not have it leaves out. Each is imported when it is first needed: most runs find nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from include.errors import UsageError
from include.feed import FeedSpec

if TYPE_CHECKING:
    from include.pipeline.ports import FeedParts, Gate, Ports
    from include.pipeline.services import Services
    from include.reconcile.context import Auditor

DOMAINS = ("transactions", "sales", "finance")

_FEEDS: dict[str, tuple[FeedSpec, ...]] = {domain: import_module(f"{__name__}.{domain}.feeds").FEEDS for domain in DOMAINS}
FEEDS = {spec.name: spec for specs in _FEEDS.values() for spec in specs}
_DOMAIN_OF = {spec.name: domain for domain, specs in _FEEDS.items() for spec in specs}


def feed_named(name: str) -> FeedSpec:
    """The feed of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in FEEDS:
        raise UsageError(f"no feed {name!r}; there are: {', '.join(sorted(FEEDS))}")
    return FEEDS[name]


def parts_of(spec: FeedSpec, services: Services) -> FeedParts:
    """What is a feed's own, on open services."""
    from include.pipeline.ports import FeedParts

    made = {part: _maker(spec, services, part) for part in ("exporter", "compactor", "shadow", "finding_history")}
    return FeedParts(partial(_made, spec, services, "publisher"), **made)


def auditor_of(spec: FeedSpec, services: Services) -> Auditor:
    """What a feed's own tables and objects are held against."""
    from include.reconcile.context import Auditor

    maker = _maker(spec, services, "auditor")
    return Auditor() if maker is None else maker()


def ports_of(spec: FeedSpec, services: Services, gate: Gate) -> Ports:
    """Everything the steps of a feed act through, on open services."""
    from include.pipeline.ports import Ports

    def peer_feed(name: str) -> tuple[FeedSpec, FeedParts]:
        peer = feed_named(name)
        return peer, parts_of(peer, services)

    return Ports(**vars(services), gate=gate, parts=parts_of(spec, services), peer_feed=peer_feed)


def _maker(spec: FeedSpec, services: Services, part: str) -> Callable[[], Any] | None:
    return partial(_made, spec, services, part) if find_spec(_module(spec, part)) else None


def _made(spec: FeedSpec, services: Services, part: str) -> Any:
    return getattr(import_module(_module(spec, part)), part)(spec, services)


def _module(spec: FeedSpec, part: str) -> str:
    return f"{__name__}.{_DOMAIN_OF[spec.name]}.{part}"
