"""What a journal says of a group: its rows, and how far they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

SHARED_IDS = (("file", "file_id"), ("file_event", "event_id"))  # what entries name by numbers that all groups take from one sequence


class FileRow(TypedDict):
    """What is read of a row of `file` beside its being written back; so with the rows of other tables."""

    file_id: int
    feed: str
    bucket: str
    key: str
    version: int
    seq: int
    state: str
    group_name: str | None
    batch: int | None


class EventRow(TypedDict):
    event_id: int
    file_id: int


class BatchRow(TypedDict):
    batch: int
    feed: str
    state_version: int | None
    manifest: Mapping[str, object]


class GroupRow(TypedDict):
    group_name: str
    last_batch: int
    lease_token: int


class Rows(TypedDict):
    """The rows of an entry by table, as `to_jsonb` makes them."""

    reference: Sequence[Mapping[str, object]]
    batch: Sequence[BatchRow]
    batch_attempt: Sequence[Mapping[str, object]]
    file: Sequence[FileRow]
    file_event: Sequence[EventRow]
    fixed_line: Sequence[Mapping[str, object]]
    feed_group: Sequence[GroupRow]


class Entry(TypedDict):
    """An entry of a journal."""

    format: int
    group: str
    rows: Rows


def newest_ids(rows: Rows) -> dict[str, int]:
    """The greatest of the ids that all groups share, by table; 0 where there is none."""
    files, events = (row["file_id"] for row in rows["file"]), (row["event_id"] for row in rows["file_event"])
    return {"file": max(files, default=0), "file_event": max(events, default=0)}


@dataclass(frozen=True)
class Event:
    """An event, and the file it is of."""

    event_id: int
    file_id: int


@dataclass(frozen=True)
class Position:
    """How far a group has come: the newest seq of each of its feeds, how often it has published, and what happened last."""

    seqs: Mapping[str, int]
    state_version: int
    event: Event | None = field(default=None, compare=False)

    def behind(self, other: Position) -> bool:
        return self.state_version < other.state_version or bool(self.lagging(other)) or _number(self.event) < _number(other.event)

    def lagging(self, other: Position) -> list[str]:
        """The feeds that have not come as far as there."""
        return sorted(feed for feed, seq in other.seqs.items() if self.seqs.get(feed, 0) < seq)

    def with_(self, other: Position) -> Position:
        feeds = self.seqs.keys() | other.seqs.keys()
        return Position(
            {feed: max(self.seqs.get(feed, 0), other.seqs.get(feed, 0)) for feed in feeds},
            max(self.state_version, other.state_version),
            max(self.event, other.event, key=_number),
        )

    def __str__(self) -> str:
        return ", ".join(f"{feed} seq {seq}" for feed, seq in sorted(self.seqs.items())) + f", state {self.state_version}"


def _number(event: Event | None) -> int:
    return 0 if event is None else event.event_id


@dataclass(frozen=True)
class Added:
    """The files and batches that one entry put back, and the newest lease when it was written."""

    files: frozenset[int]
    batches: frozenset[int]
    lease_token: int
