"""`make bench-sales`: a day of sales, by stage, beside two peers on the same files and machine, as one table.

Each way takes the same set twice over: first the whole day with its dimensions, then one small file more, which shows what a way that
reads only what is new costs. The marts of all three are compared, cell by cell, with what the generator expects.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from include.files.keys import landing
from sluice.generate.sales.command import Wish
from sluice.generate.sales.formats import Format
from sluice.generate.sales.population import Sizes
from sluice.services.state import PROJECT
from tools.benchmarks import table
from tools.benchmarks.errors import BenchmarkFailed, chosen, run
from tools.benchmarks.passes import Taken, ingest, take, usage_rows
from tools.benchmarks.sales.peer import CHECK, LAKE, MARTS, SalesJob
from tools.benchmarks.sales.world import DIMENSION_FEEDS, FACTS, Compared, SalesSet, SalesWorld, compared, expected
from tools.benchmarks.table import OURS as SLUICE
from tools.benchmarks.usage import MB
from tools.benchmarks.world import services_of

SPARK, DUCKDB = "spark+jdbc", "duckdb"
MODULES = {SPARK: "tools.benchmarks.sales.peer_spark", DUCKDB: "tools.benchmarks.sales.peer_duckdb"}
WAYS = (SLUICE, *MODULES)
MORE_ROWS = 15_000
_DAY_MB = 15_000
# Which of the five steps does what the peers' stages do: the marts are part of publish, the lake of deliver.
_STAGE = {"discover": CHECK, "gate": CHECK, "process": MARTS, "publish": MARTS, "deliver": LAKE}
_SCHEMAS = {SLUICE: "sales", SPARK: "peer_spark", DUCKDB: "peer_duckdb"}
_DATES = {"day": "2026-02-01", "more": "2026-02-02"}  # a day holds sales of the two before it: two months are touched

Found = tuple[Taken, Compared]


def bench(
    gb: Annotated[float, typer.Option(min=0.01, help="Gigabytes of fact files.")] = 1.0,
    only: Annotated[str, typer.Option(help=f"Some of {','.join(WAYS)}; otherwise all.")] = ",".join(WAYS),
    file_mb: Annotated[float, typer.Option(min=1, help="Size of a fact file.")] = 64,
    customers: Annotated[int, typer.Option(min=100, help="How many customers there are.")] = 50_000,
    json: Annotated[Path | None, typer.Option(help="Also write the table as JSON.")] = None,
    services: Annotated[Path, typer.Option(help="The services to measure on: a folder of the benchmark's own.")] = PROJECT
    / ".sluice"
    / "bench-sales",
) -> None:
    """Measure a day of sales through Sluice, Spark with JDBC, and DuckDB. Take nothing else onto the machine meanwhile."""
    wanted = chosen(only, "way", WAYS)
    with services_of(services) as found_services:
        rows = list(measured(SalesWorld(*found_services), wanted, Wish(gb, None, 1, file_mb), MORE_ROWS, Sizes(customers=customers)))
    table.print_table(rows, json)


def measured(world: SalesWorld, wanted: Sequence[str], a_day: Wish, more_rows: int, sizes: Sizes) -> Iterator[table.Row]:
    """Each way on the same day and the file after it.

    Raises:
        BenchmarkFailed: a way's marts are not those that the generator expects.
    """
    day = world.generated("day", a_day, 1, sizes, Format.CSV, _DATES["day"])
    more = world.generated("more", Wish(None, more_rows, 1, a_day.file_mb), 2, sizes, Format.CSV, _DATES["more"])
    yield from _rows(day, more, {way: list(_measured(world, way, day, more)) for way in wanted})


def _measured(world: SalesWorld, way: str, day: SalesSet, more: SalesSet) -> Iterator[Found]:
    """What a way takes for the day, and for one more file after it, on an empty ledger and bucket."""
    world.clear()
    shutil.rmtree(world.state.root / "peer", ignore_errors=True)
    world.land_folder(day.folder, (*DIMENSION_FEEDS, FACTS))
    yield _one(world, way, [day], fresh=True)
    world.land_folder(more.folder, (FACTS,))
    yield _one(world, way, [day, more], fresh=False)


def _one(world: SalesWorld, way: str, datasets: Sequence[SalesSet], *, fresh: bool) -> Found:
    if way == SLUICE:
        taken, _ = ingest(world, (*(DIMENSION_FEEDS if fresh else ()), FACTS), _STAGE)
    else:
        taken = take(world, MODULES[way], _job(world, way, datasets, fresh))
    with world.connect() as ledger:
        result = compared(ledger, _SCHEMAS[way], expected(datasets))
    what = "the day" if fresh else "one file more"
    taken.print_figures(f"{way}, {what}", f"; {result}")
    if not result.exact and (fresh or way != SPARK):  # appended twice, the classic marts have a cell two times: that is printed, not hidden
        raise BenchmarkFailed(f"{way}, {what}: {result}")
    return taken, result


def _job(world: SalesWorld, way: str, datasets: Sequence[SalesSet], fresh: bool) -> SalesJob:
    """DuckDB looks at all that lies there and takes what is new; for the classic way files that are not new were moved away."""
    first = 0 if fresh else len(datasets[0].files(FACTS))
    facts = sorted(world.keys(landing(FACTS)))
    return SalesJob(
        folder=str(world.state.folder("peer", way.partition("+")[0])),
        bucket=world.bucket,
        facts=facts[first:] if way == SPARK else facts,
        dimensions={feed: sorted(world.keys(landing(feed))) for feed in (DIMENSION_FEEDS if fresh or way == SPARK else ())},
        schema=_SCHEMAS[way],
        lake=f"peer-{way.partition('+')[0]}/",
        fresh=fresh,
    )


def _rows(day: SalesSet, more: SalesSet, found: Mapping[str, Sequence[Found]]) -> Iterator[table.Row]:
    size = day.fact_bytes / MB
    first, second = ({way: runs[number][0] for way, runs in found.items()} for number in (0, 1))

    def row(what: str, unit: str, figure: Callable[[Taken], float], note: str = "", of: Mapping[str, Taken] = first) -> table.Row:
        return table.Row.of_ways(what, unit, {way: figure(taken) for way, taken in of.items()}, note)

    a_day = f"sales, {size:,.0f} MB in {len(day.files(FACTS))} files"
    for stage in (CHECK, MARTS, LAKE):
        yield row(f"{a_day}: {stage}", "s", lambda taken, stage=stage: taken.stages[stage])  # type: ignore[misc]
    yield row(f"{a_day}: all", "s", lambda taken: taken.seconds, "with starts and dimensions")
    yield row(f"{a_day}: speed", "MB/s", lambda taken: size / taken.seconds)
    yield from usage_rows(a_day, f"{a_day}: peak memory", first)
    hours = f"{_DAY_MB / size:.0f} times as long; aim: below 2"
    yield row("15 GB a day at that speed", "h", lambda taken: _DAY_MB / size * taken.seconds / 3600, hours)
    if DUCKDB in first:
        limit = first[DUCKDB]
        yield row(f"{a_day}: times as long as {DUCKDB}", "times", lambda taken: taken.seconds / limit.seconds, "aim: at most 5")
        yield row(f"{a_day}: times the CPU of {DUCKDB}", "times", lambda taken: taken.cpu_seconds / limit.cpu_seconds)
    one_more = f"sales, {more.fact_bytes / MB:.1f} MB more"
    notes = ", ".join(f"{way}: {runs[1][1]}" for way, runs in found.items())
    yield row(f"{one_more}: all", "s", lambda taken: taken.seconds, notes, second)
    yield row(f"{one_more}: marts", "s", lambda taken: taken.stages[MARTS], of=second)
    yield row(f"{one_more}: CPU", "s", lambda taken: taken.cpu_seconds, of=second)


if __name__ == "__main__":
    run(bench)
