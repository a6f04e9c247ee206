"""Parquet before the gate: its columns are read as their text, and judged like any other file's."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.feeds.product.contract import PRODUCT
from include.feeds.sales.contract import SALES
from include.ingestion.contract import Column, Contract, bigint
from include.ingestion.verdict import Fault
from include.quality.parquet_text import text_of
from tests.unit.quality.desk import judged

KEY = "landing/transactions/a.parquet"
LENIENT = dataclasses.replace(SALES, tolerance=Fraction(1))
GOOD: dict[str, pa.Array] = {
    "customer_id": pa.array([1, 2, 3], pa.int32()),
    "store_id": pa.array([2] * 3, pa.uint64()),
    "product_name": pa.array(["soap", "tea", "soap"]),
    "sales_date": pa.array([dt.date(2026, 11, 20)] * 3),
    "sales_person_id": pa.array(["3"] * 3),
    "price": pa.array([Decimal("2.50"), Decimal("1.00"), Decimal("0.05")], pa.decimal128(12, 2)),
    "quantity": pa.array([3, 1, 2], pa.int64()),
    "total_cost": pa.array([Decimal("7.50"), Decimal("1.00"), Decimal("0.10")], pa.decimal128(12, 2)),
}


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body, **options)
    return body.getvalue()


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}, {"row_group_size": 1}, {"store_schema": False}, {"version": "1.0"}])
@pytest.mark.parametrize("piece_bytes", [1, 8 * 2**20])
def test_rows_of_parquet_lie_in_bronze_as_those_of_text_do(options: dict[str, Any], piece_bytes: int) -> None:
    verdict, desk = judged(parquet(GOOD, **options), KEY, contract=SALES, piece_bytes=piece_bytes)
    assert (verdict.fault, verdict.lines, verdict.rejected) == (None, 3, 0)
    csv = "\n".join(
        [",".join(GOOD), "1,2,soap,2026-11-20,3,2.50,3,7.50", "2,2,tea,2026-11-20,3,1.00,1,1.00", "3,2,soap,2026-11-20,3,0.05,2,0.10"]
    )
    as_text, text_desk = judged(csv.encode(), contract=SALES)
    table = desk.bronze(verdict)
    assert table.drop_columns(["_line"]).equals(text_desk.bronze(as_text).drop_columns(["_line"]))
    assert table["_line"].to_pylist() == [1, 2, 3]


TEXTS = [
    (pa.array([1, None, -(2**63)]), ["1", None, "-9223372036854775808"]),
    (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
    (pa.array([Decimal("50.00"), Decimal("-0.10"), None], pa.decimal128(12, 2)), ["50.00", "-0.10", None]),
    (pa.array([Decimal("50.0000")], pa.decimal256(40, 4)), ["50.0000"]),
    (pa.array(["a", "", None, "é", "a"]), ["a", None, None, "é", "a"]),
    (pa.array(["a", "", "b"], pa.large_string()), ["a", None, "b"]),
    (pa.array(["a", "", None, "a"]).dictionary_encode(), ["a", None, None, "a"]),
    (pa.array([dt.date(2026, 2, 28), dt.date(1, 1, 1), None]), ["2026-02-28", "0001-01-01", None]),
    (pa.array([0, 86_400_000], pa.date64()), ["1970-01-01", "1970-01-02"]),
    (pa.array([0, 1_500_000, 90_000_000], pa.timestamp("us")), ["1970-01-01T00:00:00", "1970-01-01T00:00:01.5", "1970-01-01T00:01:30"]),
    (pa.array([0, 1_500], pa.timestamp("ms", "Asia/Kolkata")), ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z"]),
    (pa.array([1, 1_000], pa.timestamp("ns", "UTC")), ["1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:00.000001Z"]),
    (pa.array([10], pa.timestamp("s")), ["1970-01-01T00:00:10"]),
    (pa.array([True, False, None]), ["true", "false", None]),
    (pa.nulls(2), [None, None]),
]


@pytest.mark.parametrize(("column", "texts"), TEXTS, ids=[str(column.type) for column, _ in TEXTS])
def test_a_column_is_read_as_its_text(column: pa.Array, texts: list[str | None]) -> None:
    assert text_of(column).to_pylist() == texts


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
def test_a_float_column_for_money_or_anything_else_of_the_contract_condemns_the_file(kind: pa.DataType) -> None:
    for name in ("price", "quantity"):
        verdict, _ = judged(parquet(GOOD | {name: pa.array(np.array([1, 2, 3], np.float16)).cast(kind)}), KEY, contract=SALES)
        assert verdict.fault is Fault.COLUMN_TYPE
        assert verdict.reason == (
            f"the type of {name} ({kind}) is not one that is read: "
            "integer, decimal, date, timestamp, boolean or string, and never floating point"
        )


def test_rejected_rows_are_told_as_json_with_their_row_number_and_can_come_back() -> None:
    content = parquet(
        GOOD
        | {
            "quantity": pa.array([3, -1, 2]),
            "product_name": pa.array(["soap", 'é"', None]),
            "note": pa.array([None, "n", "m"]),
            "n": pa.array([1, None, 3]),
        }
    )  # fmt: skip
    verdict, desk = judged(content, KEY, contract=LENIENT)
    first, second = desk.rejects(verdict)
    assert (first["line"], first["columns"], first["rules"]) == ("2", "quantity;total_cost", "matches;product")
    assert json.loads(first["original"]) == {
        "customer_id": "2",
        "store_id": "2",
        "product_name": 'é"',
        "sales_date": "2026-11-20",
        "sales_person_id": "3",
        "price": "1.00",
        "quantity": "-1",
        "total_cost": "1.00",
        "note": "n",
    }
    assert (second["line"], second["columns"]) == ("3", "product_name")
    assert second["original"] == (
        '{"customer_id":"3","store_id":"2","product_name":null,"sales_date":"2026-11-20","sales_person_id":"3",'
        '"price":"0.05","quantity":"2","total_cost":"0.10","n":3,"note":"m"}'
    )
    again, again_desk = judged(second["original"].replace("null", '"tea"').encode(), "landing/transactions/a.jsonl", contract=SALES)
    assert again.accepted == 1
    assert again_desk.bronze(again)["additional_column"].to_pylist() == ['{"n":3,"note":"m"}']


def test_extra_columns_of_any_type_are_kept_as_json() -> None:
    extras = {
        "z": pa.array([1, None, 3]),
        "money": pa.array([Decimal("1.50"), None, None], pa.decimal128(9, 2)),
        "float": pa.array([0.5, None, float("nan")]),
        "at": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, None]),
        "list": pa.array([[{"a": Decimal("1.5"), "b": b"x"}], None, []]),
        "true": pa.array([True, None, False]),
        "text": pa.array(["1", None, ""]),
    }
    verdict, desk = judged(parquet(GOOD | extras), KEY, contract=SALES)
    assert desk.bronze(verdict)["additional_column"].to_pylist() == [
        '{"at":"2026-01-01T00:00:00Z","float":0.5,"list":[{"a":"1.5","b":"x"}],"money":1.50,"text":"1","true":true,"z":1}',
        None,
        '{"float":"nan","list":[],"true":false,"z":3}',
    ]


def test_texts_that_are_not_utf8_or_hold_a_nul_reject_their_row() -> None:
    raw = pa.array([b"soap", b"so\xffap", b"so\0ap"])
    broken = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    verdict, desk = judged(parquet(GOOD | {"product_name": broken}), KEY, contract=LENIENT)
    assert [(reject["line"], reject["columns"], reject["rules"]) for reject in desk.rejects(verdict)] == [
        ("2", "product_name", "text"),
        ("3", "product_name", "text"),
    ]
    assert desk.bronze(verdict)["product_name"].to_pylist() == ["soap"]
    verdict, desk = judged(parquet(GOOD | {"note": broken}), KEY, contract=LENIENT)
    assert [(reject["line"], reject["columns"]) for reject in desk.rejects(verdict)] == [("2", "note"), ("3", "note")]


def test_a_column_may_lie_in_a_struct() -> None:
    contract = Contract(
        1, (bigint("id"), Column("exchange", path=("details", "exchange")), Column("sector", True, path=("details", "sector")))
    )
    details = pa.array([{"exchange": "X", "sector": None}, {"exchange": None, "sector": "S"}, None, {"exchange": "Y", "sector": ""}])
    content = parquet({"id": pa.array([1, 2, 3, 4]), "details": details})
    verdict, desk = judged(content, KEY, contract=dataclasses.replace(contract, tolerance=Fraction(1)))
    assert desk.bronze(verdict).select(["id", "exchange", "sector"]).to_pylist() == [
        {"id": 1, "exchange": "X", "sector": None},
        {"id": 4, "exchange": "Y", "sector": None},
    ]
    assert json.loads(desk.rejects(verdict)[0]["original"]) == {"id": "2", "details": {"exchange": None, "sector": "S"}}


WHOLE = parquet(GOOD)
CONDEMNED = [
    (b"", Fault.EMPTY, "the file is empty"),
    (b"customer_id,store_id\n1,2\n", Fault.FORMAT, "the content cannot be read as Parquet"),
    (WHOLE[:-1], Fault.FORMAT, "the content cannot be read as Parquet"),
    (WHOLE[:40] + b"\xff" * 40 + WHOLE[80:], Fault.FORMAT, "the content cannot be read as Parquet"),
    (parquet({name: column[:0] for name, column in GOOD.items()}), Fault.NO_ROWS, "the file has no rows"),
    (parquet({name: column for name, column in GOOD.items() if name != "price"} | {"x": GOOD["price"]}), Fault.COLUMN_MISSING,
     "missing columns price (found: customer_id, store_id, product_name, sales_date, sales_person_id, quantity, total_cost, x)"),
    (parquet(GOOD | {"": GOOD["price"]}), Fault.COLUMN_UNNAMED, "a column (of 9) has no name"),
    (parquet(GOOD | {"price": pa.array([b"1", b"2", b"3"])}), Fault.COLUMN_TYPE, "price (binary)"),
    (parquet(GOOD | {"price": pa.array([[1], [2], [3]])}), Fault.COLUMN_TYPE, "price (list<"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "fault", "reason"), CONDEMNED, ids=[reason[:40] for *_, reason in CONDEMNED])
def test_what_condemns_a_file_of_parquet(content: bytes, fault: Fault, reason: str) -> None:
    verdict, _ = judged(content, KEY, contract=SALES)
    assert verdict.fault is fault
    assert verdict.reason is not None
    assert reason in verdict.reason


def test_two_columns_of_one_name_condemn_the_file() -> None:
    table = pa.Table.from_arrays([*GOOD.values(), GOOD["price"]], [*GOOD, "price"])
    body = io.BytesIO()
    pq.write_table(table, body)
    assert judged(body.getvalue(), KEY, contract=SALES)[0].fault is Fault.COLUMN_DOUBLED


def test_dates_and_timestamps_of_products_are_instants() -> None:
    at = pa.array([dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=5)))], pa.timestamp("ns", "UTC"))
    names = {"id": pa.array([1]), "name": pa.array(["x"]), "current_price": pa.array([5]), "old_price": pa.nulls(1)}
    content = parquet(names | {"created_date": pa.array([dt.date(2026, 1, 2)]), "updated_date": at, "expiry_date": pa.nulls(1)})
    verdict, desk = judged(content, KEY, contract=PRODUCT)
    row = desk.bronze(verdict).to_pylist()[0]
    assert (row["created_date"].isoformat(), row["updated_date"].isoformat()) == ("2026-01-02T00:00:00+00:00", "2026-01-01T22:04:05+00:00")
    assert (row["current_price"], row["old_price"], row["expiry_date"]) == (Decimal("5.00"), None, None)
