"""Parquet objects that are read piece by piece."""

from __future__ import annotations

import io
import itertools

import pyarrow as pa

from include.storage.parquet import Spooled, parquet_bytes

ROWS = pa.table({"line": pa.array(range(150_000), pa.int64()), "value": pa.array([None, "", "a"] * 50_000)})


def test_a_spooled_object_gives_all_rows_in_order_as_often_as_it_is_asked() -> None:
    spooled = Spooled(io.BytesIO(parquet_bytes(ROWS)))
    assert spooled.num_rows == 150_000
    for _ in range(2):
        pieces = list(spooled.pieces())
        assert pa.concat_tables(pieces) == ROWS
        assert len(pieces) >= 3


def test_a_spooled_object_gives_only_the_columns_that_are_asked_for() -> None:
    spooled = Spooled(io.BytesIO(parquet_bytes(ROWS)))
    assert pa.concat_tables(spooled.pieces(["value"])) == ROWS.select(["value"])


def test_two_readers_of_a_spooled_object_do_not_disturb_each_other() -> None:
    spooled = Spooled(io.BytesIO(parquet_bytes(ROWS)))
    first = spooled.pieces(["line"])
    begun = next(first)
    assert pa.concat_tables(spooled.pieces(["line"])) == ROWS.select(["line"])
    assert pa.concat_tables(itertools.chain([begun], first)) == ROWS.select(["line"])


def test_an_object_without_rows_has_no_pieces_with_rows() -> None:
    spooled = Spooled(io.BytesIO(parquet_bytes(ROWS.slice(0, 0))))
    assert spooled.num_rows == 0
    assert sum(piece.num_rows for piece in spooled.pieces()) == 0
