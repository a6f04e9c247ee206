"""How one date of a feed was found: a row of the table `reconciliation`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class DailyTotals:
    """One date of a feed as it was found: objects that hold original bytes, files by state, lines, amounts.

    Amounts are in the smallest unit of the feed's; None where contents were not read. `amount_in` = `amount_out` + `amount_rejected`.
    """

    date: dt.date
    objects: int
    files: int
    accepted: int
    quarantined: int
    duplicate: int
    waiting: int
    lines: int
    lines_accepted: int
    rejected: int
    amount_in: int | None
    amount_out: int | None
    amount_rejected: int | None
    findings: int
    ok: bool
