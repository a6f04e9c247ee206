"""The job of stocks and mutual funds, on a folder."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from include.domains.finance.request import LatestRequest
from include.domains.finance.schema import FINDINGS, FUNDS
from include.errors import JobFailed
from include.pipeline.message import JobFile
from include.storage.parquet import parquet_bytes, parquet_table
from spark_jobs import attempt
from spark_jobs.attempt import JobRun
from spark_jobs.finance import job
from tests.spark.conftest import FolderStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOON = dt.datetime(2026, 4, 1, 12, tzinfo=dt.UTC)


def row(file_id: int, line: int, fund_id: int, minutes: int, *, zone: bool = True) -> dict[str, Any]:
    said = {"fund_id": fund_id, "company_id": 7, "name": f"line {line}", "holdings": Decimal("1.000001"), "additional_column": None}
    return {**said, "fund_timestamp": NOON + dt.timedelta(minutes=minutes), "without_zone": not zone, "_file_id": file_id, "_line": line}


def asked(store: FolderStore, rows: list[dict[str, Any]], *, counted: dict[int, int] | None = None) -> LatestRequest:
    files = []
    for file_id in sorted({one["_file_id"] for one in rows}):
        mine = [one for one in rows if one["_file_id"] == file_id]
        keys = []
        for part, some in enumerate((mine[: len(mine) // 2], mine[len(mine) // 2 :])):
            keys.append(f"bronze/{file_id}.{part}.parquet")
            store.put("b", keys[-1], parquet_bytes(pa.Table.from_pylist(some, FUNDS.bronze)))
        files.append(JobFile(file_id, 10 + file_id, tuple(keys), (counted or {}).get(file_id, len(mine))))
    return LatestRequest(feed=FUNDS.spec.name, batch=3, attempt=1, bucket="b", files=tuple(files), output="state/x/")


def run(spark: SparkSession, request: LatestRequest, store: FolderStore) -> dict[str, Any]:
    return job.run(JobRun(store, request, spark, store.base)).to_json()  # type: ignore[arg-type]


def test_each_file_keeps_the_latest_row_of_an_id_in_whatever_order_rows_lie(spark: SparkSession, store: FolderStore) -> None:
    rows = [row(1, 1, 5, 0), row(1, 2, 5, 9), row(1, 3, 5, 9, zone=False), row(1, 4, 6, 0, zone=False), row(2, 1, 5, -5), row(2, 2, 8, 1)]
    random.Random(1).shuffle(rows)
    request = asked(store, rows)
    assert LatestRequest.from_json(request.to_json()) == request
    manifest = run(spark, request, store)
    upserts = parquet_table(store.read_bytes("b", manifest["objects"]["upserts"]["key"]))
    assert upserts.schema.remove_metadata() == FUNDS.upserts
    assert [(one["seq"], one["fund_id"], one["line"], one["name"]) for one in upserts.to_pylist()] == [
        (11, 5, 3, "line 3"),
        (11, 6, 4, "line 4"),
        (12, 5, 1, "line 1"),
        (12, 8, 2, "line 2"),
    ]
    findings = parquet_table(store.read_bytes("b", manifest["objects"]["findings"]["key"]))
    assert findings.schema.remove_metadata() == FINDINGS
    assert findings.to_pylist() == [{"file_id": 1, "column": "timestamp", "what": "without_zone", "rows": 2, "first_line": 3}]
    assert manifest["files"] == [{"file_id": 1, "seq": 11, "rows": 4}, {"file_id": 2, "seq": 12, "rows": 2}]


def test_rows_that_spark_writes_are_those_that_come_through_the_driver(
    spark: SparkSession, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {"additional_column": '{"terms":"' + "x" * 5_000 + '"}'}
    rows = [row(file_id, line, line % 7, line) | (long if line % 3 else {}) for file_id in (1, 2) for line in range(1, 40)]
    request = asked(store, rows)
    few = run(spark, request, store)["objects"]
    through_the_driver = parquet_table(store.read_bytes("b", few["upserts"]["key"]))
    monkeypatch.setattr(attempt, "IN_THE_DRIVER_BYTES", 1_000)
    many = run(spark, request, store)["objects"]
    assert parquet_table(store.read_bytes("b", many["upserts"]["key"])) == through_the_driver
    assert (many["upserts"]["rows"], many["findings"]) == (14, few["findings"])
    assert [stamp.key for stamp in store.objects("b", request.output + "upserts/")] == []


def test_bronze_that_is_not_what_the_gate_counted_is_told(spark: SparkSession, store: FolderStore) -> None:
    request = asked(store, [row(1, 1, 5, 0)], counted={1: 2})
    with pytest.raises(JobFailed, match="bronze of file 1 \\(seq 11\\) holds 1 rows where its gate counted 2"):
        run(spark, request, store)
