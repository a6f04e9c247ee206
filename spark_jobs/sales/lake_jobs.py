"""The jobs of the lake of sales: published batches go into its Delta tables; what lies there is counted, and written as plain Parquet."""

from __future__ import annotations

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from include.domains.sales import schema as star
from include.domains.sales.hierarchy import flattened
from include.domains.sales.request import (
    LakeCheckManifest,
    LakeCheckObjects,
    LakeCheckRequest,
    LakeDimensionRequest,
    LakeFactsRequest,
    LakeManifest,
    PartitionManifest,
    PartitionRequest,
)
from include.pipeline.message import CountedFile
from include.storage.parquet import parquet_table
from spark_jobs.attempt import JobRun, R, objects_of
from spark_jobs.lake import LakeTable
from spark_jobs.sales import lake_rows
from spark_jobs.sales.sum_facts import resolved, versions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_OF_MANAGERS = ("manager_path", "top_manager_id", "manager_levels", "manager_circular")
_MONTH_OF_A_FILE = re.compile(rf"/{star.MONTH}=([0-9]{{4}}-[0-9]{{2}})/")


def put_facts(job: JobRun[LakeFactsRequest]) -> LakeManifest:
    """Put a published batch into the lake, in place of the files that it supersedes: the days and the facts, a commit each.

    Whatever of it is there already stays.
    """
    started = time.perf_counter()
    request = job.request
    bronze = job.read(star.LAKE_BRONZE, objects_of(request.files))
    put_years(job, bronze)
    dated = time.perf_counter()
    files = ", ".join(str(file.file_id) for file in (*request.files, *request.superseded))
    rows = lake_rows.facts(resolved(job, bronze)).hint("rebalance", star.MONTH)
    fact_sales(job).replace_where(rows, request.batch, f"_file_id in ({files})")
    written = tuple(CountedFile(file.file_id, file.seq, file.rows) for file in request.files)
    head = job.head({"dates": dated - started, "facts": time.perf_counter() - dated})
    return job.leave(LakeManifest(**head, files=written))


def put_years(job: JobRun[LakeFactsRequest], facts: DataFrame) -> None:
    """Have all days of the years of these facts among the dates."""
    dates = LakeTable(job.spark, job.base, star.GROUP, star.DIM_DATE)
    dates.ensure(star.LAKE_DATES)
    sold = facts.selectExpr("year(sales_date) as year").distinct()
    missing = sold.join(dates.read().select("year").distinct(), on="year", how="left_anti").toArrow()["year"].to_pylist()
    if missing:
        years = sorted(missing)
        dates.replace_where(lake_rows.dates(job.spark, years), job.request.batch, f"year in ({', '.join(map(str, years))})")


def fact_sales(job: JobRun[R]) -> LakeTable:
    """The table of facts, which is there from now on."""
    table = LakeTable(job.spark, job.base, star.GROUP, star.FACT_SALES)
    table.ensure(star.LAKE_FACTS, [star.MONTH], star.LOOKED_FOR)
    return table


def put_dimension(job: JobRun[LakeDimensionRequest]) -> LakeManifest:
    """Put a published dimension into the lake, and its keys into the facts there that have other ones now, a commit each.

    Whatever of it is there already stays.
    """
    started = time.perf_counter()
    dimension = star.DIMENSIONS[job.request.feed]
    table = LakeTable(job.spark, job.base, star.GROUP, dimension.table)
    table.overwrite(dimension_rows(job, job.request.after, dimension), job.request.batch)
    written = time.perf_counter()
    rewritten = _put_keys(job, dimension)
    head = job.head({"dimension": written - started, "facts": time.perf_counter() - written})
    return job.leave(LakeManifest(**head, rewritten=rewritten))


def dimension_rows(job: JobRun[R], key: str, dimension: star.Dimension) -> DataFrame:
    """A dimension as the lake has it, from the object with its versions."""
    if dimension is not star.SALES_TEAM:
        return lake_rows.dimension(versions(job, dimension.feed, key), dimension)
    team = flattened(parquet_table(job.store.read_bytes(job.request.bucket, key)))
    return lake_rows.dimension(job.spark.createDataFrame(team), dimension, *_OF_MANAGERS)


def _put_keys(job: JobRun[LakeDimensionRequest], dimension: star.Dimension) -> int:
    """Write the facts with other keys again, with the others of their file and month. How many files and months that were.

    What was not known before can only be in facts without a key; what was known means something else from a first day on. Delta's
    statistics rule out most of the facts with that.
    """
    request = job.request
    before, after = (lake_rows.meanings(versions(job, request.feed, key), dimension) for key in (request.before, request.after))
    changed = lake_rows.changes(before, after)
    (of,) = changed.selectExpr("count(*) as names", "min(if(known, first_day, null)) as first_day").collect()
    if not of["names"]:
        return 0
    table = fact_sales(job)
    looked_at = f"{dimension.surrogate} is null"
    if of["first_day"] is not None:
        looked_at += f" or {star.MONTH} >= '{of['first_day'].isoformat()[:7]}'"
    facts = table.read()
    concerned = lake_rows.out_of_date(facts.where(looked_at), changed, after, dimension).toArrow()
    if not concerned.num_rows:
        return 0
    files = ", ".join(str(file_id) for file_id in sorted(set(concerned["_file_id"].to_pylist())))
    months = ", ".join(f"'{month}'" for month in sorted(set(concerned[star.MONTH].to_pylist())))
    these = f"_file_id in ({files}) and {star.MONTH} in ({months})"
    rows = lake_rows.keyed(facts.where(these), after, dimension)
    table.replace_where(rows.hint("rebalance", star.MONTH), request.batch, these)
    return int(concerned.num_rows)


def check(job: JobRun[LakeCheckRequest]) -> LakeCheckManifest:
    """Count what the lake holds of a feed and what of it differs from the dimensions in force. Writes no table.

    Of facts: rows and totals by file and month, and how many have another key than they should, by dimension. Of a dimension: how
    many rows differ.
    """
    started = time.perf_counter()
    request, objects = job.request, LakeCheckObjects()
    mismatches: dict[str, int] = {}
    if request.feed == star.FACTS_FEED:
        facts = LakeTable(job.spark, job.base, star.GROUP, star.FACT_SALES).read()
        sums = lake_rows.sums(facts).toArrow().select(star.LAKE_SUMS.names).cast(star.LAKE_SUMS)
        objects = LakeCheckObjects(job.put_table("sums", sums))
        for feed, dimension in star.DIMENSIONS.items():
            now = lake_rows.meanings(versions(job, feed, request.versions.get(feed)), dimension)
            mismatches[dimension.surrogate] = _count(lake_rows.changed_keys(facts, now, dimension))
    else:
        dimension = star.DIMENSIONS[request.feed]
        there = LakeTable(job.spark, job.base, star.GROUP, dimension.table).read()
        should = dimension_rows(job, request.versions[request.feed], dimension)
        mismatches[dimension.table] = _count(lake_rows.changed_rows(there, should))
    return job.leave(LakeCheckManifest(**job.head({"check": time.perf_counter() - started}), objects=objects, mismatches=mismatches))


def _count(frame: DataFrame) -> int:
    return int(frame.collect()[0]["differing"])


def partition(job: JobRun[PartitionRequest]) -> PartitionManifest:
    """Write the months of the lake's facts that changed as plain Parquet, by month and store; the manifest says which these are."""
    started = time.perf_counter()
    request, table = job.request, fact_sales(job)
    version = table.version()
    facts = table.read(version)
    months = made_of(facts.inputFiles())
    changed = sorted(month for month, digest in months.items() if request.months.get(month) != digest)
    if changed:
        these = ", ".join(f"'{month}'" for month in changed)
        rows = facts.where(f"{star.MONTH} in ({these})").hint("rebalance", star.MONTH, "store_id")
        rows.write.partitionBy(star.MONTH, "store_id").parquet(f"{job.base}/{request.folder}")
    head = job.head({"partition": time.perf_counter() - started})
    return job.leave(PartitionManifest(**head, delta_version=version, months=months, changed=tuple(changed)))


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
