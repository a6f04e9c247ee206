"""Parquet before the gate: its columns are read as their text, and judged like any other file's."""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
import io
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.contract import Column, Contract, bigint
from include.domains.sales.feeds import PRODUCT, SALES
from include.errors import EnvironmentFailure
from include.files.verdict import Fault
from include.quality.parquet_text import text_of
from tests.unit.quality.desk import validated

KEY = "landing/transactions/a.parquet"
LENIENT = dataclasses.replace(SALES.contract, tolerance=Fraction(1))
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
    verdict, desk = validated(parquet(GOOD, **options), KEY, contract=SALES.contract, piece_bytes=piece_bytes)
    assert (verdict.fault, verdict.lines, verdict.rejected) == (None, 3, 0)
    csv = "\n".join(
        [",".join(GOOD), "1,2,soap,2026-11-20,3,2.50,3,7.50", "2,2,tea,2026-11-20,3,1.00,1,1.00", "3,2,soap,2026-11-20,3,0.05,2,0.10"]
    )
    as_text, text_desk = validated(csv.encode(), contract=SALES.contract)
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
        verdict, _ = validated(parquet(GOOD | {name: pa.array(np.array([1, 2, 3], np.float16)).cast(kind)}), KEY, contract=SALES.contract)
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
    verdict, desk = validated(content, KEY, contract=LENIENT)
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
    again, again_desk = validated(
        second["original"].replace("null", '"tea"').encode(), "landing/transactions/a.jsonl", contract=SALES.contract
    )
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
    verdict, desk = validated(parquet(GOOD | extras), KEY, contract=SALES.contract)
    assert desk.bronze(verdict)["additional_column"].to_pylist() == [
        '{"at":"2026-01-01T00:00:00Z","float":0.5,"list":[{"a":"1.5","b":"x"}],"money":1.50,"text":"1","true":true,"z":1}',
        None,
        '{"float":"nan","list":[],"true":false,"z":3}',
    ]


def test_texts_that_are_not_utf8_or_hold_a_nul_reject_their_row() -> None:
    raw = pa.array([b"soap", b"so\xffap", b"so\0ap"])
    broken = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    verdict, desk = validated(parquet(GOOD | {"product_name": broken}), KEY, contract=LENIENT)
    assert [(reject["line"], reject["columns"], reject["rules"]) for reject in desk.rejects(verdict)] == [
        ("2", "product_name", "text"),
        ("3", "product_name", "text"),
    ]
    assert desk.bronze(verdict)["product_name"].to_pylist() == ["soap"]
    verdict, desk = validated(parquet(GOOD | {"note": broken}), KEY, contract=LENIENT)
    assert [(reject["line"], reject["columns"]) for reject in desk.rejects(verdict)] == [("2", "note"), ("3", "note")]


BROKEN = pa.array(["soap", "so\0ap", None])
PADDED: dict[str, pa.Array] = {
    "string": BROKEN,
    "large_string": BROKEN.cast(pa.large_string()),
    "string_view": BROKEN.cast(pa.string_view()),
    "dictionary": BROKEN.dictionary_encode(),
    "dictionary of large_string": BROKEN.cast(pa.large_string()).dictionary_encode(),
}
NESTED: dict[str, pa.Array] = {
    "struct": pa.array([{"a": {"b": text}} for text in BROKEN.to_pylist()]),
    "list": pa.array([["x"], ["x", "so\0ap"], None]),
    "large list": pa.array([["x"], ["so\0ap", "x"], []], pa.large_list(pa.string())),
    "list of a fixed length": pa.array([["x"], ["so\0ap"], None], pa.list_(pa.string(), 1)),
    "map": pa.array([[("k", "v")], [("k\0", "v")], None], pa.map_(pa.string(), pa.string())),
    "dictionary in a list": pa.array([["x"], ["so\0ap"], None], pa.list_(pa.dictionary(pa.int32(), pa.string()))),
}


@pytest.mark.parametrize(
    "how", [{}, {"store_schema": False}, {"use_dictionary": False}, {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}]
)
@pytest.mark.parametrize("column", [*PADDED.values(), *NESTED.values()], ids=[*PADDED, *NESTED])
def test_a_nul_rejects_its_row_whatever_the_type_of_the_text(column: pa.Array, how: dict[str, Any]) -> None:
    if "column_encoding" in how:
        how = how | {"column_encoding": {"note" if pa.types.is_string(column.type) else "product_name": "DELTA_BYTE_ARRAY"}}
    verdict, desk = validated(parquet(GOOD | {"note": column}, **how), KEY, contract=LENIENT)
    assert [(reject["line"], reject["columns"], reject["reasons"]) for reject in desk.rejects(verdict)] == [
        ("2", "note", "note holds a NUL or is not UTF-8")
    ]
    assert len(desk.bronze(verdict)) == 2


@pytest.mark.parametrize("column", PADDED.values(), ids=PADDED)
def test_a_nul_in_a_column_of_the_contract_rejects_its_row_whatever_the_type_of_the_text(column: pa.Array) -> None:
    verdict, desk = validated(parquet(GOOD | {"product_name": column}), KEY, contract=LENIENT)
    assert [(reject["line"], reject["columns"], reject["rules"]) for reject in desk.rejects(verdict)] == [
        ("2", "product_name", "text"),
        ("3", "product_name", "not_null"),
    ]
    assert desk.bronze(verdict)["product_name"].to_pylist() == ["soap"]


def test_a_row_longer_than_a_line_may_be_and_values_above_the_limit_of_a_file_condemn_it() -> None:
    long = pa.array(["x", "y" * 1_001, "z"])
    contract = dataclasses.replace(SALES.contract, max_line_bytes=1_000)
    verdict, _ = validated(parquet(GOOD | {"note": long}), KEY, contract=contract)
    assert (verdict.fault, verdict.reason) == (Fault.LINE_TOO_LONG, "row 2 is longer than the 1,000 bytes that the contract allows")
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 3, pa.int32()), pa.array(["x" * 2_000_000]))
    verdict, _ = validated(parquet(GOOD | {"note": repeated}), KEY, contract=dataclasses.replace(SALES.contract, max_bytes=5_000_000))
    assert verdict.fault is Fault.TOO_LARGE
    assert verdict.reason == "the values of the rows have more than the 5,000,000 bytes that the contract allows; send it as smaller files"


def test_a_column_may_lie_in_a_struct() -> None:
    contract = Contract(
        1, (bigint("id"), Column("exchange", path=("details", "exchange")), Column("sector", True, path=("details", "sector")))
    )
    details = pa.array([{"exchange": "X", "sector": None}, {"exchange": None, "sector": "S"}, None, {"exchange": "Y", "sector": ""}])
    content = parquet({"id": pa.array([1, 2, 3, 4]), "details": details})
    verdict, desk = validated(content, KEY, contract=dataclasses.replace(contract, tolerance=Fraction(1)))
    assert desk.bronze(verdict).select(["id", "exchange", "sector"]).to_pylist() == [
        {"id": 1, "exchange": "X", "sector": None},
        {"id": 4, "exchange": "Y", "sector": None},
    ]
    assert json.loads(desk.rejects(verdict)[0]["original"]) == {"id": "2", "details": {"exchange": None, "sector": "S"}}


WHOLE = parquet(GOOD)
QUARANTINED_OUTCOME = [
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


@pytest.mark.parametrize(("content", "fault", "reason"), QUARANTINED_OUTCOME, ids=[reason[:40] for *_, reason in QUARANTINED_OUTCOME])
def test_what_condemns_a_file_of_parquet(content: bytes, fault: Fault, reason: str) -> None:
    verdict, _ = validated(content, KEY, contract=SALES.contract)
    assert verdict.fault is fault
    assert verdict.reason is not None
    assert reason in verdict.reason


def test_two_columns_of_one_name_condemn_the_file() -> None:
    table = pa.Table.from_arrays([*GOOD.values(), GOOD["price"]], [*GOOD, "price"])
    body = io.BytesIO()
    pq.write_table(table, body)
    assert validated(body.getvalue(), KEY, contract=SALES.contract)[0].fault is Fault.COLUMN_DOUBLED


def test_dates_and_timestamps_of_products_are_instants() -> None:
    at = pa.array([dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=5)))], pa.timestamp("ns", "UTC"))
    names = {"id": pa.array([1]), "name": pa.array(["x"]), "current_price": pa.array([5]), "old_price": pa.nulls(1)}
    content = parquet(names | {"created_date": pa.array([dt.date(2026, 1, 2)]), "updated_date": at, "expiry_date": pa.nulls(1)})
    verdict, desk = validated(content, KEY, contract=PRODUCT.contract)
    row = desk.bronze(verdict).to_pylist()[0]
    assert (row["created_date"].isoformat(), row["updated_date"].isoformat()) == ("2026-01-02T00:00:00+00:00", "2026-01-01T22:04:05+00:00")
    assert (row["current_price"], row["old_price"], row["expiry_date"]) == (Decimal("5.00"), None, None)


@pytest.mark.parametrize(
    "error", [pa.ArrowMemoryError("malloc of size 7 failed"), OSError(errno.ENOSPC, "full"), OSError(errno.EMFILE, "many")]
)
def test_what_runs_short_while_a_file_is_read_is_no_damage_of_it(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", short)
    with pytest.raises(EnvironmentFailure, match=r"this machine: .*docs/runbooks/out-of-resources\.md"):
        validated(parquet(GOOD), KEY, contract=SALES.contract)
