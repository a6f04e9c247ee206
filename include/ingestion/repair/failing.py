"""Work that fails: an outage, which is nobody's fault, or a file that cannot be worked on, told apart by asking the services."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from include.ingestion import keys
from include.ingestion.errors import EnvironmentFailure, SluiceError

if TYPE_CHECKING:
    from include.ingestion.feed import FeedSpec
    from include.ingestion.ports import Ports


@dataclass(frozen=True)
class Failed:
    """What follows a failure that no service is to blame for.

    Attributes:
        first_seq, last_seq: the files that were worked on together.
        batch_limit: how many files the next batch takes at most, where there were several.
        failures, most: how often the one file failed, and how often it may.
        rest_seconds: when it is tried again; None where it is not.
    """

    first_seq: int
    last_seq: int
    what: str = ""
    batch_limit: int | None = None
    failures: int = 0
    most: int = 0
    rest_seconds: float | None = None

    @property
    def poison(self) -> bool:
        """Whether the one file had its last chance."""
        return self.batch_limit is None and self.rest_seconds is None

    @property
    def reason(self) -> str:
        """Why a file is put aside."""
        return f"it failed alone {self.failures} times while every service answered, the last time with: {self.what}"


class WorkFailed(SluiceError):
    """A batch or a file fails although every service answers. What follows is in the ledger; the next run goes on with it."""

    def __init__(self, spec: FeedSpec, failed: Failed, what: str) -> None:
        self.failed = failed
        if failed.batch_limit is not None:
            follows = f"seq {failed.first_seq}-{failed.last_seq} failed together; the next batch takes at most {failed.batch_limit} of them"
        elif failed.poison:
            follows = f"seq {failed.first_seq} failed alone {failed.failures} times and is put aside; those behind it go on"
        else:
            follows = (
                f"seq {failed.first_seq} failed alone, {failed.failures} of {failed.most} times; "
                f"it is tried again in {failed.rest_seconds:.0f} s, and nothing behind it before"
            )
        super().__init__(f"{spec.name}: {what}. Every service answers. {follows} (docs/runbooks/stuck-batch.md).")


def outage(ports: Ports) -> EnvironmentFailure | None:
    """The service that does not answer now, or None: then a failure is the work's own."""
    try:
        ports.ledger.answers()
        ports.store.head(ports.bucket, keys.fixes("health"))
        ports.job.answers()
    except EnvironmentFailure as down:
        return down
    return None


def described(error: Exception) -> str:
    """An error in words that hold no value of a row: its own sentence where it is ours, else its kind and where it was raised.

    >>> described(ValueError("C1093826151"))
    'ValueError'
    """
    if isinstance(error, SluiceError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
