"""What the job of finance is asked, as a value: exact objects, and where its results go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
JOB = "pick_latest_rows"


@dataclass(frozen=True)
class LatestFile:
    """A file, its place in its feed's order, and the bronze objects with its accepted rows."""

    file_id: int
    seq: int
    objects: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class LatestRequest:
    """Pick the latest row of each id in each of these files, and find what is unusual in them.

    Attributes:
        files: the batch, in seq order.
        output: the folder of this attempt.
    """

    feed: str
    batch: int
    attempt: int
    bucket: str
    files: tuple[LatestFile, ...]
    output: str
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> LatestRequest:
        """Read a request back.

        Raises:
            ValueError: a format that this code does not know.
        """
        if said["format"] != FORMAT:
            raise ValueError(f"a request of format {said['format']!r}; this code reads format {FORMAT}")
        files = tuple(LatestFile(one["file_id"], one["seq"], tuple(one["objects"]), one["rows"]) for one in said["files"])
        return cls(**{**said, "files": files})
