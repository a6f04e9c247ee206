"""`make bench-finance`: stocks and mutual funds from JSON to silver and gold, by stage, beside two peers, as one table.

All three ways take the same files in one batch and write silver, gold and the aggregates as Parquet; rows, sums and rows one by one must be
the same in all, or there is no table.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from include.domains.finance.exporter import TableExporter
from include.domains.finance.feeds import FORMATS
from include.domains.finance.queries import newest_batch
from sluice.cli.output import log
from sluice.generate.finance import FEEDS
from sluice.runtime import open_ledger, open_store
from sluice.services.state import PROJECT
from tools.benchmarks import table
from tools.benchmarks.errors import chosen, run
from tools.benchmarks.finance.peer import CHECK, LATEST, TABLES, FinanceJob
from tools.benchmarks.finance.world import FinanceSet, FinanceWorld, Results, agree, results_of_ours, results_of_peer
from tools.benchmarks.passes import Taken, ingest, take, usage_rows
from tools.benchmarks.table import OURS as SLUICE
from tools.benchmarks.usage import MB
from tools.benchmarks.world import services_of

SPARK, DUCKDB = "pyspark", "duckdb"
MODULES = {SPARK: "tools.benchmarks.finance.peer_spark", DUCKDB: "tools.benchmarks.finance.peer_duckdb"}
WAYS = (SLUICE, *MODULES)
# Which of the five steps does what the peers' stages do.
_STAGE = {"discover": CHECK, "gate": CHECK, "process": LATEST, "publish": LATEST, "deliver": TABLES}


def bench(
    rows: Annotated[int, typer.Option(min=1000, help="Good events of both feeds; a bad one comes on top of every hundred.")] = 1_000_000,
    companies: Annotated[int | None, typer.Option(min=2, help="Of each feed, with two ids each; by default a tenth of the rows.")] = None,
    only: Annotated[str, typer.Option(help=f"Some of {','.join(WAYS)}; otherwise all.")] = ",".join(WAYS),
    json: Annotated[Path | None, typer.Option(help="Also write the table as JSON.")] = None,
    services: Annotated[Path, typer.Option(help="The services to measure on: a folder of the benchmark's own.")] = PROJECT
    / ".sluice"
    / "bench-finance",
) -> None:
    """Measure stocks and mutual funds through Sluice, a plain PySpark script, and DuckDB. Take nothing else onto the machine meanwhile."""
    wanted = chosen(only, "way", WAYS)
    with services_of(services) as there:
        found = list(measured(FinanceWorld(*there), wanted, rows, companies or rows // 10))
    table.print_table(found, json)


def measured(world: FinanceWorld, wanted: Sequence[str], rows: int, companies: int) -> Iterator[table.Row]:
    """Each way on the same files, after an empty ledger and bucket.

    Raises:
        BenchmarkFailed: two ways made different tables.
    """
    taken: dict[str, Taken] = {}
    made: dict[str, Results] = {}
    dataset = world.generated(rows, companies)
    for way in wanted:
        world.clear()
        world.land_folder(dataset.folder, FEEDS)
        taken[way], made[way] = _ours(world) if way == SLUICE else _theirs(world, way)
        taken[way].print_figures(way)
    agreed = agree(made)
    log(agreed)
    yield from _rows(dataset, taken, agreed)


def _ours(world: FinanceWorld) -> tuple[Taken, Results]:
    """`sluice ingest`, and after it the tables once more in each of the other formats."""
    taken, summaries = ingest(world, FEEDS, _STAGE)
    steps = {f"{one['feed']}: {step}": seconds for one in summaries for step, seconds in one["step_seconds"].items()}
    with open_ledger(world.where) as ledger:
        sets, newest = TableExporter(ledger.session, open_store(world.where), world.bucket), newest_batch(ledger.session)
        for written_as in FORMATS:
            if written_as != "parquet":
                begun = time.monotonic()
                sets.write(newest, written_as, lambda _: None)
                steps[written_as] = time.monotonic() - begun
    return Taken(taken.seconds, taken.stages, taken.usage, steps), results_of_ours(world)


def _theirs(world: FinanceWorld, way: str) -> tuple[Taken, Results]:
    folder = world.state.root / "peer" / way
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lake = f"peer-{way}/"
    taken = take(world, MODULES[way], FinanceJob(str(folder), world.bucket, world.landed(), lake))
    return taken, results_of_peer(world, lake, taken.counts["rejected"])


def _rows(dataset: FinanceSet, taken: Mapping[str, Taken], agreed: str) -> Iterator[table.Row]:
    size = f"{dataset.wish.rows:,} events and {dataset.bad:,} bad ones, {dataset.bytes / MB:,.0f} MB"
    for stage, note in ((CHECK, size), (LATEST, ""), (TABLES, "")):
        yield table.Row.of_ways(stage, "rows/s", {way: dataset.all_events / one.stages[stage] for way, one in taken.items()}, note)
    speeds = {way: dataset.all_events / one.seconds for way, one in taken.items()}
    yield table.Row.of_ways("all", "rows/s", speeds, "with the start of the process")
    yield table.Row.of_ways("all", "s", {way: one.seconds for way, one in taken.items()}, agreed)
    yield from usage_rows("all", "peak memory", taken)
    if SLUICE in taken:
        yield from _steps(dataset, taken[SLUICE].steps)


def _steps(dataset: FinanceSet, steps: Mapping[str, float]) -> Iterator[table.Row]:
    """Ours by feed and step, and the tables by format."""
    for name, seconds in steps.items():
        feed, colon, step = name.partition(": ")
        if not colon:
            yield table.Row(f"tables as {name}, once more", seconds, "s")
        elif step == "discover":
            yield table.Row(name, seconds, "s")
        else:
            yield table.Row(name, dataset.events(feed) / seconds, "rows/s", note=f"{table.figure(seconds)} s")


if __name__ == "__main__":
    run(bench)
