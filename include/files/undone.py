"""What could not be delivered yet, item by item."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass


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
