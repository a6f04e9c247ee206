"""The gate alone: rows a second, peak memory, and what Great Expectations costs of it."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gate import measured
from benchmarks.inputs import Input
from benchmarks.scale import Scale
from benchmarks.table import Row
from benchmarks.world import World


def gate_alone(_world: World, _given: Input, scale: Scale) -> Iterator[Row]:
    """A small and a large file, each in a process of its own; the peak holds Python and its libraries too."""
    for rows in scale.gate_rows:
        found = measured(rows)
        share = found["gx_seconds"] / found["seconds"]
        yield Row(f"gate, a file of {rows:,} rows", found["seconds"], "s", note=f"of which Great Expectations {share:.0%}")
        yield Row(f"gate, a file of {rows:,} rows: rows a second", found["rows"] / found["seconds"], "rows/s")
        yield Row(f"gate, a file of {rows:,} rows: peak memory", found["peak_mb"], "MB", note="of the whole process")
