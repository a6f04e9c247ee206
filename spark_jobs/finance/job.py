"""The job of stocks and mutual funds: of each id in each file of a batch the latest row, and what is unusual in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pyarrow as pa

from include.domains.finance.request import LatestManifest, LatestObjects, LatestRequest
from include.domains.finance.schema import FINDINGS, LATEST, Latest
from spark_jobs.attempt import JobRun, counted_files, objects_of, seq_of_each_file
from spark_jobs.io import query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_REST = 100  # bytes of a row beside its texts


def run(job: JobRun[LatestRequest]) -> LatestManifest:
    """Evaluate a batch and leave the results under its attempt.

    Raises:
        JobFailed: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    latest, files = LATEST[job.request.feed], job.request.files
    counted = []
    if objects := objects_of(files):
        rows = job.read(latest.bronze, objects)
        seq = f"{seq_of_each_file(files)} as seq"
        named = rows.selectExpr(*latest.columns.names, "without_zone", "_file_id as file_id", "_line as line", seq)
        counted = count(named, latest).toArrow().to_pylist()
        size = sum(row["bytes"] for row in counted)
        upserts, _ = job.put_rows("upserts", latest_rows(named, latest), latest.upserts, ("seq", latest.key), size)
    else:
        upserts = job.put_table("upserts", latest.upserts.empty_table())
    picked = time.perf_counter()
    met = counted_files(files, {row["file_id"]: row["rows"] for row in counted})
    findings = [
        {"file_id": row["file_id"], "column": "timestamp", "what": "without_zone", "rows": row["unzoned"], "first_line": row["first_line"]}
        for row in sorted(counted, key=lambda row: int(row["file_id"]))
        if row["unzoned"]
    ]
    objects_left = LatestObjects(upserts, job.put_table("findings", pa.Table.from_pylist(findings, FINDINGS)))
    head = job.head({"pick": picked - started, "write": time.perf_counter() - picked})
    return job.leave(LatestManifest(**head, objects=objects_left, files=met))


def latest_rows(rows: DataFrame, latest: Latest) -> DataFrame:
    """Of each id in each file the row with the highest (timestamp, line); rows also have `file_id`, `line` and `seq`."""
    return query(
        f"""select {", ".join(latest.upserts.names)}
            from (select *, row_number() over (partition by file_id, {latest.key} order by {latest.at} desc, line desc) as place
                  from {{rows}})
            where place = 1""",
        rows=rows,
    )


def count(rows: DataFrame, latest: Latest) -> DataFrame:
    """Of each file how many rows it has and about how many bytes, in how many the timestamp has no zone, and the first line of these."""
    texts = [field.name for field in latest.upserts if pa.types.is_string(field.type)]
    size = " + ".join(f"coalesce(octet_length({name}), 0)" for name in texts)
    return query(
        f"""select file_id, count(*) as rows, sum({_REST} + {size}) as bytes, count_if(without_zone) as unzoned,
                   min(if(without_zone, line, null)) as first_line
            from {{rows}} group by file_id""",
        rows=rows,
    )
