"""An independent, deliberately naive evaluation of the transactions feed: plain Python, the whole history recomputed after each file.

It shares no code with the product and follows the patterns' definitions word by word; it is there to be obviously right, not to be fast.
`detections_incremental` says the same with running sums, for the 60 files of BankSim; the tests hold the two against each other.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    customer: str
    gender: str
    merchant: str
    amount: Decimal


class ImportanceRow(NamedTuple):
    source: str
    target: str
    weight: Decimal
    type_trans: str


class Parameters(NamedTuple):
    min_total: int = 50_000
    min_count: int = 80
    max_avg_cents: int = 2300
    min_female: int = 100
    top: int = 10
    bottom: int = 10


class Detection(NamedTuple):
    seq: int
    pattern_id: str
    merchant: str
    customer: str | None


Files = Sequence[tuple[int, Sequence[Row]]]
Weights = Mapping[tuple[str, str], Fraction]


def read_transactions(path: Path) -> list[Row]:
    """The rows of a clean transactions file, in file order."""
    with path.open(newline="", encoding="utf-8") as lines:
        return [Row(r["customer"], r["gender"], r["merchant"], Decimal(r["amount"])) for r in csv.DictReader(lines, quotechar="'")]


def read_importance(path: Path) -> list[ImportanceRow]:
    with path.open(newline="", encoding="utf-8") as lines:
        return [ImportanceRow(r["Source"], r["Target"], Decimal(r["Weight"]), r["typeTrans"]) for r in csv.DictReader(lines, quotechar="'")]


def rounded(value: Fraction) -> Fraction:
    """To 9 decimals, halves to even (which is what round() does to a Fraction)."""
    return Fraction(round(value * 10**9), 10**9)


def mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def weights_of(importance: Iterable[ImportanceRow]) -> dict[tuple[str, str], Fraction]:
    """w(c, m): the mean over transaction types of the mean weight of (c, m, type), to 9 decimals."""
    by_type: dict[tuple[str, str], dict[str, list[Fraction]]] = defaultdict(lambda: defaultdict(list))
    for row in importance:
        by_type[row.source, row.target][row.type_trans].append(Fraction(row.weight))
    return {pair: rounded(mean([mean(weights) for weights in types.values()])) for pair, types in by_type.items()}


def quantile(values: Iterable[Fraction | int], percent: int) -> Fraction:
    """Linear interpolation at position (k-1)p, to 9 decimals."""
    ordered = sorted(Fraction(value) for value in values)
    position = Fraction((len(ordered) - 1) * percent, 100)
    below = position.numerator // position.denominator
    above = min(below + 1, len(ordered) - 1)
    return rounded(ordered[below] + (position - below) * (ordered[above] - ordered[below]))


def holding(history: Sequence[Row], file: Sequence[Row], weights: Weights, parameters: Parameters) -> set[tuple[str, str, str | None]]:
    """Every (pattern, merchant, customer) that holds after `file`, the last part of `history`, of what the file can have changed."""
    found: set[tuple[str, str, str | None]] = set()
    for merchant in {row.merchant for row in file}:
        at_merchant = [row for row in history if row.merchant == merchant]
        n: dict[str, int] = defaultdict(int)
        total_amount: dict[str, Decimal] = defaultdict(Decimal)
        gender: dict[str, str] = {}
        for row in at_merchant:
            n[row.customer] += 1
            total_amount[row.customer] += row.amount
            gender.setdefault(row.customer, row.gender)

        known = {customer: weights[customer, merchant] for customer in n if (customer, merchant) in weights}
        if len(at_merchant) > parameters.min_total and known:
            q_top = quantile(n.values(), 100 - parameters.top)
            q_bottom = quantile(known.values(), parameters.bottom)
            found |= {("PatId1", merchant, c) for c in known if n[c] >= q_top and known[c] <= q_bottom}

        limit = Fraction(parameters.max_avg_cents, 100)
        for customer in {row.customer for row in file if row.merchant == merchant}:
            if n[customer] >= parameters.min_count and Fraction(total_amount[customer]) / n[customer] < limit:
                found.add(("PatId2", merchant, customer))

        female = sum(g == "F" for g in gender.values())
        male = sum(g == "M" for g in gender.values())
        if female > parameters.min_female and female < male:
            found.add(("PatId3", merchant, None))
    return found


def numbered(seq: int, keys: Iterable[tuple[str, str, str | None]]) -> list[Detection]:
    """One file's detections in the order of their numbers: pattern, merchant, customer, by UTF-8 bytes."""
    made = [Detection(seq, *key) for key in keys]
    return sorted(made, key=lambda d: (d.pattern_id, d.merchant.encode(), (d.customer or "").encode()))


def detections(files: Files, importance: Iterable[ImportanceRow], parameters: Parameters) -> list[Detection]:
    """All detections of files given in seq order, in number order. Each key is detected once."""
    weights = weights_of(importance)
    history: list[Row] = []
    known: set[tuple[str, str, str | None]] = set()
    result: list[Detection] = []
    for seq, file in files:
        history += file
        new = holding(history, file, weights, parameters) - known
        known |= new
        result += numbered(seq, new)
    return result


def detections_incremental(files: Files, importance: Iterable[ImportanceRow], parameters: Parameters) -> list[Detection]:
    """The same with sums carried from file to file."""
    weights = weights_of(importance)
    n: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    cents: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    gender: dict[str, dict[str, str]] = defaultdict(dict)
    known: set[tuple[str, str, str | None]] = set()
    result: list[Detection] = []
    for seq, file in files:
        for row in file:
            n[row.merchant][row.customer] += 1
            cents[row.merchant, row.customer] += row.amount * 100
            gender[row.merchant].setdefault(row.customer, row.gender)
        new: set[tuple[str, str, str | None]] = set()
        for merchant, customer in {(row.merchant, row.customer) for row in file}:
            count = n[merchant][customer]
            if count >= parameters.min_count and cents[merchant, customer] < parameters.max_avg_cents * count:
                new.add(("PatId2", merchant, customer))
        for merchant in {row.merchant for row in file}:
            genders = list(gender[merchant].values())
            if parameters.min_female < genders.count("F") < genders.count("M"):
                new.add(("PatId3", merchant, None))
            here = {customer: weights[customer, merchant] for customer in n[merchant] if (customer, merchant) in weights}
            if sum(n[merchant].values()) > parameters.min_total and here:
                q_top = quantile(n[merchant].values(), 100 - parameters.top)
                q_bottom = quantile(here.values(), parameters.bottom)
                new |= {("PatId1", merchant, c) for c, w in here.items() if w <= q_bottom and n[merchant][c] >= q_top}
        new -= known
        known |= new
        result += numbered(seq, new)
    return result
