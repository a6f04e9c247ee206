"""What the jobs of the star are asked, as values: exact objects, and where their results go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
FACTS_JOB = "sum_sales_facts"
DIMENSION_JOB = "version_sales_dimension"


@dataclass(frozen=True)
class StarFile:
    """A file and the bronze objects with its accepted rows.

    Attributes:
        seq: its place in its feed's order; of a superseded file that of the file which takes its place.
        date: of the file.
    """

    file_id: int
    seq: int
    date: dt.date
    objects: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class PublishedFacts:
    """A file of facts in force: the first days of its first and last month, and whether it names products that are unknown."""

    file_id: int
    objects: tuple[str, ...]
    first_month: dt.date
    last_month: dt.date
    unknown_products: bool


@dataclass(frozen=True)
class FactsRequest:
    """Sum these files of facts up, take out those that they supersede, and find what is unusual in the new ones.

    Attributes:
        files: the batch, in seq order.
        superseded: files whose effects are taken out.
        versions: the object that holds the versions of each dimension that has any, by feed.
        output: the folder of this attempt.
    """

    feed: str
    batch: int
    attempt: int
    bucket: str
    files: tuple[StarFile, ...]
    superseded: tuple[StarFile, ...]
    versions: Mapping[str, str]
    output: str
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"files": _told(self.files), "superseded": _told(self.superseded), "versions": dict(self.versions)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> FactsRequest:
        """Read a request back.

        Raises:
            ValueError: a format that this code does not know.
        """
        check_format(said)
        return cls(**{**said, "files": _files(said["files"]), "superseded": _files(said["superseded"])})


@dataclass(frozen=True)
class DimensionRequest:
    """Put these files of upserts into a dimension, take out those that they supersede, and look again at the facts this touches.

    Attributes:
        files: the batch, in seq order.
        superseded: files that no longer count.
        upserts, versions: the objects that hold the dimension as of before the batch; None before its first.
        facts: every file of facts in force.
        output: the folder of this attempt.
    """

    feed: str
    batch: int
    attempt: int
    bucket: str
    files: tuple[StarFile, ...]
    superseded: tuple[int, ...]
    upserts: str | None
    versions: str | None
    facts: tuple[PublishedFacts, ...]
    output: str
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        facts = [asdict(one) | {"first_month": one.first_month.isoformat(), "last_month": one.last_month.isoformat()} for one in self.facts]
        return asdict(self) | {"files": _told(self.files), "facts": facts}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> DimensionRequest:
        """Read a request back.

        Raises:
            ValueError: a format that this code does not know.
        """
        check_format(said)
        facts = tuple(
            PublishedFacts(
                one["file_id"],
                tuple(one["objects"]),
                dt.date.fromisoformat(one["first_month"]),
                dt.date.fromisoformat(one["last_month"]),
                one["unknown_products"],
            )
            for one in said["facts"]
        )
        return cls(**{**said, "files": _files(said["files"]), "superseded": tuple(said["superseded"]), "facts": facts})


def _told(files: Sequence[StarFile]) -> list[dict[str, Any]]:
    return [asdict(file) | {"date": file.date.isoformat()} for file in files]


def _files(said: Sequence[Mapping[str, Any]]) -> tuple[StarFile, ...]:
    return tuple(
        StarFile(one["file_id"], one["seq"], dt.date.fromisoformat(one["date"]), tuple(one["objects"]), one["rows"]) for one in said
    )


def check_format(said: Mapping[str, Any]) -> None:
    if said["format"] != FORMAT:
        raise ValueError(f"a request of format {said['format']!r}; this code reads format {FORMAT}")
