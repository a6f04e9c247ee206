"""A group of feeds as a value: what the certificate plays for it, what it compares, and what follows its ingest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from include.pipeline.ports import Ports
from tools.certificate.places import Effect
from tools.certificate.records import Reader, Records
from tools.certificate.stream import Stream


@dataclass(frozen=True)
class FollowUp:
    """What is made of published results after the ingest of all feeds.

    Attributes:
        do: makes it, unless it is made of what is published now; the ports are those of the first feed.
        done: whether it is made of what is published now, as the conductor sees it.
        named: the objects that people find now.
        written: all objects that are there, those that died before they were finished among them.
        later: how many seconds after now all is old enough to go that was not named when `do` is called then, and is not after it.
    """

    do: Callable[[Ports, float], None]
    done: Callable[[Records], bool]
    named: Callable[[Records], set[str]]
    written: Callable[[Records], set[str]]
    later: float


@dataclass(frozen=True)
class Domain:
    """One group of feeds.

    Attributes:
        name: what `FEED=` chooses.
        feeds: all of them, in the order in which a run that nothing disturbs ingests them in turn.
        archived: those whose published files are moved away, except where the schedule ingests.
        dags: what does in Airflow all that a run does here.
        stream: the history for a seed.
        scheduled: the one for runs that the schedule makes.
        sections: what is compared beside files, events, accepted rows and objects, by section.
        pointers: an SQL query for the `key` of every object that the group's own tables point at; empty if they point at none.
        never: effects that none of its runs has.
        kinds_without: kinds of faults that meet nothing.
        faults: those of a round at most; a round that is broken off is lost.
    """

    name: str
    feeds: tuple[str, ...]
    archived: frozenset[str]
    dags: tuple[str, ...]
    stream: Callable[[int], Stream]
    scheduled: Callable[[int], Stream]
    sections: Mapping[str, Reader]
    pointers: str
    never: frozenset[Effect] = frozenset()
    kinds_without: frozenset[str] = frozenset()
    faults: int = 120
    follow_up: FollowUp | None = None
