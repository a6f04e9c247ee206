"""The job of the sales facts: what a batch's files put into the marts and take out of them, and what is unusual in their rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, TypeVar

import pyarrow.compute as pc

from include.domains.sales import schema as star
from include.domains.sales.request import FactsManifest, FactsObjects, FactsRequest
from include.errors import JobFailed
from include.pipeline.message import CountedFile, JobFile, JobObject
from spark_jobs.attempt import JobRun, R, counted_files, objects_of, seq_of_each_file
from spark_jobs.sales import dimensions as sales_dimensions
from spark_jobs.sales import facts as sales_facts

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

Facts = TypeVar("Facts", bound=FactsRequest)

# Rows and cents by seq, and whether they are taken out.
Counted = dict[tuple[int, bool], tuple[int, int]]

# Sums in the order of their files and groups, what is put in before what is taken out.
_IN_ORDER = ", ".join(
    [*(f"{name} nulls last" for name in ("seq", "month", "customer_id", "store_id", "sales_person_id", "product_name")), "rows desc"]
)
COLUMNS = {dimension.names: dimension.surrogate for dimension in star.DIMENSIONS.values()}


def run(job: JobRun[FactsRequest]) -> FactsManifest:
    """Evaluate a batch and leave the results under its attempt.

    Raises:
        JobFailed: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    new = facts(job, job.request.files, 1)
    signed = [frame for frame in (new, facts(job, job.request.superseded, -1)) if frame is not None]
    counted: Counted = {}
    if signed:
        both = reduce(lambda some, more: some.unionAll(more), signed)
        sums, rows = job.write_table("sums", sales_facts.totals(both).select(*star.SUMS.names), _IN_ORDER)
        counted = counted_in(rows.pieces(["seq", "product_name", "rows", "total"]))
    else:
        sums = job.put_table("sums", star.SUMS.empty_table())
    summed = time.perf_counter()
    files = counted_as_asked(job.request, counted)
    found = None if new is None else sales_facts.findings(resolved(job, new), COLUMNS)
    findings = write_findings(job, found)
    head = job.head({"sums": summed - started, "unusual": time.perf_counter() - summed})
    return job.leave(FactsManifest(**head, objects=FactsObjects(sums, findings), files=files))


def facts(job: JobRun[FactsRequest], files: Sequence[JobFile], sign: int) -> DataFrame | None:
    """The accepted rows of these files, each with its `seq`; None where there are no files with rows."""
    objects = objects_of(files)
    if not objects:
        return None
    seq = f"{seq_of_each_file(files)} as seq"
    return job.read(star.BRONZE, objects).selectExpr(
        *star.BRONZE.names[:-2], "_file_id as file_id", "_line as line", seq, f"{sign} as sign"
    )


def resolved(job: JobRun[Facts], new: DataFrame) -> DataFrame:
    """The new facts with what their keys mean."""
    known = {feed: versions(job, feed, job.request.versions.get(feed)) for feed in star.DIMENSIONS}
    products = sales_dimensions.products_by_name(known["product"])
    return sales_facts.resolved(new, known["customer"], known["store"], known["sales_team"], products)


def versions(job: JobRun[R], feed: str, key: str | None) -> DataFrame:
    """The versions of a dimension; none where it has no object yet."""
    return job.read(star.DIMENSIONS[feed].versions, [key])


def write_findings(job: JobRun[R], found: DataFrame | None) -> JobObject:
    """What is unknown and whose price differs, in the order of the files' lines."""
    if found is None:
        return job.put_table("unusual", star.FACT_FINDINGS.empty_table())
    return job.write_table("unusual", found.select(*star.FACT_FINDINGS.names), "file_id, line, column nulls last")[0]


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


def counted_as_asked(request: FactsRequest, counted: Counted) -> tuple[CountedFile, ...]:
    """Rows and cents of each new file, in seq order, after all that was counted was compared with what the request counts.

    Raises:
        JobFailed: they differ, so bronze is not what the gate wrote.
    """
    added, amounts = ({file.file_id: counted.get((file.seq, False), (0, 0))[place] for file in request.files} for place in (0, 1))
    files = counted_files(request.files, added, amounts)
    for seq in sorted({file.seq for file in request.superseded}):
        expected = sum(file.rows for file in request.superseded if file.seq == seq)
        found = counted.get((seq, True), (0, 0))[0]
        if found != expected:
            raise JobFailed(f"bronze of the files that seq {seq} supersedes holds {found} rows where the gate counted {expected}")
    return files
