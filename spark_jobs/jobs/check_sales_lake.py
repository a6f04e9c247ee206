"""The job that counts what the lake holds of a feed of sales, and what of it differs from the dimensions in force. Writes no table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from include.feeds.sales import lake as what
from include.feeds.sales import star
from include.feeds.sales.lake import LakeCheckRequest
from spark_jobs.attempt import leave_manifest, put_table
from spark_jobs.jobs.lake_sales_dimension import dimension_rows
from spark_jobs.jobs.sum_sales_facts import versions
from spark_jobs.lake import LakeTable
from spark_jobs.transforms import sales_lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from include.ingestion.ports import ObjectStore


def run(spark: SparkSession, request: LakeCheckRequest, store: ObjectStore, base: str | None = None) -> dict[str, Any]:
    """Of facts: rows and totals by file and month, and how many have another key than they should, by dimension. Of a dimension: how
    many rows differ. Returns the manifest.

    `base` is where Spark finds the request's keys: its bucket through S3A, unless told otherwise.
    """
    started = time.perf_counter()
    base = base or f"s3a://{request.bucket}"
    objects, differing = {}, {}
    if request.feed == star.FACTS:
        facts = LakeTable(base, what.GROUP, what.FACT_SALES).read(spark)
        sums = sales_lake.sums(facts).toArrow().select(what.SUMS.names).cast(what.SUMS)
        objects["sums"] = put_table(store, request, "sums", sums)
        for feed, dimension in star.DIMENSIONS.items():
            now = sales_lake.meanings(versions(spark, base, feed, request.versions.get(feed)), dimension)
            differing[dimension.surrogate] = _count(sales_lake.differing_keys(facts, now, dimension))
    else:
        dimension = star.DIMENSIONS[request.feed]
        there = LakeTable(base, what.GROUP, dimension.table).read(spark)
        should = dimension_rows(spark, store, request.bucket, base, request.versions[request.feed], dimension)
        differing[dimension.table] = _count(sales_lake.differing_rows(there, should))
    return leave_manifest(store, request, objects, (), {"check": time.perf_counter() - started}, differing=differing)


def _count(frame: DataFrame) -> int:
    return int(frame.collect()[0]["differing"])
