"""The job of stocks and mutual funds: of each id in each file of a batch the latest row, and what is unusual in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from include.feeds.finance.job import LatestRequest
from include.feeds.finance.latest import FINDINGS, LATEST
from include.ingestion.errors import EnvironmentFailure
from spark_jobs import io
from spark_jobs.attempt import leave_manifest, put_table
from spark_jobs.transforms import latest_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from include.ingestion.ports import ObjectStore


def run(spark: SparkSession, request: LatestRequest, store: ObjectStore, base: str | None = None) -> dict[str, Any]:
    """Evaluate a batch and leave the results under its attempt; returns the manifest, which is written last.

    `base` is where Spark finds the request's keys: its bucket through S3A, unless told otherwise.

    Raises:
        EnvironmentFailure: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    latest = LATEST[request.feed]
    upserts, counted = latest.upserts.empty_table(), list[dict[str, Any]]()
    objects = [key for file in request.files for key in file.objects]
    if objects:
        rows = io.read_objects(spark, io.structure(latest.bronze), base or f"s3a://{request.bucket}", objects)
        seqs = ", ".join(f"{file.file_id}L, {file.seq}L" for file in request.files)
        named = rows.selectExpr(*latest.bronze.names[:-2], "_file_id as file_id", "_line as line", f"map({seqs})[_file_id] as seq")
        upserts = latest_rows.upserts(named, latest).toArrow().cast(latest.upserts)
        counted = latest_rows.counted(named).toArrow().to_pylist()
    picked = time.perf_counter()
    files = per_file(request, {row["file_id"]: row["rows"] for row in counted})
    findings = [
        {"file_id": row["file_id"], "column": "timestamp", "what": "without_zone", "rows": row["unzoned"], "first_line": row["first_line"]}
        for row in sorted(counted, key=lambda row: int(row["file_id"]))
        if row["unzoned"]
    ]
    tables = {
        "upserts": upserts.sort_by([("seq", "ascending"), (latest.key, "ascending")]),
        "findings": pa.Table.from_pylist(findings, FINDINGS),
    }
    written = {name: put_table(store, request, name, table) for name, table in tables.items()}
    return leave_manifest(store, request, written, files, {"pick": picked - started, "write": time.perf_counter() - picked})


def per_file(request: LatestRequest, rows: dict[int, int]) -> list[dict[str, Any]]:
    """Rows of each file, in seq order, compared with what the request counts.

    Raises:
        EnvironmentFailure: they differ, so bronze is not what the gate wrote.
    """
    for file in request.files:
        if rows.get(file.file_id, 0) != file.rows:
            found = rows.get(file.file_id, 0)
            what = f"bronze of file {file.file_id} (seq {file.seq}) holds {found} rows where its gate counted {file.rows}"
            raise EnvironmentFailure("Spark", what, "docs/runbooks/stuck-batch.md")
    return [{"file_id": file.file_id, "seq": file.seq, "rows": file.rows} for file in request.files]
