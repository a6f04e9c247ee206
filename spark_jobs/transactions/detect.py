"""The three patterns after every file of a batch. Pure: Arrow in, Arrow out, integers throughout.

Spark's workers get this module by value, so it imports numpy and pyarrow and nothing of ours.

Facts come in one relation of three kinds of rows, told apart by which of `file_id`, `seq` and `weight_nano` is there: accepted rows of
the batch, aggregates of published files, weights. All facts of a merchant must be in one call; a call may hold any number of merchants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UPGRADE, CHILD, DEI_NEEDED = "PatId1", "PatId2", "PatId3"

FACTS = pa.schema(
    [
        ("merchant", pa.string()),
        ("customer", pa.string()),
        ("gender", pa.string()),
        ("n", pa.int64()),
        ("cents", pa.int64()),
        ("file_id", pa.int64()),
        ("line", pa.int64()),
        ("seq", pa.int64()),
        ("weight_nano", pa.int64()),
    ]
)

# Rows without a pattern are the batch's partial aggregates, the others its detections.
FINDINGS = pa.schema(
    [
        ("pattern_id", pa.string()),
        ("seq", pa.int64()),
        ("merchant", pa.string()),
        ("customer", pa.string()),
        ("n", pa.int64()),
        ("cents", pa.int64()),
        ("gender", pa.string()),
    ]
)

# A partition larger than this is added up while it streams in, so that memory follows its pairs and not its rows.
FOLD_ROWS = 2_000_000


@dataclass(frozen=True)
class Plan:
    """What an evaluation needs to know besides the facts: the seq of each file of the batch, and the thresholds."""

    seqs: Mapping[int, int]
    min_total: int
    min_count: int
    max_avg_cents: int
    min_female: int
    top: int
    bottom: int


@dataclass(frozen=True)
class History:
    """Every pair (merchant, customer) of one call, and what each file of the batch added to it.

    Pairs are numbered in (merchant, customer) order, merchants and customers in the order of their UTF-8 bytes, files (`at`) by seq.

    Attributes:
        merchant, customer: number of each pair's merchant and customer.
        n0, cents0, gender0: each pair's state before the batch; n0 = 0 and gender0 = -1 where there was none.
        weight_nano: each pair's w, or -1.
        pair, at, n, cents, gender: one entry per pair and file with rows, sorted so.
    """

    seqs: Ints
    merchants: pa.Array
    customers: pa.Array
    genders: pa.Array
    merchant: Ints
    customer: Ints
    n0: Ints
    cents0: Ints
    gender0: Ints
    weight_nano: Ints
    pair: Ints
    at: Ints
    n: Ints
    cents: Ints
    gender: Ints


def detector(plan: Plan) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that `mapInArrow` runs on each partition."""

    def detect(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from evaluate(gathered(batches), plan).to_batches(max_chunksize=100_000)

    return detect


def gathered(batches: Iterable[pa.RecordBatch], fold_rows: int = FOLD_ROWS) -> pa.Table:
    """All facts of a partition; the accepted rows of a large one are added up on the way."""
    held: list[pa.RecordBatch] = []
    rows, limit = 0, fold_rows
    for batch in batches:
        held.append(batch.cast(FACTS))
        rows += batch.num_rows
        if rows >= limit:
            held = folded(pa.Table.from_batches(held, FACTS)).to_batches()
            rows = sum(part.num_rows for part in held)
            limit = max(fold_rows, 2 * rows)
    return pa.Table.from_batches(held, FACTS)


def folded(facts: pa.Table) -> pa.Table:
    """The same facts with one row per file, merchant and customer; `line` and `gender` are those of its first row."""
    is_row = pc.is_valid(facts["file_id"])
    rows = facts.filter(is_row)
    genders, code = _encoded(rows["gender"])
    first = pa.array(_ints(rows["line"]) * max(len(genders), 1) + code)
    keys = ["file_id", "merchant", "customer"]
    sums = (
        rows.select([*keys, "n", "cents"])
        .append_column("first", first)
        .group_by(keys)
        .aggregate([("n", "sum"), ("cents", "sum"), ("first", "min")])
    )
    first_code = _ints(sums["first_min"])
    nothing = pa.nulls(sums.num_rows, pa.int64())
    columns: dict[str, Any] = {
        **{key: sums[key] for key in keys},
        "gender": genders.take(pa.array(first_code % max(len(genders), 1))),
        "n": sums["n_sum"],
        "cents": sums["cents_sum"],
        "line": pa.array(first_code // max(len(genders), 1)),
        "seq": nothing,
        "weight_nano": nothing,
    }
    return pa.concat_tables([facts.filter(pc.invert(is_row)), pa.table([columns[name] for name in FACTS.names], schema=FACTS)])


def evaluate(facts: pa.Table, plan: Plan) -> pa.Table:
    """The partial aggregates of the batch, and each key's first detection in it, as `FINDINGS`."""
    is_row = pc.is_valid(facts["file_id"])
    if not pc.any(is_row).as_py():
        return FINDINGS.empty_table()
    history = _history(facts, is_row, plan)
    return pa.concat_tables([_partials(history), *(_detections(history, *found) for found in _patterns(history, plan))])


def _patterns(history: History, plan: Plan) -> Iterator[tuple[str, Ints, Ints, bool]]:
    """(pattern, files, pairs or merchants, whether they are pairs), each key once, with its first file."""
    visits = _visits(history)
    yield UPGRADE, *upgrades(history, visits, plan), True
    yield CHILD, *children(history, plan), True
    yield DEI_NEEDED, *dei_needed(history, visits, plan), False


# --- the patterns -----------------------------------------------------------------------------------------------------------------


def children(history: History, plan: Plan) -> tuple[Ints, Ints]:
    """CHILD: pairs with rows in a file, after which they count enough transactions of too small an average."""
    n = _running(history.n, history.pair, history.n0)
    cents = _running(history.cents, history.pair, history.cents0)
    # cents / n < max for a whole max says the same of the quotient rounded down, and a product could overflow
    return _first((n >= plan.min_count) & (cents // n < plan.max_avg_cents), history.at, history.pair)


@dataclass(frozen=True)
class Visits:
    """One entry per merchant and file with rows of it, sorted so; `total` is the merchant's after that file."""

    merchant: Ints
    at: Ints
    total: Ints


def _visits(history: History) -> Visits:
    files = len(history.seqs)
    entries, index = np.unique(history.merchant[history.pair] * files + history.at, return_inverse=True)
    merchant, at = np.divmod(entries, files)
    before = _sums(history.n0, history.merchant, len(history.merchants))
    return Visits(merchant, at, _running(_sums(history.n, index, len(entries)), merchant, before))


def dei_needed(history: History, visits: Visits, plan: Plan) -> tuple[Ints, Ints]:
    """DEI-NEEDED: merchants visited by a file, after which more than enough of their customers are F, and fewer than are M."""
    first = _starts(history.pair)
    new = first[history.gender0[history.pair[first]] < 0]
    at_visit = np.searchsorted(
        visits.merchant * len(history.seqs) + visits.at, history.merchant[history.pair[new]] * len(history.seqs) + history.at[new]
    )
    counts = []
    for name in ("F", "M"):
        code = pc.index(history.genders, name).as_py()
        before = _sums((history.gender0 == code) & (code >= 0), history.merchant, len(history.merchants))
        counts.append(_running(_sums(history.gender[new] == code, at_visit, len(visits.at)), visits.merchant, before))
    female, male = counts
    return _first((female > plan.min_female) & (female < male), visits.at, visits.merchant)


def upgrades(history: History, visits: Visits, plan: Plan) -> tuple[Ints, Ints]:
    """UPGRADE: at merchants past the total, customers in the top by count and in the bottom by weight."""
    hot = visits.total > plan.min_total
    found: list[tuple[Ints, Ints]] = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for merchant in np.unique(visits.merchant[hot]):
        low, high = np.searchsorted(history.merchant, [merchant, merchant + 1])
        if (history.weight_nano[low:high] >= 0).any():
            found += _upgrades_of(history, int(low), int(high), visits.at[hot & (visits.merchant == merchant)], plan)
    at = np.concatenate([files for files, _ in found])
    pair = np.concatenate([pairs for _, pairs in found])
    order = np.lexsort((at, pair))
    return _first(np.ones(len(at), np.bool_), at[order], pair[order])


def _upgrades_of(history: History, low: int, high: int, hot_files: Ints, plan: Plan) -> Iterator[tuple[Ints, Ints]]:
    """Follow the counts of one merchant's customers (pairs low..high) from file to file and look after each hot one."""
    count = history.n0[low:high].copy()
    weight = history.weight_nano[low:high]
    entries = slice(*np.searchsorted(history.pair, [low, high]))
    by_file = np.argsort(history.at[entries], kind="stable")
    at, pair, n = (values[entries][by_file] for values in (history.at, history.pair, history.n))
    done = 0
    for file in hot_files:
        upto = int(np.searchsorted(at, file, side="right"))
        np.add.at(count, pair[done:upto] - low, n[done:upto])
        done = upto
        pairs = low + np.flatnonzero(upgraded(count, weight, plan.top, plan.bottom))
        yield np.full(len(pairs), file), pairs


def upgraded(count: Ints, weight_nano: Ints, top: int, bottom: int) -> Bools:
    """Which of a merchant's customers are in its top by count and in its bottom by weight.

    Args:
        count: transactions of each customer; those with none are not customers yet.
        weight_nano: weight of each in billionths; -1 where unknown: such a customer counts for the top and is never upgraded.
        top: percent.
        bottom: percent.
    """
    there = count > 0
    known = there & (weight_nano >= 0)
    if not known.any():
        return known
    least = quantile_hundredfold(count[there], 100 - top)
    most = _half_even(quantile_hundredfold(weight_nano[known], bottom), 100)
    # 100 n >= least, for a whole n, without the product
    return known & (count >= -(-least // 100)) & (weight_nano <= most)


def quantile_hundredfold(values: Ints, percent: int) -> int:
    """A hundred times the quantile by linear interpolation between the two values around position (k-1) percent/100; exact.

    >>> quantile_hundredfold(np.array([1, 2, 3, 4]), 90)
    370
    """
    position, part = divmod((len(values) - 1) * percent, 100)
    above = min(position + 1, len(values) - 1)
    ordered = np.partition(values, (position, above))
    low, high = int(ordered[position]), int(ordered[above])
    return 100 * low + part * (high - low)


def _half_even(numerator: int, denominator: int) -> int:
    """A quotient of whole numbers rounded to a whole number, halves to the even one.

    >>> [_half_even(n, 100) for n in (150, 250, 251, 249)]
    [2, 2, 3, 2]
    """
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


# --- from facts to numbers, and back ------------------------------------------------------------------------------------------------


def _history(facts: pa.Table, is_row: pa.ChunkedArray, plan: Plan) -> History:
    touched_merchants = pc.unique(facts["merchant"].filter(is_row))
    facts = facts.filter(pc.is_in(facts["merchant"], value_set=touched_merchants))
    merchants, merchant = _ranked(facts["merchant"])
    customers, customer = _ranked(facts["customer"])
    genders, gender = _encoded(facts["gender"])
    is_row, is_state, is_weight = (_valid(facts[name]) for name in ("file_id", "seq", "weight_nano"))
    pairs, pair = np.unique(merchant * len(customers) + customer, return_inverse=True)
    size = len(pairs)

    n, cents = _ints(facts["n"]), _ints(facts["cents"])
    weight_nano = np.full(size, -1, np.int64)
    weight_nano[pair[is_weight]] = _ints(facts["weight_nano"])[is_weight]
    seqs = np.array(sorted(plan.seqs.values()), np.int64)
    at = _places(_ints(facts["file_id"])[is_row], plan.seqs, seqs)
    entries, entry = np.unique(pair[is_row] * len(seqs) + at, return_inverse=True)
    return History(
        seqs=seqs,
        merchants=merchants,
        customers=customers,
        genders=genders,
        merchant=pairs // len(customers),
        customer=pairs % len(customers),
        n0=_sums(n[is_state], pair[is_state], size),
        cents0=_sums(cents[is_state], pair[is_state], size),
        gender0=_earliest(gender[is_state], _ints(facts["seq"])[is_state], pair[is_state], size),
        weight_nano=weight_nano,
        pair=entries // len(seqs),
        at=entries % len(seqs),
        n=_sums(n[is_row], entry, len(entries)),
        cents=_sums(cents[is_row], entry, len(entries)),
        gender=_earliest(gender[is_row], _ints(facts["line"])[is_row], entry, len(entries)),
    )


def _partials(history: History) -> pa.Table:
    size = len(history.pair)
    columns = [
        pa.nulls(size, pa.string()),
        pa.array(history.seqs[history.at]),
        history.merchants.take(pa.array(history.merchant[history.pair])),
        history.customers.take(pa.array(history.customer[history.pair])),
        pa.array(history.n),
        pa.array(history.cents),
        history.genders.take(pa.array(history.gender)),
    ]
    return pa.table(columns, schema=FINDINGS)


def _detections(history: History, pattern: str, at: Ints, key: Ints, of_pairs: bool) -> pa.Table:
    size = len(at)
    merchant = history.merchant[key] if of_pairs else key
    customers = history.customers.take(pa.array(history.customer[key])) if of_pairs else pa.nulls(size, pa.string())
    nothing = pa.nulls(size, pa.int64())
    columns = [
        pa.array([pattern] * size, pa.string()),
        pa.array(history.seqs[at]),
        history.merchants.take(pa.array(merchant)),
        customers,
        nothing,
        nothing,
        pa.nulls(size, pa.string()),
    ]
    return pa.table(columns, schema=FINDINGS)


# --- small tools on arrays ----------------------------------------------------------------------------------------------------------


def _encoded(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The distinct values of a text column, and each row's place among them (any place for null)."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):  # more text than one Arrow array can hold
        encoded = encoded.unify_dictionaries()
        codes = np.concatenate([_codes(chunk.indices) for chunk in encoded.chunks] or [np.empty(0, np.int64)])
        return (encoded.chunk(0).dictionary if encoded.num_chunks else pa.array([], column.type)), codes
    return encoded.dictionary, _codes(encoded.indices)


def _codes(indices: pa.Array) -> Ints:
    codes: Ints = indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _ranked(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """As `_encoded`, the distinct values in the order of their UTF-8 bytes."""
    values, codes = _encoded(column)
    order = pc.array_sort_indices(values)
    rank = np.empty(len(values), np.int64)
    rank[order.to_numpy()] = np.arange(len(values))
    return values.take(order), rank[codes]


def _ints(column: pa.ChunkedArray) -> Ints:
    """A whole-number column as numpy has it, 0 for null."""
    values: Ints = pc.fill_null(column, 0).to_numpy()
    return values


def _valid(column: pa.ChunkedArray) -> Bools:
    there: Bools = pc.is_valid(column).to_numpy()
    return there


def _places(file_ids: Ints, seqs: Mapping[int, int], ordered: Ints) -> Ints:
    """The place of each row's file in the order of seqs."""
    known = np.array(sorted(seqs), np.int64)
    place = np.searchsorted(ordered, np.array([seqs[file_id] for file_id in sorted(seqs)], np.int64))
    return place[np.searchsorted(known, file_ids)]


def _sums(values: npt.NDArray[Any], group: Ints, groups: int) -> Ints:
    """The exact sum of each group (0..groups)."""
    sums = np.zeros(groups, np.int64)
    np.add.at(sums, group, values.astype(np.int64, copy=False))
    return sums


def _earliest(code: Ints, when: Ints, group: Ints, groups: int) -> Ints:
    """The code of each group's row with the smallest `when`; -1 for a group without rows."""
    earliest = np.full(groups, -1, np.int64)
    order = np.lexsort((when, group))
    first = order[_starts(group[order])]
    earliest[group[first]] = code[first]
    return earliest


def _starts(group: Ints) -> Ints:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.diff(group, prepend=group[:1] - 1))


def _running(values: Ints, group: Ints, before: Ints) -> Ints:
    """The sum so far within each run of a sorted group, on top of what its group had before."""
    if not len(values):
        return values
    total = np.cumsum(values)
    starts = _starts(group)
    lengths = np.diff(starts, append=len(values))
    return total - np.repeat(total[starts] - values[starts], lengths) + before[group]


def _first(holds: Bools, at: Ints, key: Ints) -> tuple[Ints, Ints]:
    """(file, key) of each key's first entry that holds; entries come sorted by key, then file."""
    at, key = at[holds], key[holds]
    first = _starts(key)
    return at[first], key[first]
