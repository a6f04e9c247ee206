"""What was measured, as rows, and the one table they become."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sluice.cli.output import print_rows

OURS = "sluice"
COLUMNS = ("measurement", "ours", "peers", "unit", "note")


@dataclass(frozen=True)
class Row:
    """One figure of ours, beside what the peers took for the same."""

    measurement: str
    ours: float | None
    unit: str
    peers: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @classmethod
    def of_ways(cls, measurement: str, unit: str, figures: Mapping[str, float], note: str = "") -> Row:
        """Figures by way, ours among them as `sluice` if it was measured."""
        peers = {way: value for way, value in figures.items() if way != OURS}
        return cls(measurement, figures.get(OURS), unit, peers, note)

    def shown(self) -> dict[str, str]:
        peers = ", ".join(f"{name} {figure(value)}" for name, value in self.peers.items())
        return {"measurement": self.measurement, "ours": figure(self.ours), "peers": peers, "unit": self.unit, "note": self.note}


def figure(value: float | None) -> str:
    """A number with as many digits as mean something.

    >>> [figure(value) for value in (None, 7, 0.01234, 4.567, 31.25, 131_415.9)]
    ['', '7', '0.012', '4.57', '31.2', '131,416']
    """
    if value is None:
        return ""
    if float(value).is_integer():
        return f"{value:,.0f}"
    for below, digits in ((1, 3), (10, 2), (100, 1)):
        if abs(value) < below:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def stages(seconds: Mapping[str, float]) -> str:
    """Seconds a step, in the order of the steps.

    >>> stages({"discover": 0.05, "gate": 2.1})
    'discover 0.050, gate 2.10'
    """
    return ", ".join(f"{step} {figure(spent)}" for step, spent in seconds.items())


def median_of(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each step over several runs.

    >>> median_of([{"gate": 1.0}, {"gate": 4.0}, {"gate": 2.0}])
    {'gate': 2.0}
    """
    steps = dict.fromkeys(step for run in runs for step in run)
    return {step: statistics.median(run.get(step, 0.0) for run in runs) for step in steps}


def spread(values: Sequence[float]) -> str:
    """How far repetitions lie apart, in words for a note."""
    return f"{len(values)} times, {figure(min(values))}-{figure(max(values))}" if len(values) > 1 else "once"


def print_table(rows: Iterable[Row], json_file: Path | None) -> None:
    """Print rows, and write them as JSON if there is a file for it."""
    found = list(rows)
    print_rows([row.shown() for row in found], COLUMNS, as_json=False, empty="nothing was measured")
    if json_file is not None:
        json_file.write_text(json.dumps([dataclasses.asdict(row) for row in found], indent=2) + "\n")
