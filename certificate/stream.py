"""A group of feeds' small history, as its sources send it: waves of files, and what must have happened when each lands."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

DAY = "dt=2026-11-01"
"""The date under which a producer lands its chunks."""


class After(enum.Enum):
    """What of the waves before must have happened when a wave lands, so that its files come to the same in every run."""

    NOTHING = "nothing: the new names come later in the order than all before"
    REGISTERED = "everything before is registered"
    DECIDED = "everything before is accepted or refused; of what is accepted some may wait to be published"
    FINISHED = "everything before is published or refused, and delivered"


@dataclass(frozen=True)
class Wave:
    """Files that land together: put under their keys, or cut from `source` by the producer."""

    name: str
    after: After
    objects: tuple[tuple[str, bytes], ...] = ()
    source: bytes = b""


@dataclass(frozen=True)
class Stream:
    """A whole history.

    Attributes:
        waves: in the order in which they land.
        produced: the feed whose files the producer cuts.
        rows: of a file that it cuts.
        parameters: thresholds of every run.
        references: CSV of what is loaded before the first file, by feed and name.
    """

    waves: tuple[Wave, ...]
    produced: str
    rows: int
    parameters: Mapping[str, int] = field(default_factory=dict)
    references: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
