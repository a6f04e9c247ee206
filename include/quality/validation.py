"""Pieces of many files validated at once, each different value once; the answer is split again, piece by piece."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pyarrow as pa

from include.contract import Contract
from include.quality.derived import column_of, derived
from include.quality.distinct import Distinct, frame_of, of_text
from include.quality.lengths import lengths
from include.quality.records import Ints, Mask, Rows
from include.quality.rules import READABLE, Rule
from include.quality.suite import UNREADABLE, looked_at, suite_of

FRAME_ROWS = 250_000
FRAME_BYTES = 64 * 2**20

Owner = TypeVar("Owner")


@dataclass(frozen=True)
class Findings:
    """Which rows of one `Rows` break which rules. An unreadable row breaks no other rule."""

    broken: tuple[tuple[Rule, Ints], ...]
    accepted: Mask


def validate(contract: Contract, pieces: Sequence[Rows], dates: Sequence[dt.date | None] = ()) -> list[Findings]:
    """Ask the contract's suite about all pieces in one validation, whose cost follows their different values.

    Args:
        dates: of the file that each piece comes from, where the contract has a rule that asks.
    """
    suite = suite_of(contract)
    texts = {name: of_text(pa.chunked_array([chunk for rows in pieces for chunk in rows.table[name].chunks])) for name in contract.names}
    long = lengths(suite.rules, texts, pieces)
    columns = {name: texts[name] for name in suite.columns} | {looked_at(rule): column for rule, column in long.items()}
    columns |= {column_of(rule): derived(rule, pieces, dates or [None] * len(pieces)) for rule in contract.rules}
    columns[UNREADABLE] = _unreadable(pieces)
    failing = {rule: long.get(rule, columns[looked_at(rule)]).rows(found) for rule, found in suite.failing(frame_of(columns)).items()}
    bounds = np.concatenate(([0], np.cumsum([len(rows) for rows in pieces])))
    return [_findings(failing, int(start), int(end)) for start, end in pairwise(bounds)]


def gathered(pieces: Iterable[tuple[Owner, Rows]], most_rows: int = FRAME_ROWS) -> Iterator[list[tuple[Owner, Rows]]]:
    """Pieces, each with whose it is, in groups worth one validation; bounded in rows and bytes, so that memory is."""
    group: list[tuple[Owner, Rows]] = []
    rows = size = 0
    for owner, piece in pieces:
        group.append((owner, piece))
        rows += len(piece)
        size += piece.size
        if rows >= most_rows or size >= FRAME_BYTES:
            yield group
            group.clear()  # whoever asks for the next has done with this one: two at once would double the memory
            rows = size = 0
    if group:
        yield group


def _unreadable(pieces: Sequence[Rows]) -> Distinct:
    unreadable = np.zeros(sum(map(len, pieces)), np.int64)
    start = 0
    for rows in pieces:
        unreadable[[start + row for row in rows.unreadable]] = 1
        start += len(rows)
    return Distinct(pa.array(["unreadable"]), unreadable, 1)


def _findings(failing: Mapping[Rule, Ints], start: int, end: int) -> Findings:
    accepted = np.ones(end - start, np.bool_)
    readable = np.ones(end - start, np.bool_)
    broken = []
    for rule, positions in failing.items():
        low, high = np.searchsorted(positions, (start, end))
        rows = positions[low:high] - start
        if rule.name == READABLE:
            readable[rows] = False
        else:
            rows = rows[readable[rows]]
        if rows.size:
            accepted[rows] = False
            broken.append((rule, rows))
    return Findings(tuple(broken), accepted)
