"""A file's contribution to state from its bronze rows, without Spark: to make a lost object again, and to hold one against the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from include.feeds.transactions.state import PARTIALS

OF_BRONZE = ("merchant", "customer", "gender", "amount_cents", "_line")
_ORDER = [("merchant", "ascending"), ("customer", "ascending"), ("seq", "ascending")]


def contribution(seq: int, bronze: pa.Table) -> pa.Table:
    """One row per merchant and customer of a file; the gender is that of the first line.

    >>> rows = {"merchant": ["m", "m"], "customer": ["c", "c"], "gender": ["M", "F"], "amount_cents": [2, 3], "_line": [9, 4]}
    >>> contribution(7, pa.table(rows)).to_pylist()
    [{'seq': 7, 'merchant': 'm', 'customer': 'c', 'n': 2, 'cents': 5, 'gender': 'F'}]
    """
    grouped = bronze.sort_by("_line").group_by(["merchant", "customer"], use_threads=False)
    sums = grouped.aggregate([("amount_cents", "count"), ("amount_cents", "sum"), ("gender", "first")])
    named = sums.rename_columns({"amount_cents_count": "n", "amount_cents_sum": "cents", "gender_first": "gender"})
    seqs = pa.array([seq] * named.num_rows, pa.int64())
    return named.append_column("seq", seqs).select(PARTIALS.names).cast(PARTIALS)


def contributions(parts: Iterable[pa.Table]) -> pa.Table:
    """The contributions of a batch's files as one object holds them, by (merchant, customer, seq)."""
    return pa.concat_tables(parts).sort_by(_ORDER).combine_chunks()


def sums_by_seq(partials: pa.Table) -> dict[int, tuple[int, int]]:
    """Rows and cents of each file that a batch's object holds."""
    sums = partials.group_by("seq").aggregate([("n", "sum"), ("cents", "sum")])
    return {row["seq"]: (row["n_sum"], row["cents_sum"]) for row in sums.to_pylist()}


def sums_by_merchant(pieces: Iterable[pa.Table]) -> dict[str, int]:
    """Transactions of each merchant over state objects that together hold every seq once."""
    totals: dict[str, int] = {}
    for piece in pieces:
        for row in piece.group_by("merchant").aggregate([("n", "sum")]).to_pylist():
            totals[row["merchant"]] = totals.get(row["merchant"], 0) + row["n_sum"]
    return totals


def same_rows(one: Iterator[pa.Table], other: Iterator[pa.Table]) -> bool:
    """Whether two streams of tables hold the same rows in the same order, however they are cut."""
    left, right = _next(one), _next(other)
    while left is not None and right is not None:
        size = min(left.num_rows, right.num_rows)
        if not left.slice(0, size).equals(right.slice(0, size)):
            return False
        left = left.slice(size) if left.num_rows > size else _next(one)
        right = right.slice(size) if right.num_rows > size else _next(other)
    return left is None and right is None


def _next(pieces: Iterator[pa.Table]) -> pa.Table | None:
    return next((piece for piece in pieces if piece.num_rows), None)
