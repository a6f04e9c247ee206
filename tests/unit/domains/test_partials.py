"""A file's contribution to state, made from bronze rows alone; and streams of rows held against each other."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

from include.domains.transactions.partials import contribution, contributions, same_rows, sums_by_merchant, sums_by_seq

ROWS = [("m2", "c1", "F", 100, 2), ("m1", "c2", "M", 5, 3), ("m1", "c1", "E", 1, 5), ("m1", "c1", "F", 2, 4)]


def bronze(rows: Sequence[tuple[str, str, str, int, int]]) -> pa.Table:
    return pa.table(dict(zip(("merchant", "customer", "gender", "amount_cents", "_line"), zip(*rows, strict=True), strict=True)))


def test_a_batch_holds_one_row_per_merchant_customer_and_file_in_that_order() -> None:
    whole = contributions([contribution(9, bronze(ROWS)), contribution(8, bronze(ROWS[:1]))])
    assert [tuple(row.values()) for row in whole.to_pylist()] == [
        (9, "m1", "c1", 2, 3, "F"),
        (9, "m1", "c2", 1, 5, "M"),
        (8, "m2", "c1", 1, 100, "F"),
        (9, "m2", "c1", 1, 100, "F"),
    ]
    assert sums_by_seq(whole) == {8: (1, 100), 9: (4, 108)}
    assert sums_by_merchant([whole, whole.slice(3)]) == {"m1": 3, "m2": 3}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([[1, 2, 3]], [[1], [2, 3]], True),
        ([[1, 2], [], [3]], [[], [1, 2, 3]], True),
        ([], [[]], True),
        ([[1, 2, 3]], [[1, 2]], False),
        ([[1, 2]], [[1, 2], [3]], False),
        ([[1, 2, 3]], [[1, 3, 2]], False),
    ],
)
def test_two_streams_are_the_same_rows_however_they_are_cut(one: list[list[int]], other: list[list[int]], same: bool) -> None:
    assert same_rows(*(iter([pa.table({"n": pa.array(piece, pa.int64())}) for piece in stream]) for stream in (one, other))) is same
