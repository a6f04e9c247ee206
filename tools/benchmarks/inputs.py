"""What is measured: synthetic or real transactions, cut into chunks as the producer cuts them, and how many of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sluice.generate.transactions import CUSTOMERS, write

SEED = 1


@dataclass(frozen=True)
class Input:
    """Transactions to cut, and the CustomerImportance that goes with them."""

    transactions: Path
    importance: Path | None

    def chunks(self, rows: int, count: int | None = None) -> Iterator[bytes]:
        """Files of so many rows, each with the header; `count` at most."""
        return itertools.islice(_chunks(self.transactions, rows), count)


def _chunks(path: Path, rows: int) -> Iterator[bytes]:
    with path.open("rb") as lines:
        header = lines.readline()
        while chunk := list(itertools.islice(lines, rows)):
            yield header + b"".join(chunk)


def synthetic(folder: Path, rows: int, customers: int = CUSTOMERS) -> Input:
    """A synthetic set of this size, made once and kept in the folder."""
    kept = folder / f"synthetic-{rows}-{customers}-{SEED}"
    if not kept.is_dir():
        draft = kept.with_name(f"{kept.name}.new")
        write(rows, SEED, draft, customers=customers)
        draft.rename(kept)
    return Input(kept / "transactions.csv", kept / "CustomerImportance.csv")


@dataclass(frozen=True)
class Scale:
    """Sizes of the measurements.

    Attributes:
        files: that wait in a catch-up; `rows` in each.
        repeats: of each catch-up; the median counts.
        seconds: of the paced stream, one file in each.
        growth_files: that fill the state before batches on it are measured, `growth_batches` each time.
        customers: of the synthetic sets.
        idle: seconds without a file after which a command that follows ends.
        peers: those that are measured too.
        known: objects that discovery has met before.
        empty: runs that find nothing.
        gate_rows: of the files that the gate alone judges.
        thresholds: of the rules in a catch-up, where the default ones would not all fire on so few rows.
    """

    files: int = 60
    rows: int = 10_000
    repeats: int = 3
    seconds: int = 300
    growth_files: int = 60
    growth_batches: int = 8  # state objects are merged in eights, so one of the batches pays for that
    customers: int = CUSTOMERS
    idle: int = 20
    peers: tuple[str, ...] = ("streaming", "DuckDB")
    known: int = 100_000
    empty: int = 20
    gate_rows: tuple[int, ...] = (10_000, 5_000_000)
    thresholds: Mapping[str, int] = field(default_factory=dict)


FULL = Scale()
QUICK = Scale(
    files=12,
    repeats=1,
    seconds=30,
    growth_files=6,
    known=5_000,
    empty=5,
    gate_rows=(10_000, 500_000),
    thresholds={"min_total": 10_000, "min_count": 20},
)
SMALLEST = Scale(
    files=2,
    rows=500,
    repeats=1,
    seconds=2,
    growth_files=1,
    growth_batches=1,
    customers=100,
    idle=3,
    peers=("DuckDB",),
    known=30,
    empty=1,
    gate_rows=(500,),
    thresholds={"min_total": 100, "min_count": 4},
)
