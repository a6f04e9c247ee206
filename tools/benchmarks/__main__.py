"""`make bench`: measure, and print one table.

The measurements run on services of their own (`.sluice/bench`), whose ledger they empty again and again; the history of the services that
people use is not touched. What is measured, and what limits it: docs/performance.md.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.output import log
from sluice.services.state import PROJECT
from tools.benchmarks import table
from tools.benchmarks.catchup import catchup
from tools.benchmarks.empty import empty
from tools.benchmarks.errors import chosen, run
from tools.benchmarks.gate import gate_alone
from tools.benchmarks.growth import growth
from tools.benchmarks.inputs import FULL, QUICK, SMALLEST, Input, Scale, synthetic
from tools.benchmarks.memory import memory
from tools.benchmarks.paced import paced
from tools.benchmarks.world import TransactionsWorld, opened

Measure = Callable[[TransactionsWorld, Input, Scale], Iterator[table.Row]]
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
    smallest: Annotated[
        bool, typer.Option("--smallest", help="A few hundred rows, without Airflow and the streaming peer: whether all works, no figures.")
    ] = False,
    files: Annotated[int | None, typer.Option(min=1, help="So many files in a catch-up.")] = None,
    seconds: Annotated[int | None, typer.Option(min=1, help="So many seconds of one file each.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the table as JSON.")] = None,
    services: Annotated[Path, typer.Option(help="The services to measure on: a folder of the benchmarks' own.")] = PROJECT
    / ".sluice"
    / "bench",
) -> None:
    """Measure Sluice, and the peers on the same files and machine. Take nothing else onto the machine meanwhile."""
    wanted = chosen(only, "measurement", MEASURES)
    scale = SMALLEST if smallest else QUICK if quick else FULL
    scale = dataclasses.replace(scale, files=files or scale.files, seconds=seconds or scale.seconds)
    rows: list[table.Row] = []
    try:
        with opened(services, airflow=not smallest) as world:
            dataset = Input(transactions, importance) if transactions else None
            for row in measured(world, wanted, scale, dataset):
                rows.append(row)
                log(f"{row.measurement}: {table.figure(row.ours)} {row.unit}")
    finally:
        table.print_table(rows, json)


def measured(world: TransactionsWorld, wanted: Sequence[str], scale: Scale, dataset: Input | None = None) -> Iterator[table.Row]:
    """Some of the measurements, one after another, on a synthetic set by default."""
    dataset = dataset or synthetic(world.data, scale.files * scale.rows, scale.customers)
    for name in wanted:
        begun = time.monotonic()
        yield from MEASURES[name](world, dataset, scale)
        log(f"--- {name} took {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    run(bench)
