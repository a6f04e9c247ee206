"""The job that puts a published dimension into the lake, and its keys into the facts there that have other ones now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from include.feeds.parquet import parquet_table
from include.feeds.sales import lake as what
from include.feeds.sales import star
from include.feeds.sales.hierarchy import flattened
from include.feeds.sales.lake import LakeDimensionRequest
from spark_jobs.attempt import leave_manifest
from spark_jobs.jobs.lake_sales_facts import fact_sales
from spark_jobs.jobs.sum_sales_facts import versions
from spark_jobs.lake import LakeTable
from spark_jobs.transforms import sales_lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from include.ingestion.ports import ObjectStore

_OF_MANAGERS = ("manager_path", "top_manager_id", "manager_levels", "manager_circular")


def run(spark: SparkSession, request: LakeDimensionRequest, store: ObjectStore, base: str | None = None) -> dict[str, Any]:
    """Write the dimension and the facts concerned, a commit each; whatever of it is there already stays. Returns the manifest.

    `base` is where Spark finds the request's keys: its bucket through S3A, unless told otherwise.
    """
    started = time.perf_counter()
    base = base or f"s3a://{request.bucket}"
    dimension = star.DIMENSIONS[request.feed]
    table = LakeTable(base, what.GROUP, dimension.table)
    table.overwrite(dimension_rows(spark, store, request.bucket, base, request.after, dimension), request.batch)
    written = time.perf_counter()
    rewritten = _put_keys(spark, request, base, dimension)
    seconds = {"dimension": written - started, "facts": time.perf_counter() - written}
    return leave_manifest(store, request, {}, (), seconds, rewritten=rewritten)


def dimension_rows(spark: SparkSession, store: ObjectStore, bucket: str, base: str, key: str, dimension: star.Dimension) -> DataFrame:
    """A dimension as the lake has it, from the object with its versions."""
    if dimension is not star.SALES_TEAM:
        return sales_lake.dimension(versions(spark, base, dimension.feed, key), dimension)
    team = flattened(parquet_table(store.read_bytes(bucket, key)))
    return sales_lake.dimension(spark.createDataFrame(team), dimension, *_OF_MANAGERS)


def _put_keys(spark: SparkSession, request: LakeDimensionRequest, base: str, dimension: star.Dimension) -> int:
    """Write the facts with other keys again, with the others of their file and month. How many files and months that were.

    What was not known before can only be in facts without a key; what was known means something else from a first day on. Delta's
    statistics rule out most of the facts with that.
    """
    before, after = (sales_lake.meanings(versions(spark, base, request.feed, key), dimension) for key in (request.before, request.after))
    changed = sales_lake.changes(before, after)
    (of,) = changed.selectExpr("count(*) as names", "min(if(known, first_day, null)) as first_day").collect()
    if not of["names"]:
        return 0
    table = fact_sales(spark, base)
    looked_at = f"{dimension.surrogate} is null"
    if of["first_day"] is not None:
        looked_at += f" or {what.MONTH} >= '{of['first_day'].isoformat()[:7]}'"
    facts = table.read(spark)
    concerned = sales_lake.out_of_date(facts.where(looked_at), changed, after, dimension).toArrow()
    if not concerned.num_rows:
        return 0
    files = ", ".join(str(file_id) for file_id in sorted(set(concerned["_file_id"].to_pylist())))
    months = ", ".join(f"'{month}'" for month in sorted(set(concerned[what.MONTH].to_pylist())))
    these = f"_file_id in ({files}) and {what.MONTH} in ({months})"
    rows = sales_lake.keyed(facts.where(these), after, dimension)
    table.replace_where(rows.hint("rebalance", what.MONTH), request.batch, these)
    return int(concerned.num_rows)
