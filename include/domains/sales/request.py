"""What the jobs of sales are asked, and the manifests that they leave: exact objects, and where their results go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from include.pipeline.message import BatchRequest, JobFile, JobObject, JobObjects, JobRequest, Manifest


@dataclass(frozen=True, kw_only=True)
class DatedFile(JobFile):
    """A file with its date, from which what it says may hold."""

    date: dt.date


@dataclass(frozen=True)
class PublishedFacts:
    """A file of facts in force: the first days of its first and last month, and whether it names products that are unknown."""

    file_id: int
    objects: tuple[str, ...]
    first_month: dt.date
    last_month: dt.date
    unknown_products: bool


@dataclass(frozen=True, kw_only=True)
class FactsRequest(BatchRequest):
    """Sum these files of facts up, take out those that they supersede, and find what is unusual in the new ones.

    Attributes:
        superseded: files whose effects are taken out.
        versions: the object that holds the versions of each dimension that has any, by feed.
    """

    job: ClassVar[str] = "sum_sales_facts"
    superseded: tuple[JobFile, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class FactsObjects(JobObjects):
    sums: JobObject
    findings: Annotated[JobObject, Field(alias="unusual")]


@dataclass(frozen=True, kw_only=True)
class FactsManifest(Manifest):
    objects: FactsObjects


@dataclass(frozen=True, kw_only=True)
class DimensionRequest(BatchRequest):
    """Put these files of upserts into a dimension, take out those that they supersede, and look again at the facts this touches.

    Attributes:
        superseded: files that no longer count.
        upserts, versions: the objects that hold the dimension as of before the batch; None before its first.
        facts: every file of facts in force.
    """

    job: ClassVar[str] = "version_sales_dimension"
    files: tuple[DatedFile, ...]
    superseded: tuple[int, ...]
    upserts: str | None
    versions: str | None
    facts: tuple[PublishedFacts, ...]


@dataclass(frozen=True)
class DimensionObjects(JobObjects):
    """The dimension after the batch (upserts, versions), and of it what the batch changed; what is unusual in facts looked at again."""

    upserts: JobObject
    versions: JobObject
    changed: JobObject
    touched_keys: Annotated[JobObject, Field(alias="touched")]
    findings: Annotated[JobObject, Field(alias="unusual")]


@dataclass(frozen=True)
class LookedAtAgain:
    """The facts that were looked at once more: those of these files with these products' names."""

    product_names: tuple[str, ...] | None = None
    file_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class DimensionManifest(Manifest):
    objects: DimensionObjects
    again: LookedAtAgain = LookedAtAgain()


@dataclass(frozen=True, kw_only=True)
class LakeFactsRequest(FactsRequest):
    """Put these files of facts into the lake, in place of those that they supersede."""

    job: ClassVar[str] = "lake_sales_facts"


@dataclass(frozen=True, kw_only=True)
class LakeDimensionRequest(JobRequest):
    """Put a dimension as it is after a batch into the lake, and give the facts there the keys that they have now.

    Attributes:
        before: the object with its versions as of before the batch; None before its first.
        after: that with its versions after it.
    """

    job: ClassVar[str] = "lake_sales_dimension"
    before: str | None
    after: str


@dataclass(frozen=True, kw_only=True)
class LakeManifest(Manifest):
    """`rewritten`: how many files and months of facts got other keys."""

    rewritten: int | None = None


@dataclass(frozen=True, kw_only=True)
class LakeCheckRequest(JobRequest):
    """Count what the lake's table of a feed holds, and what of it differs from the versions in force. Nobody writes it meanwhile.

    Attributes:
        versions: the object that holds the versions of each dimension that has any, by feed.
    """

    job: ClassVar[str] = "check_sales_lake"
    versions: Mapping[str, str]


@dataclass(frozen=True)
class LakeCheckObjects(JobObjects):
    sums: JobObject | None = None


@dataclass(frozen=True, kw_only=True)
class LakeCheckManifest(Manifest):
    """`mismatches`: how many rows are not as they should be, by what was looked at."""

    objects: LakeCheckObjects
    mismatches: Annotated[Mapping[str, int], Field(alias="differing")]


@dataclass(frozen=True, kw_only=True)
class PartitionRequest(JobRequest):
    """Write the months of the lake's facts that are not as they were at the refresh before.

    Attributes:
        months: what each month was made of then: a digest of the names of its data files.
        folder: where the months go, in folders by month and store.
    """

    job: ClassVar[str] = "partition_sales"
    months: Mapping[str, str]
    folder: str


@dataclass(frozen=True, kw_only=True)
class PartitionManifest(Manifest):
    """As of which version of the lake's facts, what each month of it was made of, and which of them were written."""

    delta_version: int
    months: Mapping[str, str]
    changed: tuple[str, ...]
