"""The job of the sales facts through Spark: what it leaves under its attempt, and what it refuses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.domains.sales import schema as star
from include.domains.sales.request import FactsRequest
from include.errors import JobFailed
from include.pipeline.message import JobFile
from include.storage.parquet import parquet_bytes
from spark_jobs.attempt import JobRun
from spark_jobs.sales import sum_facts as sum_sales_facts
from tests.spark.conftest import FolderStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

D = Decimal
DAY, MONTH = dt.date(2026, 3, 14), dt.date(2026, 3, 1)
Fact = tuple[int, str, str]


def bronze(store: FolderStore, file_id: int, facts: Sequence[Fact], sold: dt.date = DAY) -> JobFile:
    """A file of facts (customer, product, price) of store 1 and seller 1."""
    rows = [
        {
            "customer_id": customer,
            "store_id": 1,
            "product_name": name,
            "sales_date": sold,
            "sales_person_id": 1,
            "price": D(price),
            "quantity": 1,
            "total_cost": D(price),
            "_file_id": file_id,
            "_line": line,
        }
        for line, (customer, name, price) in enumerate(facts, start=2)
    ]
    key = f"bronze/{file_id}.parquet"
    store.put("bucket", key, parquet_bytes(pa.Table.from_pylist(rows, schema=star.BRONZE)))
    return JobFile(file_id, file_id, (key,), len(facts))


def versions(store: FolderStore, feed: str, *rows: dict[str, Any]) -> str:
    schema = star.DIMENSIONS[feed].versions
    key = f"{feed}.parquet"
    known = [
        {**dict.fromkeys(schema.names), "valid_from": star.BEGINNING, "seq": 1, "line": 2, "file_id": 9, "surrogate": number, **row}
        for number, row in enumerate(rows, start=1)
    ]
    store.put("bucket", key, parquet_bytes(pa.Table.from_pylist(known, schema=schema)))
    return key


def request(files: Sequence[JobFile], known: dict[str, str], superseded: Sequence[JobFile] = ()) -> FactsRequest:
    return FactsRequest(
        feed="sales",
        batch=1,
        attempt=1,
        bucket="bucket",
        files=tuple(files),
        superseded=tuple(superseded),
        versions=known,
        output="state/sales/batch=00000001/attempt=1/",
    )


def run(spark: SparkSession, store: FolderStore, request: FactsRequest) -> dict[str, Any]:
    return sum_sales_facts.run(JobRun(store, request, spark, store.base)).to_json()  # type: ignore[arg-type]


def left(store: FolderStore, manifest: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(store.folder / manifest["objects"][name]["key"], partitioning=None).to_pylist()
    return rows


def test_what_is_unusual_is_left_in_line_order_as_one_object_that_the_manifest_names(spark: SparkSession, store: FolderStore) -> None:
    known = {
        "customer": versions(store, "customer", {"key": 1}),
        "store": versions(store, "store", {"key": 1}),
        "product": versions(store, "product", {"key": 5, "name": "salt", "current_price": D("2.00")}),
    }
    files = [bronze(store, 7, [(1, "salt", "2.00"), (3, "salt", "2.50"), (1, "rice", "9.99")]), bronze(store, 8, [(1, "salt", "2.01")])]
    manifest = run(spark, store, request(files, known))
    nobody = {"column": "sales_person_id", "value": "1"}
    nothing = dict.fromkeys(("product_name", "product_id", "valid_from", "price", "current_price"))
    salt = {
        "column": None,
        "value": None,
        "product_name": "salt",
        "product_id": 5,
        "valid_from": star.BEGINNING,
        "current_price": D("2.00"),
    }
    assert left(store, manifest, "unusual") == [
        {"file_id": 7, "line": 2, **nobody, **nothing},
        {"file_id": 7, "line": 3, "column": "customer_id", "value": "3", **nothing},
        {"file_id": 7, "line": 3, **nobody, **nothing},
        {"file_id": 7, "line": 3, **salt, "price": D("2.50")},
        {"file_id": 7, "line": 4, "column": "product_name", "value": "rice", **nothing},
        {"file_id": 7, "line": 4, **nobody, **nothing},
        {"file_id": 8, "line": 2, **nobody, **nothing},
        {"file_id": 8, "line": 2, **salt, "price": D("2.01")},
    ]
    assert manifest["objects"]["unusual"]["rows"] == 8
    there = sorted(
        path.name for path in (store.folder / "state/sales/batch=00000001/attempt=1").rglob("*") if not path.name.endswith(".crc")
    )
    assert [name for name in there if name not in {"sums", "unusual"}] == ["manifest.json", "sums.parquet", "unusual.parquet"]


def test_sums_are_exact_in_cents_and_what_is_taken_out_is_negative(spark: SparkSession, store: FolderStore) -> None:
    most = "9999999999.99"
    new, old = bronze(store, 8, [(1, "salt", most)] * 3), bronze(store, 7, [(1, "salt", "0.01")])
    gone = JobFile(7, 8, old.objects, 1)
    manifest = run(spark, store, request([new], {}, [gone]))
    by_product = [row for row in left(store, manifest, "sums") if row["product_name"]]
    assert [(row["seq"], row["month"], row["rows"], row["total"]) for row in by_product] == [
        (8, MONTH, 3, 3 * D(most)),
        (8, MONTH, -1, D("-0.01")),
    ]
    assert manifest["files"] == [{"file_id": 8, "seq": 8, "rows": 3, "cents": 3 * 999999999999}]


def test_bronze_with_fewer_rows_than_were_counted_is_refused(spark: SparkSession, store: FolderStore) -> None:
    short = bronze(store, 7, [(1, "salt", "2.00")])
    with pytest.raises(JobFailed, match=r"bronze of file 7 \(seq 7\) holds 1 rows where its gate counted 2"):
        run(spark, store, request([JobFile(7, 7, short.objects, 2)], {}))
