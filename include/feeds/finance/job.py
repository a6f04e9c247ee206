"""What the job of finance is asked, as a value: exact objects, and where its results go."""

from __future__ import annotations

from dataclasses import dataclass

from include.feeds.message import JobRequest

JOB = "pick_latest_rows"


@dataclass(frozen=True)
class LatestFile:
    """A file, its place in its feed's order, and the bronze objects with its accepted rows."""

    file_id: int
    seq: int
    objects: tuple[str, ...]
    rows: int


@dataclass(frozen=True, kw_only=True)
class LatestRequest(JobRequest):
    """Pick the latest row of each id in each of these files, and find what is unusual in them.

    Attributes:
        files: the batch, in seq order.
    """

    files: tuple[LatestFile, ...]
