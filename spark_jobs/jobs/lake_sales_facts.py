"""The job that puts a published batch of sales into the lake, in place of the files that it supersedes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from include.feeds.sales import lake as what
from include.feeds.sales.job import FactsRequest
from spark_jobs import io
from spark_jobs.attempt import leave_manifest
from spark_jobs.jobs.sum_sales_facts import resolved
from spark_jobs.lake import LakeTable
from spark_jobs.transforms import sales_lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from include.ingestion.ports import ObjectStore


def run(spark: SparkSession, request: FactsRequest, store: ObjectStore, base: str | None = None) -> dict[str, Any]:
    """Write the days and the facts, a commit each; whatever of it is there already stays. Returns the manifest, which is written last.

    `base` is where Spark finds the request's keys: its bucket through S3A, unless told otherwise.
    """
    started = time.perf_counter()
    base = base or f"s3a://{request.bucket}"
    bronze = accepted(spark, base, request)
    put_years(spark, base, request.batch, bronze)
    dated = time.perf_counter()
    table = fact_sales(spark, base)
    files = ", ".join(str(file.file_id) for file in (*request.files, *request.superseded))
    rows = sales_lake.facts(resolved(spark, request, base, bronze)).hint("rebalance", what.MONTH)
    table.replace_where(rows, request.batch, f"_file_id in ({files})")
    told = [{"file_id": file.file_id, "seq": file.seq, "rows": file.rows} for file in request.files]
    return leave_manifest(store, request, {}, told, {"dates": dated - started, "facts": time.perf_counter() - dated})


def accepted(spark: SparkSession, base: str, request: FactsRequest) -> DataFrame:
    """The accepted rows of the batch."""
    schema = io.structure(what.LAKE_BRONZE)
    objects = [key for file in request.files for key in file.objects]
    return io.read_objects(spark, schema, base, objects) if objects else spark.createDataFrame([], schema)


def put_years(spark: SparkSession, base: str, batch: int, facts: DataFrame) -> None:
    """Have all days of the years of these facts among the dates."""
    dates = LakeTable(base, what.GROUP, what.DIM_DATE)
    dates.ensure(spark, what.DATES)
    sold = facts.selectExpr("year(sales_date) as year").distinct()
    missing = sold.join(dates.read(spark).select("year").distinct(), on="year", how="left_anti").toArrow()["year"].to_pylist()
    if missing:
        years = sorted(missing)
        dates.replace_where(sales_lake.dates(spark, years), batch, f"year in ({', '.join(map(str, years))})")


def fact_sales(spark: SparkSession, base: str) -> LakeTable:
    """The table of facts, which is there from now on."""
    table = LakeTable(base, what.GROUP, what.FACT_SALES)
    table.ensure(spark, what.FACTS, [what.MONTH], what.LOOKED_FOR)
    return table
