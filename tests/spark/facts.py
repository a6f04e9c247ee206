"""Small tables of facts for the evaluation, and what it finds in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.transactions import detect
from spark_jobs.transactions.job import sorted_detections, sorted_partials

FIRST_FILE_ID = 700


class Spent(NamedTuple):
    """An accepted row: who, where, how much, as which gender."""

    customer: str
    merchant: str = "m"
    cents: int = 1000
    gender: str = "F"


class DecisionContext(NamedTuple):
    """A state row: a pair's aggregate as of earlier files."""

    customer: str
    merchant: str = "m"
    n: int = 1
    cents: int = 1000
    gender: str = "F"
    seq: int = 1


Files = Mapping[int, Sequence[Spent]]
Weights = Mapping[tuple[str, str], int]
Found = tuple[int, str, str, str | None]


def plan(seqs: Sequence[int], **given: int) -> detect.Plan:
    """The thresholds of the feed, unless others are given; file ids run against the seqs, as nothing says they should not."""
    thresholds = {"min_total": 50_000, "min_count": 80, "max_avg_cents": 2300, "min_female": 100, "top": 10, "bottom": 10} | given
    return detect.Plan(seqs=file_ids(seqs), **thresholds)


def file_ids(seqs: Sequence[int]) -> dict[int, int]:
    return {FIRST_FILE_ID - place: seq for place, seq in enumerate(sorted(seqs))}


def table_of(files: Files, state: Sequence[DecisionContext] = (), weights: Weights | None = None) -> pa.Table:
    """Facts as Spark hands them over. Weights are by (customer, merchant)."""
    of_seq = {seq: file_id for file_id, seq in file_ids(list(files)).items()}
    rows = [
        {**spent._asdict(), "n": 1, "file_id": of_seq[seq], "line": line}
        for seq, spents in files.items()
        for line, spent in enumerate(spents, start=2)
    ]
    rows += [known._asdict() for known in state]
    rows += [{"customer": customer, "merchant": merchant, "weight_nano": nano} for (customer, merchant), nano in (weights or {}).items()]
    return pa.Table.from_pylist(rows, schema=detect.FACTS)


def evaluated(files: Files, state: Sequence[DecisionContext] = (), weights: Weights | None = None, **given: int) -> pa.Table:
    return detect.evaluate(table_of(files, state, weights), plan(list(files), **given))


def detected(files: Files, state: Sequence[DecisionContext] = (), weights: Weights | None = None, **given: int) -> list[Found]:
    """(seq, pattern, merchant, customer) in the order of numbers."""
    table = evaluated(files, state, weights, **given)
    rows = sorted_detections(table.filter(pc.is_valid(table["pattern_id"])).select(["seq", "pattern_id", "merchant", "customer"]))
    return [(row["seq"], row["pattern_id"], row["merchant"], row["customer"]) for row in rows.to_pylist()]


def partials(files: Files, state: Sequence[DecisionContext] = ()) -> list[DecisionContext]:
    table = evaluated(files, state)
    rows = sorted_partials(table.filter(pc.is_null(table["pattern_id"])).select(["seq", "merchant", "customer", "n", "cents", "gender"]))
    return [
        DecisionContext(row["customer"], row["merchant"], row["n"], row["cents"], row["gender"], row["seq"]) for row in rows.to_pylist()
    ]


def many(prefix: str, count: int, gender: str, merchant: str = "m") -> list[Spent]:
    """One row each of `count` customers."""
    return [Spent(f"{prefix}{number}", merchant, gender=gender) for number in range(count)]
