"""The job that writes the months of the lake's facts which changed as plain Parquet, by month and store."""

from __future__ import annotations

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from include.feeds.sales import lake as what
from include.feeds.sales.sets import PartitionRequest
from spark_jobs.attempt import leave_manifest
from spark_jobs.jobs.lake_sales_facts import fact_sales

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from include.ingestion.ports import ObjectStore

_MONTH_OF_A_FILE = re.compile(rf"/{what.MONTH}=([0-9]{{4}}-[0-9]{{2}})/")


def run(spark: SparkSession, request: PartitionRequest, store: ObjectStore, base: str | None = None) -> dict[str, Any]:
    """Write what changed below the request's folder; the manifest says which months there are, and which were written.

    `base` is where Spark finds the request's keys: its bucket through S3A, unless told otherwise.
    """
    started = time.perf_counter()
    base = base or f"s3a://{request.bucket}"
    table = fact_sales(spark, base)
    version = table.version(spark)
    facts = table.read(spark, version)
    months = made_of(facts.inputFiles())
    changed = sorted(month for month, digest in months.items() if request.months.get(month) != digest)
    if changed:
        these = ", ".join(f"'{month}'" for month in changed)
        rows = facts.where(f"{what.MONTH} in ({these})").hint("rebalance", what.MONTH, "store_id")
        rows.write.partitionBy(what.MONTH, "store_id").parquet(f"{base}/{request.folder}")
    seconds = {"partition": time.perf_counter() - started}
    return leave_manifest(store, request, {}, (), seconds, delta_version=version, months=months, changed=changed)


def made_of(files: Iterable[str]) -> dict[str, str]:
    """A digest of the names of each month's data files: Delta never gives a file other rows, so a month of the same files is the same.

    >>> sorted(made_of(["s3a://b/t/sales_month=2026-03/b.parquet", "s3a://b/t/sales_month=2026-03/a.parquet"]))
    ['2026-03']
    """
    by_month: dict[str, list[str]] = defaultdict(list)
    for file in files:
        month = _MONTH_OF_A_FILE.search(file)
        assert month is not None, "the table is partitioned by month"
        by_month[month[1]].append(file.rsplit("/", 1)[-1])
    return {month: hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest() for month, names in by_month.items()}
