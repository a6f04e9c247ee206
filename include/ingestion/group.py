"""Feeds of one group: what a run of one of them acts through when it does the work of another."""

from __future__ import annotations

import dataclasses

from include.ingestion.feed import FeedSpec
from include.ingestion.ports import Ports


def for_feed(ports: Ports, spec: FeedSpec, feed: str) -> tuple[Ports, FeedSpec]:
    """The ports and the spec for the work of a feed of the group: those given where it is their own."""
    if feed == spec.name:
        return ports, spec
    sister, results = ports.sister(feed)
    return dataclasses.replace(ports, results=results), sister
