"""The files that land: synthetic or real transactions, cut into chunks as the producer cuts them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
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
