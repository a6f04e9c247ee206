"""`make bench`: measure, and print one table.

The measurements run on services of their own (`.sluice/bench`), whose ledger they empty again and again; the history of the services that
people use is not touched. What is measured, and what limits it: docs/performance.md.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import table
from benchmarks.catchup import catchup
from benchmarks.empty import empty
from benchmarks.errors import run
from benchmarks.gate_alone import gate_alone
from benchmarks.growth import growth
from benchmarks.inputs import Input, synthetic
from benchmarks.memory import memory
from benchmarks.paced import paced
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.world import World, opened
from sluice.cli.output import say
from sluice.services.state import PROJECT

Measure = Callable[[World, Input, Scale], Iterator[table.Row]]
# Memory goes first: idle means before any work.
MEASURES: dict[str, Measure] = {
    "memory": memory,
    "catchup": catchup,
    "paced": paced,
    "growth": growth,
    "empty": empty,
    "gate": gate_alone,
}


def bench(
    only: Annotated[str, typer.Option(help=f"Some of {','.join(MEASURES)}; otherwise all.")] = ",".join(MEASURES),
    transactions: Annotated[
        Path | None, typer.Option(exists=True, help="A transactions file for the catch-up, instead of a synthetic one.")
    ] = None,
    importance: Annotated[Path | None, typer.Option(exists=True, help="The CustomerImportance that goes with it.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Everything smaller: minutes, and figures to look at only.")] = False,
    files: Annotated[int | None, typer.Option(min=1, help="So many files in a catch-up.")] = None,
    seconds: Annotated[int | None, typer.Option(min=1, help="So many seconds of one file each.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the table as JSON.")] = None,
    services: Annotated[Path, typer.Option(help="The services to measure on: a folder of the benchmarks' own.")] = PROJECT
    / ".sluice"
    / "bench",
) -> None:
    """Measure Sluice, and the peers on the same files and machine. Take nothing else onto the machine meanwhile."""
    wanted = [name for name in only.split(",") if name]
    if unknown := [name for name in wanted if name not in MEASURES]:
        raise typer.BadParameter(f"no measurement {', '.join(unknown)}; there are: {', '.join(MEASURES)}")
    scale = QUICK if quick else FULL
    scale = dataclasses.replace(scale, files=files or scale.files, seconds=seconds or scale.seconds)
    rows: list[table.Row] = []
    try:
        with opened(services) as world:
            given = Input(transactions, importance) if transactions else synthetic(world.data, scale.files * scale.rows)
            for name in wanted:
                begun = time.monotonic()
                for row in MEASURES[name](world, given, scale):
                    rows.append(row)
                    say(f"{row.measurement}: {table.figure(row.ours)} {row.unit}")
                say(f"--- {name} took {time.monotonic() - begun:.0f} s")
    finally:
        table.show(rows)
        if json is not None:
            table.write_json(rows, json)


if __name__ == "__main__":
    run(bench)
