"""The job of a dimension through Spark: what it leaves is the same whether rows come through the driver or Spark writes them."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from include.domains.sales import schema as star
from include.domains.sales.request import DatedFile, DimensionRequest
from include.storage.parquet import parquet_bytes, parquet_table
from spark_jobs import attempt
from spark_jobs.attempt import JobRun
from spark_jobs.sales import version_dimension as version_sales_dimension
from tests.spark.conftest import FolderStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAMES = ("upserts", "versions", "touched_keys", "changed")
# The ends of what files may say, which nanoseconds cannot.
INSTANTS = itertools.cycle([dt.datetime(1000, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC), None])


def product(number: int, line: int) -> dict[str, Any]:
    said = {"id": number, "name": f"product {number}", "current_price": Decimal("1.50"), "old_price": None, "_file_id": 1, "_line": line}
    more = {"additional_column": '{"terms":"' + "x" * 5_000 + '"}' if line % 3 else None}
    return said | more | {name: next(INSTANTS) for name in ("created_date", "updated_date", "expiry_date")}


def test_rows_that_spark_writes_are_those_that_come_through_the_driver(
    spark: SparkSession, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [product(line % 9, line) for line in range(2, 30)]
    store.put("bucket", "bronze/1.parquet", parquet_bytes(pa.Table.from_pylist(rows, star.PRODUCT.bronze)))
    asked = DimensionRequest(
        feed="product",
        batch=1,
        attempt=1,
        bucket="bucket",
        files=(DatedFile(1, 1, ("bronze/1.parquet",), len(rows), date=dt.date(2026, 3, 14)),),
        superseded=(),
        upserts=None,
        versions=None,
        facts=(),
        output="state/product/batch=00000001/attempt=1/",
    )
    found = []
    for most in (attempt.IN_THE_DRIVER_BYTES, 1_000):
        monkeypatch.setattr(attempt, "IN_THE_DRIVER_BYTES", most)
        objects = version_sales_dimension.run(JobRun(store, asked, spark, store.base)).objects  # type: ignore[arg-type]
        found.append({name: parquet_table(store.read_bytes("bucket", getattr(objects, name).key)) for name in NAMES})
    assert found[1] == found[0]
    assert found[0]["upserts"].num_rows == len(rows)
    assert {instant for instant in found[1]["upserts"]["expiry_date"].to_pylist() if instant} == {row["expiry_date"] for row in rows} - {
        None
    }
