"""The three patterns, clause by clause, at and just off every limit."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pyarrow as pa
import pytest

from spark_jobs.transactions import detect
from tests.spark.facts import DecisionContext, Spent, detected, evaluated, file_ids, many, partials, plan, table_of

UPGRADE, CHILD, DEI = detect.UPGRADE, detect.CHILD, detect.DEI_NEEDED


# --- CHILD --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "cents_each", "extra_cents", "child"),
    [
        (79, 100, 0, False),
        (80, 100, 0, True),
        (81, 100, 0, True),
        (80, 2300, 0, False),  # an average of exactly 23.00
        (80, 2300, -1, True),  # a cent less in all
        (80, 2300, 1, False),
        (80, 0, 0, True),
    ],
)
def test_child_needs_eighty_transactions_and_an_average_below_23(count: int, cents_each: int, extra_cents: int, child: bool) -> None:
    rows = [Spent("c", cents=cents_each)] * (count - 1) + [Spent("c", cents=cents_each + extra_cents)]
    assert detected({5: rows}) == ([(5, CHILD, "m", "c")] if child else [])


def test_child_adds_up_over_state_and_files_and_is_told_by_the_first_file_only() -> None:
    files = {5: [Spent("c")] * 9, 6: [Spent("c")], 7: [Spent("c")]}
    assert detected(files, state=[DecisionContext("c", n=40, cents=40, seq=1), DecisionContext("c", n=30, cents=30, seq=2)]) == [
        (6, CHILD, "m", "c")
    ]


def test_child_is_not_looked_at_where_the_file_has_no_row_of_the_pair() -> None:
    childish = DecisionContext("c", n=500, cents=500)
    assert detected({5: [Spent("other")]}, state=[childish]) == []
    assert detected({5: [Spent("other")], 6: [Spent("c")]}, state=[childish]) == [(6, CHILD, "m", "c")]
    assert detected({5: [Spent("c", merchant="elsewhere")]}, state=[childish]) == []


def test_child_can_stop_holding_before_anyone_looks() -> None:
    files = {5: [Spent("c", cents=1)] * 80, 6: [Spent("c", cents=10**9)], 7: [Spent("c")]}
    assert detected(files) == [(5, CHILD, "m", "c")]
    assert detected({5: [*files[5], *files[6]], 7: files[7]}) == []


def test_child_compares_exactly_where_a_product_would_not_fit_64_bits() -> None:
    state = [DecisionContext("c", n=2 * 10**9, cents=2 * 10**18)]
    assert detected({5: [Spent("c", cents=0)]}, state=state, max_avg_cents=10**10) == [(5, CHILD, "m", "c")]


# --- DEI-NEEDED -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("female", "male", "others", "needed"),
    [
        (100, 500, 0, False),
        (101, 500, 0, True),
        (101, 101, 0, False),
        (101, 102, 0, True),
        (102, 101, 0, False),
        (101, 60, 90, False),  # other codes count for neither
        (60, 500, 90, False),
    ],
)
def test_dei_needs_more_than_a_hundred_women_and_fewer_than_men(female: int, male: int, others: int, needed: bool) -> None:
    rows = many("f", female, "F") + many("m", male, "M") + many("e", others, "E") + many("u", others, "U")
    assert detected({5: rows}) == ([(5, DEI, "m", None)] if needed else [])


def test_a_customer_counts_once_and_as_the_gender_of_the_first_row_at_that_merchant() -> None:
    assert detected({5: [Spent("c", gender="M")] * 9, 6: [Spent("d", gender="F")]}, min_female=0) == []
    changing = {5: [Spent("a", gender="F"), Spent("b", gender="M"), Spent("c", gender="M"), Spent("c", gender="F")]}
    assert detected(changing, min_female=0) == [(5, DEI, "m", None)]
    elsewhere = {5: [Spent("c", "elsewhere", gender="F"), Spent("a", gender="F"), Spent("b", gender="M"), Spent("c", gender="M")]}
    assert detected(elsewhere, min_female=0) == [(5, DEI, "m", None)]


def test_the_gender_that_the_state_saw_first_stays() -> None:
    state = [
        DecisionContext("c", gender="F", seq=3),
        DecisionContext("c", gender="M", seq=2),
        DecisionContext("a", gender="F"),
        DecisionContext("b", gender="M"),
    ]
    assert detected({5: [Spent("c", gender="F")]}, state=state, min_female=0) == [(5, DEI, "m", None)]


def test_the_first_row_is_the_one_with_the_lowest_line_in_whatever_order_rows_arrive() -> None:
    facts = table_of({5: [Spent("c", gender="M"), Spent("c", gender="F"), Spent("c", gender="E")]})
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        assert detect.evaluate(facts.take(order), plan([5]))["gender"].to_pylist() == ["M"]


def test_dei_is_not_looked_at_where_the_file_has_no_row_of_the_merchant() -> None:
    state = [DecisionContext("a", gender="F"), DecisionContext("b", gender="M"), DecisionContext("c", gender="M")]
    assert detected({5: [Spent("x", "elsewhere")], 6: [Spent("a")]}, state=state, min_female=0) == [(6, DEI, "m", None)]


# --- UPGRADE --------------------------------------------------------------------------------------------------------------------------

LIGHT, HEAVY = 1_000_000_000, 9_000_000_000


@pytest.mark.parametrize(("total", "upgraded"), [(9, False), (10, False), (11, True)])
def test_upgrade_needs_more_than_the_total(total: int, upgraded: bool) -> None:
    rows = [Spent("c")] * total
    assert detected({5: rows}, weights={("c", "m"): LIGHT}, min_total=10) == ([(5, UPGRADE, "m", "c")] if upgraded else [])


def test_upgrade_needs_more_than_fifty_thousand_by_default() -> None:
    weights = {("c", "m"): LIGHT}
    state = [DecisionContext("c", n=49_999, cents=10**9)]
    assert detected({5: [Spent("c")]}, state=state, weights=weights) == []
    assert detected({5: [Spent("c")], 6: [Spent("c")]}, state=state, weights=weights) == [(6, UPGRADE, "m", "c")]


@pytest.mark.parametrize(
    ("counts", "in_the_top"),
    [
        # position (k-1) 0.9
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [10, 11]),  # 9: exactly the tenth
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [10]),  # 8.1: 9.1
        ([1, 1], [1, 1]),  # ties are all in
        ([1, 2], [2]),  # 0.9: 1.9
        ([5, 5, 5, 5, 5, 5, 5, 5, 5, 1000], [1000]),  # 8.1: 104.5
        ([7], [7]),
    ],
)
def test_upgrade_takes_those_at_or_above_the_ninetieth_percentile_of_counts(counts: list[int], in_the_top: list[int]) -> None:
    files = {5: [Spent(f"c{number}") for number, count in enumerate(counts) for _ in range(count)]}
    weights = {(f"c{number}", "m"): LIGHT for number in range(len(counts))}
    found = detected(files, weights=weights, min_total=0, min_count=10**6)
    assert sorted(counts[int(str(customer)[1:])] for _, _, _, customer in found) == in_the_top


@pytest.mark.parametrize(
    ("weights_nano", "in_the_bottom"),
    [
        ([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110], [10, 20]),  # position 1: exactly the second
        ([10, 20, 30], [10]),  # 0.2: 12
        ([10, 15], [10]),  # 0.1: 10.5, half to even: 10
        ([11, 16], [11]),  # 0.1: 11.5, half to even: 12
        ([10, 10, 10], [10, 10, 10]),
        ([10**18, 10**18 + 1], [10**18]),  # a hundredfold would not fit 64 bits
        ([0, 0, 5], [0, 0]),
    ],
)
def test_upgrade_takes_those_at_or_below_the_tenth_percentile_of_known_weights(weights_nano: list[int], in_the_bottom: list[int]) -> None:
    files = {5: [Spent(f"c{number}") for number in range(len(weights_nano))]}
    weights = {(f"c{number}", "m"): nano for number, nano in enumerate(weights_nano)}
    found = detected(files, weights=weights, min_total=0)
    assert sorted(weights_nano[int(str(customer)[1:])] for _, _, _, customer in found) == in_the_bottom


def test_a_quantile_that_rounds_up_to_a_weight_takes_it_in() -> None:
    """10 % between 0 and 5 nano is half a nano, even: 0; between 1 and 6 it is 1.5, even: 2, which a weight of 2 just makes."""
    assert _upgraded([0, 5]) == [0]
    assert _upgraded([1, 6]) == [1]
    assert _upgraded([1, 2, 2, 2, 2, 3]) == [1, 2, 2, 2, 2]  # position 0.5: 1.5
    assert _upgraded([2, 3, 3, 3, 3, 4]) == [2]  # position 0.5: 2.5


def _upgraded(weights: list[int]) -> list[int]:
    nano = np.array(weights, np.int64)
    return nano[detect.upgraded(np.ones(len(nano), np.int64), nano, 10, 10)].tolist()


def test_customers_of_unknown_weight_count_for_the_top_and_are_never_upgraded() -> None:
    busy = [Spent("unknown")] * 100
    files = {5: [*busy, Spent("known"), Spent("known")]}
    assert detected(files, weights={("known", "m"): LIGHT}, min_total=0, min_count=1000) == []
    assert detected({5: files[5][100:]}, weights={("known", "m"): LIGHT}, min_total=0) == [(5, UPGRADE, "m", "known")]


def test_no_known_weight_no_upgrade() -> None:
    assert detected({5: [Spent("c")] * 20}, min_total=0) == []
    assert detected({5: [Spent("c")] * 20}, weights={("c", "elsewhere"): LIGHT, ("someone", "m"): LIGHT}, min_total=0) == []


def test_who_was_never_at_the_merchant_is_in_neither_quantile() -> None:
    weights = {("c", "m"): HEAVY, **{(f"stranger{number}", "m"): LIGHT for number in range(50)}}
    assert detected({5: [Spent("c")]}, weights=weights, min_total=0) == [(5, UPGRADE, "m", "c")]


def test_who_comes_in_a_later_file_is_not_there_yet() -> None:
    weights = {("early", "m"): HEAVY, ("late", "m"): LIGHT}
    files = {5: [Spent("early")], 6: [Spent("late")] * 2, 7: [Spent("early")]}
    assert detected(files, weights=weights, min_total=0) == [(5, UPGRADE, "m", "early"), (6, UPGRADE, "m", "late")]


def test_upgrade_looks_at_every_customer_of_a_visited_merchant_and_at_no_other_merchant() -> None:
    state = [DecisionContext("c", n=60, cents=10**9), DecisionContext("d", "quiet", n=60, cents=10**9)]
    weights = {("c", "m"): LIGHT, ("d", "quiet"): LIGHT}
    assert detected({5: [Spent("newcomer")]}, state=state, weights=weights, min_total=50) == [(5, UPGRADE, "m", "c")]


@pytest.mark.parametrize(
    ("top", "bottom", "found"),
    [(0, 0, []), (100, 0, ["c0"]), (0, 100, ["c2"]), (100, 100, ["c0", "c1", "c2"]), (50, 50, ["c1"])],
)
def test_top_and_bottom_are_percents_from_none_to_all(top: int, bottom: int, found: list[str]) -> None:
    files = {5: [Spent("c0"), *[Spent("c1")] * 2, *[Spent("c2")] * 3]}
    weights = {("c0", "m"): 1, ("c1", "m"): 2, ("c2", "m"): 3}
    assert [customer for *_, customer in detected(files, weights=weights, min_total=0, top=top, bottom=bottom)] == found


@pytest.mark.parametrize("percent", [0, 1, 10, 33, 50, 90, 99, 100])
def test_quantiles_are_those_of_decimal_arithmetic(percent: int) -> None:
    values = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9], np.int64)
    ordered = sorted(int(value) for value in values)
    position = Decimal((len(ordered) - 1) * percent) / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    expected = ordered[below] + (position - below) * (ordered[above] - ordered[below])
    assert Decimal(detect.quantile_hundredfold(values, percent)) / 100 == expected
    assert detect._half_even(int(expected * 100), 100) == int(expected.quantize(Decimal(1), ROUND_HALF_EVEN))


# --- what comes out -------------------------------------------------------------------------------------------------------------------


def test_partials_are_one_row_a_file_and_pair_of_new_rows_only() -> None:
    files = {6: [Spent("b", cents=5), Spent("a", cents=7, gender="M"), Spent("b", cents=1, gender="U")], 5: [Spent("b", "n", 3)]}
    assert partials(files, state=[DecisionContext("b", n=100)]) == [
        DecisionContext("a", "m", 1, 7, "M", 6),
        DecisionContext("b", "m", 2, 6, "F", 6),
        DecisionContext("b", "n", 1, 3, "F", 5),
    ]


def test_names_come_in_the_order_of_their_bytes() -> None:
    names = ["b", "a", "Z", "é", "\uff21", "\U0001f600", "aa"]
    found = detected({5: [Spent(name) for name in names]}, min_count=1)
    assert [customer for *_, customer in found] == sorted(names, key=str.encode)


def test_detections_of_one_file_come_by_pattern_then_merchant_then_customer() -> None:
    files = {
        5: [Spent("c", "n"), Spent("b", "n"), Spent("a", "m", gender="F"), Spent("b", "m", gender="M"), Spent("c", "m", gender="M")],
        4: [Spent("z", "z")],
    }
    assert detected(files, weights={("a", "m"): 1, ("b", "n"): 1}, min_total=0, min_count=1, min_female=0) == [
        (4, CHILD, "z", "z"),
        (5, UPGRADE, "m", "a"),
        (5, UPGRADE, "n", "b"),
        (5, CHILD, "m", "a"),
        (5, CHILD, "m", "b"),
        (5, CHILD, "m", "c"),
        (5, CHILD, "n", "b"),
        (5, CHILD, "n", "c"),
        (5, DEI, "m", None),
    ]


def test_state_and_weights_without_rows_say_nothing() -> None:
    assert evaluated({}, state=[DecisionContext("c", n=500)], weights={("c", "m"): 1}).num_rows == 0
    assert detect.evaluate(detect.FACTS.empty_table(), plan([5])).num_rows == 0


def test_adding_up_on_the_way_changes_nothing() -> None:
    rows = [Spent(f"c{number % 7}", f"m{number % 3}", number, "FMEU"[number % 4]) for number in range(200)]
    files = {5: rows[:90], 6: rows[90:]}
    facts = table_of(files, [DecisionContext("c1", "m1", 3, 3, "M")], {("c1", "m1"): 5})
    shuffled = facts.take(np.random.default_rng(1).permutation(facts.num_rows))
    settings = plan([5, 6], min_total=10, min_count=2, min_female=0)
    batches = shuffled.to_batches(max_chunksize=11)
    folded = detect.gathered(batches, fold_rows=20)
    assert folded.num_rows < facts.num_rows
    assert detect.evaluate(folded, settings).equals(detect.evaluate(facts, settings))


def test_the_worker_function_takes_what_spark_streams_and_streams_what_it_found() -> None:
    facts = table_of({5: [Spent("c")] * 80})
    not_null = pa.schema([pa.field(field.name, field.type, nullable=field.name != "n") for field in facts.schema])
    batches = facts.cast(not_null).to_batches(max_chunksize=7)
    table = pa.Table.from_batches(detect.detector(plan([5]))(iter(batches)))
    assert table["pattern_id"].to_pylist() == [None, CHILD]
    assert list(detect.detector(plan([5]))(iter([]))) == []


def test_file_ids_need_not_run_with_the_seqs() -> None:
    assert file_ids([5, 6]) == {700: 5, 699: 6}
