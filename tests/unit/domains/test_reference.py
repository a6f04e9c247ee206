"""The weight of a pair, against fractions: exact, whatever the order, the pieces and the size of the numbers."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domains.transactions.reference import mean_of_means, merged, sums, weights
from include.domains.transactions.schema import REFERENCE

Row = tuple[str, str, str, str]
NAMES = ("customer", "merchant", "transaction_type", "weight")
WEIGHT = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9})?", fullmatch=True)
ROWS = st.lists(
    st.tuples(st.sampled_from("abé"), st.sampled_from("mn\U0001f600\uffff"), st.sampled_from("xyz"), WEIGHT), min_size=1, max_size=40
)


def table(rows: list[Row]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table([pa.array(column, pa.string()) for column in columns], names=NAMES)


def naive(rows: list[Row]) -> list[tuple[str, str, int]]:
    """Straight from the definition."""
    found: dict[tuple[str, str], dict[str, list[Fraction]]] = defaultdict(lambda: defaultdict(list))
    for customer, merchant, kind, weight in rows:
        found[merchant, customer][kind].append(Fraction(weight))
    means = {pair: [sum(of) / len(of) for of in types.values()] for pair, types in found.items()}
    ordered = sorted(means.items(), key=lambda item: (item[0][0].encode(), item[0][1].encode()))
    return [(customer, merchant, round(sum(of) / len(of) * 10**9)) for (merchant, customer), of in ordered]


def as_tuples(found: pa.Table) -> list[tuple[str, str, int]]:
    return [(row["customer"], row["merchant"], row["weight_nano"]) for row in found.to_pylist()]


@settings(deadline=None)
@given(ROWS)
def test_weights_are_those_of_the_definition_in_order_of_merchant_and_customer(rows: list[Row]) -> None:
    found = weights(sums(table(rows)))
    assert as_tuples(found) == naive(rows)
    assert found.schema == REFERENCE


@settings(deadline=None)  # a busy machine is no failure
@given(ROWS, st.integers(1, 5), st.randoms())
def test_neither_the_pieces_nor_the_order_of_the_rows_matter(rows: list[Row], size: int, random: st.DrawFn) -> None:
    whole = weights(sums(table(rows)))
    random.shuffle(rows)
    pieces = [sums(table(rows[start : start + size])) for start in range(0, len(rows), size)]
    assert weights(merged(pieces)).equals(whole)


@pytest.mark.parametrize(
    ("rows", "nano"),
    [
        ([("c", "m", "x", "4.55")], 4_550_000_000),
        ([("c", "m", "x", "1"), ("c", "m", "x", "2")], 1_500_000_000),
        ([("c", "m", "x", "1"), ("c", "m", "x", "2"), ("c", "m", "y", "3")], 2_250_000_000),
        ([("c", "m", "x", "1"), ("c", "m", "x", "1"), ("c", "m", "y", "2")], 1_500_000_000),
        ([("c", "m", "x", "0.000000001"), ("c", "m", "x", "0")], 0),
        ([("c", "m", "x", "0.000000003"), ("c", "m", "x", "0")], 2),
        ([("c", "m", "x", "1"), ("c", "m", "x", "0"), ("c", "m", "x", "0")], 333_333_333),
        ([("c", "m", "x", "0")], 0),
        ([("c", "m", "x", "999999999.999999999")] * 100, 999_999_999_999_999_999),
    ],
    ids=[
        "one row",
        "mean of two",
        "a type counts once, whatever its rows",
        "equal rows count",
        "half of an odd nano falls to the even 0",
        "and rises to the even 2",
        "thirds",
        "zero",
        "the largest, a hundred times",
    ],
)
def test_a_weight(rows: list[Row], nano: int) -> None:
    assert as_tuples(weights(sums(table(rows)))) == [("c", "m", nano)]


def test_no_rows_give_no_weights() -> None:
    assert weights(sums(table([]))).equals(REFERENCE.empty_table())


@given(st.lists(st.tuples(st.integers(0, 10**30), st.integers(1, 10**12)), min_size=1, max_size=20))
def test_a_mean_of_means_is_exact(types: list[tuple[int, int]]) -> None:
    assert mean_of_means(types) == round(sum(Fraction(total, count) for total, count in types) / len(types))
