"""One fact file: its bytes, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.generate.sales.counted import Counted
from sluice.generate.sales.draw import Rows, dates, rows_of
from sluice.generate.sales.faults import About, Reject, good_row, rejects
from sluice.generate.sales.formats import Format
from sluice.generate.sales.plan import FactFile
from sluice.generate.sales.population import Population
from sluice.generate.sales.sums import Sums
from sluice.generate.sales.text import CSV, JSON, Shape, Style, csv_line, lines
from sluice.generate.sales.typed import one_row, schema, table

_REJECT_EVERY = 2000
_LACKING = ("store_id", "customer_id", "sales_person_id")


@dataclass(frozen=True)
class Planted:
    """A row that must be rejected: its line in the file, what is wrong, and the column at fault."""

    line: int
    kind: str
    column: str


@dataclass
class Written:
    """What a file came to.

    Attributes:
        rows: records in the file, good and bad.
        planted: the rows that must be rejected.
        sums: of the good rows; they count only if the file is accepted.
    """

    sums: Sums
    rows: int = 0
    bytes: int = 0
    sha256: str = ""
    planted: list[Planted] = field(default_factory=list)


def shape_of(file: FactFile) -> Shape:
    lacks = _LACKING[file.number % len(_LACKING)] if file.about.lacks_column else None
    return Shape(tuple(dates(file)), lacks, payment=file.about is About.EXTRA_COLUMNS)


def write_facts(file: FactFile, people: Population, out: BinaryIO, *, faults: bool) -> Written:
    """Write a file's bytes a block at a time, and keep its book."""
    counted = Counted(out)
    made = Written(Sums.of(people))
    shape = shape_of(file)
    planting = _Planting(file, faults)
    blocks = _entered(people, rows_of(file, people, faults=faults), made, shape)
    if file.format is Format.PARQUET:
        _write_parquet(counted, people, shape, blocks, planting)
    else:
        _write_text(file, counted, people, shape, blocks, planting)
    made.rows = file.rows + len(planting.rejects)
    made.planted, made.bytes, made.sha256 = planting.planted, counted.bytes, counted.sha256
    return made


def _entered(people: Population, blocks: Iterator[Rows], made: Written, shape: Shape) -> Iterator[Rows]:
    for rows in blocks:
        made.sums.count(people, rows, shape.dates)
        yield rows


class _Planting:
    """Which bad rows stand before which good ones."""

    def __init__(self, file: FactFile, faults: bool) -> None:
        kinds = rejects(file.day, typed=file.format is Format.PARQUET) if faults else []
        count = file.rows // 8 if file.about is About.TOO_MANY_REJECTS else max(len(kinds), file.rows // _REJECT_EVERY)
        random = np.random.default_rng([file.number, file.version, 4])
        self.rejects: list[Reject] = [kinds[at % len(kinds)] for at in range(count)] if kinds else []
        self._before = np.sort(random.integers(0, file.rows, len(self.rejects)))
        self._good = good_row(file.day)
        self._first_line = 2 if file.format.is_csv else 1
        self.planted: list[Planted] = []

    def in_block(self, rows: Rows) -> list[tuple[int, dict[str, Any]]]:
        """Bad rows and the row of the block that each stands before."""
        first, after = np.searchsorted(self._before, [rows.first, rows.first + len(rows)]).tolist()
        found = []
        for number in range(first, after):
            bad, before = self.rejects[number], int(self._before[number])
            self.planted.append(Planted(self._first_line + before + number, bad.name, bad.column))
            found.append((before - rows.first, bad.row(self._good)))
        return found


def _formatted(shape: Shape, row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in shape.columns}


def _write_text(file: FactFile, out: Counted, people: Population, shape: Shape, blocks: Iterator[Rows], planting: _Planting) -> None:
    style: Style = CSV if file.format.is_csv else JSON
    with file.format.opened(out) as stream:
        if style is CSV:
            stream.write(csv_line(shape.columns))
        for rows in blocks:
            text = lines(style, people, shape, rows)
            ends = np.frombuffer(text.buffers()[1], np.int32)
            data, at = memoryview(text.buffers()[2]), 0
            for before, bad in planting.in_block(rows):
                stream.write(data[at : ends[before]])
                stream.write(style.line(_formatted(shape, bad)))
                at = ends[before]
            stream.write(data[at : ends[len(rows)]])


def _write_parquet(out: Counted, people: Population, shape: Shape, blocks: Iterator[Rows], planting: _Planting) -> None:
    with pq.ParquetWriter(out, schema(shape), compression="snappy", store_schema=False, store_decimal_as_integer=True) as writer:
        for rows in blocks:
            good, pieces, at = table(people, shape, rows), [], 0
            for before, bad in planting.in_block(rows):
                pieces += [good.slice(at, before - at), one_row(shape, _formatted(shape, bad))]
                at = before
            writer.write_table(pa.concat_tables([*pieces, good.slice(at)]))
