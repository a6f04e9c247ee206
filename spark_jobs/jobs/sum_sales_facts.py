"""The job of the sales facts: what a batch's files put into the marts and take out of them, and what is unusual in their rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from include.feeds.sales import star
from include.feeds.sales.job import FactsRequest, StarFile
from include.ingestion.errors import EnvironmentFailure
from spark_jobs import io
from spark_jobs.attempt import leave_manifest, put_table
from spark_jobs.transforms import sales_dimensions, sales_facts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from include.ingestion.ports import ObjectStore

COLUMNS = {dimension.names: dimension.surrogate for dimension in star.DIMENSIONS.values()}


def run(spark: SparkSession, request: FactsRequest, store: ObjectStore, base: str | None = None) -> dict[str, Any]:
    """Evaluate a batch and leave the results under its attempt; returns the manifest, which is written last.

    `base` is where Spark finds the request's keys: its bucket through S3A, unless told otherwise.

    Raises:
        EnvironmentFailure: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    base = base or f"s3a://{request.bucket}"
    new = facts(spark, base, request.files, 1)
    signed = [frame for frame in (new, facts(spark, base, request.superseded, -1)) if frame is not None]
    tables = {"sums": star.SUMS.empty_table(), "unresolved": star.UNRESOLVED.empty_table()}
    tables["price_differences"] = star.PRICE_DIFFERENCES.empty_table()
    if signed:
        both = reduce(lambda some, more: some.unionAll(more), signed)
        tables["sums"] = ordered(sales_facts.totals(both).toArrow().select(star.SUMS.names).cast(star.SUMS))
    summed = time.perf_counter()
    files = per_file(request, tables["sums"])
    if new is not None:
        tables |= unusual(sales_facts.unusual(resolved(spark, request, base, new), COLUMNS))
    looked_up = time.perf_counter()
    objects = {name: put_table(store, request, name, table) for name, table in tables.items()}
    seconds = {"sums": summed - started, "unusual": looked_up - summed, "write": time.perf_counter() - looked_up}
    return leave_manifest(store, request, objects, files, seconds)


def facts(spark: SparkSession, base: str, files: Sequence[StarFile], sign: int) -> DataFrame | None:
    """The accepted rows of these files, each with its `seq`; None where there are no files with rows."""
    keys = [key for file in files for key in file.objects]
    if not keys:
        return None
    rows = io.read_objects(spark, io.structure(star.BRONZE), base, keys)
    seqs = of_each_file({file.file_id: f"{file.seq}L" for file in files})
    return rows.selectExpr(*star.BRONZE.names[:-2], "_file_id as file_id", "_line as line", f"{seqs} as seq", f"{sign} as sign")


def of_each_file(values: Mapping[int, str]) -> str:
    """An SQL expression that gives each row the value of its file."""
    return f"map_from_arrays(array({', '.join(f'{file_id}L' for file_id in values)}), array({', '.join(values.values())}))[_file_id]"


def resolved(spark: SparkSession, request: FactsRequest, base: str, new: DataFrame) -> DataFrame:
    """The new facts with what their keys mean."""
    known = {feed: versions(spark, base, feed, request.versions.get(feed)) for feed in star.DIMENSIONS}
    products = sales_dimensions.products_by_name(known["product"])
    return sales_facts.resolved(new, known["customer"], known["store"], known["sales_team"], products)


def versions(spark: SparkSession, base: str, feed: str, key: str | None) -> DataFrame:
    """The versions of a dimension; none where it has no object yet."""
    schema = io.structure(star.DIMENSIONS[feed].versions)
    return spark.createDataFrame([], schema) if key is None else io.read_objects(spark, schema, base, [key])


def unusual(found: DataFrame) -> dict[str, pa.Table]:
    """What is unresolved and whose price differs, in the order of the files' lines."""
    told = found.toArrow()
    unknown = pc.is_valid(told["column"])
    by_line = [("file_id", "ascending"), ("line", "ascending")]
    unresolved = told.filter(unknown).select(star.UNRESOLVED.names).cast(star.UNRESOLVED)
    differing = told.filter(pc.invert(unknown)).select(star.PRICE_DIFFERENCES.names).cast(star.PRICE_DIFFERENCES)
    return {"unresolved": unresolved.sort_by([*by_line, ("column", "ascending")]), "price_differences": differing.sort_by(by_line)}


def ordered(sums: pa.Table) -> pa.Table:
    """Sums in the order of their files and groups, what is put in before what is taken out."""
    names = ("seq", "month", "customer_id", "store_id", "sales_person_id", "product_name")
    return sums.sort_by([*((name, "ascending") for name in names), ("rows", "descending")])


def per_file(request: FactsRequest, sums: pa.Table) -> list[dict[str, Any]]:
    """Rows and cents of each file, in seq order, compared with what the request counts.

    Raises:
        EnvironmentFailure: they differ, so bronze is not what the gate wrote.
    """
    by_product = sums.filter(pc.is_valid(sums["product_name"]))
    counted: dict[tuple[int, bool], tuple[int, int]] = {}
    for row in by_product.group_by(["seq"]).aggregate([]).to_pylist():
        of_file = by_product.filter(pc.equal(by_product["seq"], row["seq"]))
        for gone in (False, True):
            part = of_file.filter(pc.less(of_file["rows"], 0) if gone else pc.greater(of_file["rows"], 0))
            if part.num_rows:
                counted[row["seq"], gone] = (abs(pc.sum(part["rows"]).as_py()), abs(int(pc.sum(part["total"]).as_py() * 100)))
    for taken_out, files in ((False, request.files), (True, request.superseded)):
        for seq in sorted({file.seq for file in files}):
            expected = sum(file.rows for file in files if file.seq == seq)
            found = counted.get((seq, taken_out), (0, 0))[0]
            if found != expected:
                of = f"the files that seq {seq} supersedes" if taken_out else f"seq {seq}"
                what = f"bronze of {of} holds {found} rows where the gate counted {expected}"
                raise EnvironmentFailure("Spark", what, "docs/runbooks/stuck-batch.md")
    return [
        {"file_id": file.file_id, "seq": file.seq, "rows": file.rows, "cents": counted.get((file.seq, False), (0, 0))[1]}
        for file in request.files
    ]
