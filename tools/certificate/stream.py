"""A group of feeds' small history, as its sources send it: waves of files, and what must have happened when each lands."""

from __future__ import annotations

import csv
import enum
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DAY = "dt=2026-11-01"
"""The date under which a producer lands its chunks."""


class After(enum.Enum):
    """What of the waves before must have happened when a wave lands, so that its files come to the same in every run."""

    NOTHING = "nothing: the new names come later in the order than all before"
    REGISTERED = "everything before is registered"
    DECIDED = "everything before is accepted or refused; of what is accepted some may wait to be published"
    FINISHED = "everything before is published or refused, and delivered"


@dataclass(frozen=True)
class Replay:
    """A person has the newest version of a quarantined key tried again, as it is or with other bytes."""

    key: str
    body: bytes | None = None


@dataclass(frozen=True)
class Fix:
    """A person corrects rejected lines of a file, and puts them where corrected rows are put.

    Attributes:
        key: the file that the lines were rejected from.
        lines: their new text, by number; others do not come in.
    """

    key: str
    name: str
    lines: Mapping[int, str]


@dataclass(frozen=True)
class Wave:
    """Files that land together, put under their keys or cut from `source` by the producer, after what is put right of earlier ones."""

    name: str
    after: After
    objects: tuple[tuple[str, bytes], ...] = ()
    source: bytes = b""
    repairs: tuple[Replay | Fix, ...] = ()


@dataclass(frozen=True)
class Stream:
    """A whole history.

    Attributes:
        waves: in the order in which they land.
        produced: the feed whose files the producer cuts.
        rows: of a file that it cuts.
        parameters: thresholds and choices of every run.
        references: CSV of what is loaded before the first file, by feed and name.
    """

    waves: tuple[Wave, ...]
    produced: str
    rows: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[tuple[str, str], bytes] = field(default_factory=dict)


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows with these columns, empty where one has none."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_named(name: str, body: bytes) -> bytes:
    """A body, packed if its file's name says so."""
    return gzip.compress(body, mtime=0) if name.endswith(".gz") else body
