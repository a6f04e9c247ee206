"""What the jobs of the star are asked, as values: exact objects, and where their results go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from include.feeds.message import JobRequest

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


@dataclass(frozen=True, kw_only=True)
class FactsRequest(JobRequest):
    """Sum these files of facts up, take out those that they supersede, and find what is unusual in the new ones.

    Attributes:
        files: the batch, in seq order.
        superseded: files whose effects are taken out.
        versions: the object that holds the versions of each dimension that has any, by feed.
    """

    files: tuple[StarFile, ...]
    superseded: tuple[StarFile, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class DimensionRequest(JobRequest):
    """Put these files of upserts into a dimension, take out those that they supersede, and look again at the facts this touches.

    Attributes:
        files: the batch, in seq order.
        superseded: files that no longer count.
        upserts, versions: the objects that hold the dimension as of before the batch; None before its first.
        facts: every file of facts in force.
    """

    files: tuple[StarFile, ...]
    superseded: tuple[int, ...]
    upserts: str | None
    versions: str | None
    facts: tuple[PublishedFacts, ...]
