"""`make bench-finance`: stocks and mutual funds from JSON to silver and gold, by stage, beside two peers, as one table.

All three ways take the same files in one batch and write silver, gold and the aggregates as Parquet; rows, sums and rows one by one must be
the same in all, or there is no table.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import command, table
from benchmarks.errors import run
from benchmarks.finance import results
from benchmarks.finance.peer import CHECK, LATEST, TABLES, FinanceJob
from benchmarks.finance.results import Results
from benchmarks.finance.world import FinanceSet, FinanceWorld
from benchmarks.plain import services_of
from benchmarks.staged import Taken, take
from include.feeds.finance.choices import FORMATS
from include.stores.finance.sets import VersionedSets
from include.stores.finance.views import newest_batch
from sluice.cli.output import say
from sluice.generate.finance import FEEDS
from sluice.runtime import open_ledger, open_store
from sluice.services.state import PROJECT

SLUICE, SPARK, DUCKDB = "sluice", "pyspark", "duckdb"
MODULES = {SPARK: "benchmarks.finance.peer_spark", DUCKDB: "benchmarks.finance.peer_duckdb"}
WAYS = (SLUICE, *MODULES)
# Which of the five steps does what the peers' stages do.
_STAGE = {"discover": CHECK, "gate": CHECK, "process": LATEST, "publish": LATEST, "deliver": TABLES}
_MB = 1_000_000


def bench(
    rows: Annotated[int, typer.Option(min=1000, help="Good events of both feeds; a bad one comes on top of every hundred.")] = 1_000_000,
    companies: Annotated[int | None, typer.Option(min=2, help="Of each feed, with two ids each; a tenth of the rows if not given.")] = None,
    only: Annotated[str, typer.Option(help=f"Some of {','.join(WAYS)}; otherwise all.")] = ",".join(WAYS),
    json: Annotated[Path | None, typer.Option(help="Also write the table as JSON.")] = None,
    services: Annotated[Path, typer.Option(help="The services to measure on: a folder of the benchmark's own.")] = PROJECT
    / ".sluice"
    / "bench-finance",
) -> None:
    """Measure stocks and mutual funds through Sluice, a plain PySpark script, and DuckDB. Take nothing else onto the machine meanwhile."""
    wanted = [name for name in only.split(",") if name]
    if unknown := [name for name in wanted if name not in WAYS]:
        raise typer.BadParameter(f"no way {', '.join(unknown)}; there are: {', '.join(WAYS)}")
    taken: dict[str, Taken] = {}
    made: dict[str, Results] = {}
    with services_of(services) as there:
        world = FinanceWorld(*there)
        given = world.generated(rows, companies or rows // 10)
        for way in wanted:
            world.clear()
            world.land(given)
            taken[way], made[way] = _ours(world) if way == SLUICE else _theirs(world, way)
            _tell(way, taken[way])
    agreed = results.agree(made)
    say(agreed)
    measured = list(_rows(given, taken, agreed))
    table.show(measured)
    if json is not None:
        table.write_json(measured, json)


def _ours(world: FinanceWorld) -> tuple[Taken, Results]:
    """`sluice ingest`, and after it the tables once more in each of the other formats."""
    taken, told = command.ingest(world, FEEDS, _STAGE)
    steps = {f"{one['feed']}: {step}": seconds for one in told for step, seconds in one["step_seconds"].items()}
    with open_ledger(world.where) as ledger:
        sets, newest = VersionedSets(ledger, open_store(world.where), world.bucket), newest_batch(ledger)
        for written_as in FORMATS:
            if written_as != "parquet":
                begun = time.monotonic()
                sets.write(newest, written_as, lambda _: None)
                steps[written_as] = time.monotonic() - begun
    return Taken(taken.seconds, taken.stages, taken.usage, steps), results.ours(world)


def _theirs(world: FinanceWorld, way: str) -> tuple[Taken, Results]:
    folder = world.state.root / "peer" / way
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lake = f"peer-{way}/"
    taken = take(world, MODULES[way], FinanceJob(str(folder), world.bucket, world.landed(), lake))
    return taken, results.of_peer(world, lake, taken.counts["rejected"])


def _tell(way: str, taken: Taken) -> None:
    say(f"{way}: {taken.seconds:.1f} s ({table.stages(taken.steps or taken.stages)})")
    say(f"{way}: CPU {taken.cpu_seconds:.0f} s, memory {taken.usage.peak_bytes / _MB:,.0f} MB at most ({taken.by_process()})")


def _rows(given: FinanceSet, taken: Mapping[str, Taken], agreed: str) -> Iterator[table.Row]:
    def row(what: str, unit: str, figure: Callable[[Taken], float], note: str = "") -> table.Row:
        figures = {way: figure(one) for way, one in taken.items()}
        return table.Row(what, figures.get(SLUICE), unit, {way: value for way, value in figures.items() if way != SLUICE}, note)

    size = f"{given.wish.rows:,} events and {given.bad:,} bad ones, {given.bytes / _MB:,.0f} MB"
    yield row(CHECK, "rows/s", lambda one: given.all_events / one.stages[CHECK], size)
    yield row(LATEST, "rows/s", lambda one: given.all_events / one.stages[LATEST])
    yield row(TABLES, "rows/s", lambda one: given.all_events / one.stages[TABLES])
    yield row("all", "rows/s", lambda one: given.all_events / one.seconds, "with the start of the process")
    yield row("all", "s", lambda one: one.seconds, agreed)
    yield row("all: CPU", "s", lambda one: one.cpu_seconds, "with PostgreSQL and S3")
    yield row("all: peak memory", "MB", lambda one: one.usage.peak_bytes / _MB, "sum of high-water marks, with PostgreSQL and S3")
    for name in sorted({name for one in taken.values() for name in one.usage.peak_of}):
        figures = {way: one.usage.peak_of[name] / _MB for way, one in taken.items() if name in one.usage.peak_of}
        yield table.Row(f"peak memory of {name}", figures.pop(SLUICE, None), "MB", figures)
    if SLUICE in taken:
        yield from _steps(given, taken[SLUICE].steps)


def _steps(given: FinanceSet, steps: Mapping[str, float]) -> Iterator[table.Row]:
    """Ours by feed and step, and the tables by format."""
    for name, seconds in steps.items():
        feed, colon, step = name.partition(": ")
        if not colon:
            yield table.Row(f"tables as {name}, once more", seconds, "s")
        elif step == "discover":
            yield table.Row(name, seconds, "s")
        else:
            yield table.Row(name, given.events(feed) / seconds, "rows/s", note=f"{table.figure(seconds)} s")


if __name__ == "__main__":
    run(bench)
