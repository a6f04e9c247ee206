"""What a second reading of a judged file's objects gives: values to hold against the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reread:
    """Bronze read once more.

    Attributes:
        digest: over the logical rows; None where an object cannot be read.
        amount: the sum of the contract's `amount` column in its smallest unit, None where it has none.
        key, fault: the object that is wrong and what about it; None where all could be read.
    """

    rows: int
    digest: str | None
    amount: int | None
    key: str
    fault: str | None


@dataclass(frozen=True)
class Recount:
    """An original read once more. `rejected`, `amount_rejected`: of the lines that `rejects.csv` names and the original has."""

    sha256: str
    lines: int
    rejected: int
    amount: int | None
    amount_rejected: int | None
