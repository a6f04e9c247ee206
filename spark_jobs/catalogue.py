"""The Spark jobs by name. Adding one: a module in `jobs`, a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from include.feeds.finance.job import JOB as LATEST_JOB
from include.feeds.finance.job import LatestRequest
from include.feeds.message import JobRequest
from include.feeds.sales.job import DIMENSION_JOB, FACTS_JOB, DimensionRequest, FactsRequest
from include.feeds.sales.lake import CHECK_LAKE_JOB, DIMENSION_LAKE_JOB, FACTS_LAKE_JOB, LakeCheckRequest, LakeDimensionRequest
from include.feeds.sales.sets import PARTITION_JOB, PartitionRequest
from include.feeds.transactions.job import JOB, DetectRequest
from include.ingestion.errors import UsageError
from spark_jobs.jobs import (
    check_sales_lake,
    detect_transactions,
    lake_sales_dimension,
    lake_sales_facts,
    partition_sales,
    pick_latest_rows,
    sum_sales_facts,
    version_sales_dimension,
)


@dataclass(frozen=True)
class SparkJob:
    """How a job reads what it is asked, and what it does: (session, request, store) -> manifest."""

    request: Callable[[Mapping[str, Any]], JobRequest]
    run: Callable[..., dict[str, Any]]


_JOBS = {
    JOB: SparkJob(DetectRequest.from_json, detect_transactions.run),
    FACTS_JOB: SparkJob(FactsRequest.from_json, sum_sales_facts.run),
    DIMENSION_JOB: SparkJob(DimensionRequest.from_json, version_sales_dimension.run),
    FACTS_LAKE_JOB: SparkJob(FactsRequest.from_json, lake_sales_facts.run),
    DIMENSION_LAKE_JOB: SparkJob(LakeDimensionRequest.from_json, lake_sales_dimension.run),
    CHECK_LAKE_JOB: SparkJob(LakeCheckRequest.from_json, check_sales_lake.run),
    LATEST_JOB: SparkJob(LatestRequest.from_json, pick_latest_rows.run),
    PARTITION_JOB: SparkJob(PartitionRequest.from_json, partition_sales.run),
}


def job_named(name: str) -> SparkJob:
    """The job of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in _JOBS:
        raise UsageError(f"there is no Spark job {name!r}; there are: {', '.join(sorted(_JOBS))}")
    return _JOBS[name]
