"""Parquet read within a bound of what its rows hold once they are decoded, however little they take encoded."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.storage.decoded import bounded_batches, bounded_tables, decoded_size, texts_of, widths

ROWS = 20_000
REPEATED = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array(["x" * 4096]))
WIDE = {
    "text": REPEATED,
    "text in a struct": pa.StructArray.from_arrays([REPEATED.cast(pa.string())], ["inner"]),
    "texts in a list": pa.array([["x" * 2048] * 2] * ROWS),
    "bytes of a fixed length": pa.array([b"x" * 4096] * ROWS, pa.binary(4096)),
    "a long list": pa.array([[7] * 512] * ROWS),
    "wide only at the end": pa.array(["x"] * (ROWS - 5_000) + ["x" * 16_384] * 5_000),
    "shared beginnings": pa.array(["x" * 4090 + f"{row:06}" for row in range(ROWS)]),
}


def written(column: pa.Array, **how: object) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table({"row": pa.array(range(len(column))), "value": column}), body, store_schema=False, compression="zstd", **how)
    return body.getvalue()


@pytest.mark.parametrize("name", WIDE)
def test_no_piece_holds_more_than_the_bound_and_none_is_lost(name: str) -> None:
    how = {"use_dictionary": False, "column_encoding": {"value": "DELTA_BYTE_ARRAY"}} if name == "shared beginnings" else {}
    body, row, before = written(WIDE[name], row_group_size=8_192, **how), 0, pa.total_allocated_bytes()
    for piece in bounded_tables(io.BytesIO(body), 65_536, 2**20):
        assert piece["row"].to_pylist() == list(range(row, row + len(piece)))
        assert piece["value"].combine_chunks() == WIDE[name].slice(row, len(piece)).cast(piece["value"].type)
        assert decoded_size(piece) <= 2**20
        row += len(piece)
    assert row == ROWS
    assert pa.total_allocated_bytes() - before < 2**23


@pytest.mark.parametrize("columns", [None, ["value"]])
def test_narrow_rows_are_read_many_at_a_time(columns: list[str] | None) -> None:
    body = written(pa.array([f"v{row % 7}" for row in range(ROWS)]))
    sizes = [len(piece) for piece in bounded_tables(io.BytesIO(body), 65_536, 2**24, columns)]
    assert sizes == [256, ROWS - 256]


def test_a_row_above_the_bound_comes_alone() -> None:
    body = written(pa.array(["a", "x" * 5_000, "b"]))
    with pq.ParquetFile(io.BytesIO(body), read_dictionary=["value"]) as file:
        assert texts_of(file) == ["value"]
        assert [len(batch) for batch in bounded_batches(file, 100, 1_000)] == [1, 1, 1]


TYPES = [
    (pa.array(["a", None, "bcd"]), [1, 0, 3]),
    (pa.array(["a", None, "bcd"], pa.large_string()), [1, 0, 3]),
    (pa.array(["a", None, "bcd"], pa.string_view()), [1, 0, 3]),
    (pa.array([b"a", None, b"bcd"], pa.binary_view()), [1, 0, 3]),
    (pa.array(["a", None, "bcd"]).dictionary_encode(), [1, 0, 3]),
    (pa.array([["a", "b"], None, []], pa.list_(pa.dictionary(pa.int32(), pa.string()))), [2, 0, 0]),
    (pa.array([["a", "b"], None, []], pa.list_view(pa.string())), [2, 0, 0]),
    (pa.array([[("k", "v")], None, []], pa.map_(pa.string(), pa.string())), [2, 0, 0]),
    (pa.array([{"t": "abc", "n": 1}, {"t": None, "n": 2}]), [11, 8]),
    (pa.array([b"x" * 16] * 2, pa.uuid()), [16, 16]),
    (pa.nulls(2), [0, 0]),
]


@pytest.mark.parametrize(("column", "expected"), TYPES, ids=[str(column.type) for column, _ in TYPES])
def test_a_value_is_as_wide_as_what_it_holds(column: pa.Array, expected: list[int]) -> None:
    assert widths(column).tolist() == expected
    assert widths(column.slice(1)).tolist() == expected[1:]
