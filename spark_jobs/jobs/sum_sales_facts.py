"""The job of the sales facts: what a batch's files put into the marts and take out of them, and what is unusual in their rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from include.feeds.sales import star
from include.feeds.sales.job import FactsRequest, StarFile
from include.ingestion.errors import EnvironmentFailure
from spark_jobs import io
from spark_jobs.attempt import leave_manifest, put_table, write_table
from spark_jobs.transforms import sales_dimensions, sales_facts

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from include.feeds.message import JobRequest
    from include.ingestion.ports import ObjectStore

# Rows and cents by seq, and whether they are taken out.
Counted = dict[tuple[int, bool], tuple[int, int]]

# Sums in the order of their files and groups, what is put in before what is taken out.
_IN_ORDER = ", ".join(
    [*(f"{name} nulls last" for name in ("seq", "month", "customer_id", "store_id", "sales_person_id", "product_name")), "rows desc"]
)
_EMPTY = {"sums": star.SUMS, "unusual": star.UNUSUAL}
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
    objects = {name: put_table(store, request, name, schema.empty_table()) for name, schema in _EMPTY.items() if not signed or new is None}
    counted: Counted = {}
    if signed:
        both = reduce(lambda some, more: some.unionAll(more), signed)
        objects["sums"], sums = write_table(store, request, base, "sums", sales_facts.totals(both).select(*star.SUMS.names), _IN_ORDER)
        counted = counted_in(sums.pieces(["seq", "product_name", "rows", "total"]))
    summed = time.perf_counter()
    files = per_file(request, counted)
    if new is not None:
        found = sales_facts.unusual(resolved(spark, request, base, new), COLUMNS)
        objects["unusual"] = write_unusual(store, request, base, found)
    seconds = {"sums": summed - started, "unusual": time.perf_counter() - summed}
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


def write_unusual(store: ObjectStore, request: JobRequest, base: str, found: DataFrame) -> dict[str, Any]:
    """What is unknown and whose price differs, in the order of the files' lines."""
    return write_table(store, request, base, "unusual", found.select(*star.UNUSUAL.names), "file_id, line, column nulls last")[0]


def counted_in(sums: Iterable[pa.Table]) -> Counted:
    """Rows and cents by seq, of what is put in and of what is taken out."""
    counted: Counted = {}
    for piece in sums:
        by_product = piece.filter(pc.is_valid(piece["product_name"]))
        signed = by_product.append_column("gone", pc.less(by_product["rows"], 0))
        for row in signed.group_by(["seq", "gone"]).aggregate([("rows", "sum"), ("total", "sum")]).to_pylist():
            rows, cents = counted.get((row["seq"], row["gone"]), (0, 0))
            counted[row["seq"], row["gone"]] = (rows + abs(row["rows_sum"]), cents + abs(int(row["total_sum"] * 100)))
    return counted


def per_file(request: FactsRequest, counted: Counted) -> list[dict[str, Any]]:
    """Rows and cents of each file, in seq order, compared with what the request counts.

    Raises:
        EnvironmentFailure: they differ, so bronze is not what the gate wrote.
    """
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
