"""Any split of the same files into batches gives the detections of the naive evaluation, in its order."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.spark.facts import Spent
from tests.spark.streams import PATTERNS, importance, in_batches, naively, streams, thresholds

settings.register_profile("detect", max_examples=150, deadline=dt.timedelta(seconds=5))


@settings(settings.get_profile("detect"))
@given(files=streams, rows=importance, parameters=thresholds, cuts=st.lists(st.integers(1, 7), max_size=7))
def test_any_split_into_batches_detects_what_the_naive_evaluation_detects(
    files: list[list[Spent]], rows: list[naive.ImportanceRow], parameters: naive.Parameters, cuts: list[int]
) -> None:
    assert in_batches(files, cuts, rows, parameters) == naively(files, rows, parameters)


def test_a_larger_stream_agrees_too_and_makes_every_pattern_fire() -> None:
    dice = random.Random(7)
    files = [[_row(dice) for _ in range(400)] for _ in range(12)]
    rows = [
        naive.ImportanceRow(f"c{dice.randrange(60)}", f"m{dice.randrange(5)}", Decimal(dice.randrange(1000)) / 100, dice.choice("xy"))
        for _ in range(500)
    ]
    parameters = naive.Parameters(min_total=300, min_count=12, max_avg_cents=2300, min_female=10, top=30, bottom=30)
    expected = naively(files, rows, parameters)
    assert {pattern for _, pattern, *_ in expected} == set(PATTERNS)
    assert min(seq for seq, pattern, *_ in expected if pattern == PATTERNS[0]) > 1
    for cuts in ([], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [5], [3, 4, 10]):
        assert in_batches(files, cuts, rows, parameters) == expected


@given(files=streams, rows=importance, parameters=thresholds)
@settings(max_examples=60, deadline=None)
def test_the_incremental_naive_evaluation_is_the_naive_one(
    files: list[list[Spent]], rows: list[naive.ImportanceRow], parameters: naive.Parameters
) -> None:
    history = [
        (seq, [naive.Row(row.customer, row.gender, row.merchant, Decimal(row.cents) / 100) for row in file])
        for seq, file in enumerate(files, start=1)
    ]
    assert naive.detections_incremental(history, rows, parameters) == naive.detections(history, rows, parameters)


def _row(dice: random.Random) -> Spent:
    customer = dice.randrange(60)
    gender = "F" if customer % 5 < 2 else "M"
    return Spent(f"c{customer}", f"m{dice.randrange(5)}", dice.choice([100, 2000, 2400, 4000]), dice.choice([gender] * 9 + ["E"]))
