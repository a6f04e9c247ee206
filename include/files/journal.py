"""What a journal says of a group: its rows, and how far they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHARED_IDS = (("file", "file_id"), ("file_event", "event_id"))  # what entries name by numbers that all groups take from one sequence
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


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
