"""A batch: accepted files that are processed together, the numbered attempts at it, and what is on record of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.files.file import ObjectRef


@dataclass(frozen=True)
class BatchFile:
    """A file of a batch: its place in the order and the exact objects that hold its accepted rows.

    `supersedes`: the published files whose effects are taken out where its own are put in, in seq order.
    """

    file_id: int
    seq: int
    key: str
    rows: int
    bronze: tuple[ObjectRef, ...]
    touched_values: tuple[str, ...] | None
    supersedes: tuple[BatchFile, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What was fixed when the batch was created."""

    number: int
    feed: str
    first_seq: int
    last_seq: int
    rows: int
    parameters: Mapping[str, Any]
    reference_version: int | None
    started_at: dt.datetime
    files: tuple[BatchFile, ...] = ()
    published_at: dt.datetime | None = None

    @property
    def superseded(self) -> tuple[BatchFile, ...]:
        """The published files that are superseded with it: none of them is a file of this batch."""
        return tuple(old for file in self.files for old in file.supersedes)


@dataclass(frozen=True)
class Attempt:
    """One try at a batch. It writes under names of its own and publishes only on the state it read."""

    batch: int
    number: int
    state_version_read: int


@dataclass(frozen=True)
class Waiting:
    """What a feed still has to do: files not decided, files accepted and not published, results not delivered.

    `rest_seconds`: until the first of them that rests after a failure is tried again.
    """

    registered: int
    accepted: int
    undelivered: int
    oldest_seconds: float | None
    rest_seconds: float | None = None

    @property
    def files(self) -> int:
        return self.registered + self.accepted

    @property
    def nothing(self) -> bool:
        return not (self.registered or self.accepted or self.undelivered)


@dataclass(frozen=True)
class RecordedBatch:
    """A published batch with what its job left, and the version of the code that opened it."""

    batch: Batch
    manifest: Mapping[str, Any]
    code_version: str


@dataclass(frozen=True)
class ValidatedBy:
    """The version of the code, and the digests of the contract and of the suite that judged a file; None where it was not judged."""

    code_version: str | None
    contract_digest: str | None
    suite_digest: str | None


NOBODY = ValidatedBy(None, None, None)
