"""How large each measurement is: the full size, and one that takes minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scale:
    """Sizes of the measurements.

    Attributes:
        files: that wait in a catch-up; `rows` in each.
        repeats: of each catch-up; the median counts.
        seconds: of the paced stream, one file in each.
        growth_files: that fill the state before a batch on it is measured.
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
