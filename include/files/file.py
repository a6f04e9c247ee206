"""A file: one object at one content. What a listing shows of it, and what the ledger keeps of it."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from include.files.states import State


@dataclass(frozen=True, slots=True)
class FileStamp:
    """An object as a listing shows it: where, which content, how large (bytes), since when."""

    bucket: str
    key: str
    etag: str
    size: int
    last_modified: dt.datetime


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
