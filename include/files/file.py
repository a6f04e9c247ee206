"""A file: one object at one content. Its states, what a listing shows of it, and what the ledger keeps of it."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.files import keys


class State(enum.StrEnum):
    REGISTERED = "registered"
    ACCEPTED = "accepted"
    PUBLISHED = "published"
    QUARANTINED = "quarantined"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    REPLAYING = "replaying"
    DISCARDED = "discarded"


FOLLOWS: dict[State, frozenset[State]] = {
    State.REGISTERED: frozenset({State.ACCEPTED, State.QUARANTINED, State.DUPLICATE}),
    State.ACCEPTED: frozenset({State.PUBLISHED, State.QUARANTINED}),
    State.PUBLISHED: frozenset({State.SUPERSEDED}),
    State.QUARANTINED: frozenset({State.REPLAYING, State.DISCARDED}),
    State.REPLAYING: frozenset({State.ACCEPTED, State.QUARANTINED}),
    State.DUPLICATE: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.DISCARDED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class FileStamp:
    """An object as a listing shows it: where, which content, how large (bytes), since when."""

    bucket: str
    key: str
    etag: str
    size: int
    last_modified: dt.datetime

    @property
    def date(self) -> dt.date:
        """The date that a file under this key belongs to: the one in the key, else the UTC date of its last modification."""
        return keys.date_in(self.key) or self.last_modified.astimezone(dt.UTC).date()


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An exact object of ours: never a prefix. `rows` where it holds rows."""

    key: str
    size: int
    etag: str
    rows: int = 0


class Kind(enum.StrEnum):
    """How a file came to the feed: it landed, it stands in for a quarantined one, or it holds corrected rows of an accepted one."""

    LANDING = "landing"
    REPLACEMENT = "replacement"
    ROW_FIX = "row_fix"


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """A registered file: its identity, its place in the feed's order, its state. `lies_at`: the object to read where it is not its own."""

    file_id: int
    feed: str
    seq: int
    bucket: str
    key: str
    version: int
    etag: str
    size: int
    date: dt.date
    state: State
    sha256: str | None = None
    lines: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    reason: str | None = None
    validated: bool = False
    kind: Kind = Kind.LANDING
    parent: int | None = None
    lies_at: FileStamp | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A place where files of a feed arrive."""

    bucket: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of the objects that a listing showed: new files in seq order, and files seen again where they had been moved away."""

    files: tuple[LedgerFile, ...]
    seen_again: tuple[FileStamp, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided in seq order: how many files of each state, and the batch that was opened for the accepted ones."""

    accepted: int
    quarantined: int
    duplicate: int
    batch: int | None
    left_over: int


TO_DELIVER = frozenset({State.QUARANTINED, State.DISCARDED, State.DUPLICATE, State.PUBLISHED, State.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A registered file with the objects that belong to it.

    Attributes:
        location: landing, error, archive, overwritten or gone.
        location_key: the key of its bytes there, where it is not its own.
        latest: whether it is the newest version of its key.
        delivered: whether everything that follows publication or refusal was done for it.
        bronze, bronze_digest: the objects with its accepted rows, and the digest over those rows.
        rejects: the object with its rejected rows under the gate's attempt.
        last_read_at: when its object was last known to be there.
        reason_code: why it was refused, as a word of `verdict.Fault`.
    """

    file: LedgerFile
    location: str
    location_key: str | None
    latest: bool
    delivered: bool
    bronze: tuple[ObjectRef, ...]
    bronze_digest: str | None
    rejects: ObjectRef | None
    last_read_at: dt.datetime
    reason_code: str | None = None

    @property
    def has_bytes(self) -> bool:
        """Whether the ledger says that the original bytes are somewhere."""
        return self.location in {"landing", "error", "archive"}

    @property
    def moving(self) -> bool:
        """Whether deliver may be at work on it: what lies where changes under a reader's eyes then."""
        return not self.delivered and self.file.state in TO_DELIVER

    def place(self, bucket: str) -> tuple[str, str]:
        """Bucket and key of its bytes; `bucket` is where error/ and archive/ are."""
        if self.location_key is None:
            return self.file.bucket, self.file.key
        return bucket, self.location_key

    def report_folder(self) -> str:
        """The folder of its report and its rejected rows."""
        file = self.file
        return keys.report_folder(file.feed, file.date, file.key, file.file_id, self.location_key)


@dataclass(frozen=True)
class Undelivered:
    """A refused, repeated or published file for which something may still be to do outside the ledger."""

    file: LedgerFile
    location: str
    location_key: str | None
    rejects_key: str | None
    report: Mapping[str, Any]
