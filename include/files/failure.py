"""What follows a failure that no service is to blame for: of work on files, and of deliveries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from include.files.verdict import Fault


@dataclass(frozen=True)
class Failed:
    """What follows a failure that no service is to blame for.

    Attributes:
        first_seq, last_seq: the files that were worked on together.
        file_id: the one file, where it was alone.
        refused: the store does not give it; else it was read and cannot be worked on.
        batch_limit: how many files the next batch takes at most, where there were several.
        failures, most: how often the one file failed, and how often it may.
        rest_seconds: when it is tried again; None where it is not.
    """

    first_seq: int
    last_seq: int
    what: str = ""
    file_id: int = 0
    refused: bool = False
    batch_limit: int | None = None
    failures: int = 0
    most: int = 0
    rest_seconds: float | None = None

    @property
    def poison(self) -> bool:
        """Whether the one file had its last chance."""
        return self.batch_limit is None and self.rest_seconds is None

    @property
    def fault(self) -> Fault:
        return Fault.UNREADABLE if self.refused else Fault.POISON

    @property
    def reason(self) -> str:
        """Why a file is put aside, and the way out."""
        if self.refused:
            return (
                f"{self.failures} times the store did not give it and gave others, the last time with: {self.what}. "
                f"It stays where it lies; when it can be read again, `sluice quarantine replay {self.file_id} --go` takes it"
            )
        return (
            f"it failed alone {self.failures} times while every service answered, the last time with: {self.what}. "
            f"When the cause is mended, `sluice quarantine replay {self.file_id} --go` takes it, as it is or corrected"
        )


@dataclass(frozen=True)
class Undone:
    """An item that could not be delivered while the services answer: how often in a row, since when, when it is tried again."""

    item: str
    failures: int
    since: dt.datetime
    retry_at: dt.datetime
    what: str

    def __str__(self) -> str:
        return f"{self.item} failed {self.failures} times since {self.since:%F %T} UTC: {self.what}"


def of_batch(number: int) -> str:
    """The item that what follows a batch is."""
    return f"batch {number}"


def of_file(file_id: int) -> str:
    """The item that what people are told of a file and the moving of its original are."""
    return f"file {file_id}"


def of_state(feed: str) -> str:
    """The item that the merging of a feed's state is."""
    return f"merging of the state of {feed}"


def resting(undone: Mapping[str, Undone], item: str, now: dt.datetime) -> bool:
    """Whether an item failed and is not to be tried yet."""
    return item in undone and undone[item].retry_at > now
