"""The sets of finance that the benchmark lands, what a way made of them, as its own files say it, and whether two ways made the same."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.domains.finance.feeds import GROUP
from include.domains.finance.schema import TABLES
from include.files import keys
from include.files.keys import landing, natural_order
from sluice.cli.output import log
from sluice.generate.finance import FEEDS, Wish, files, to_folder
from tools.benchmarks.errors import BenchmarkFailed
from tools.benchmarks.usage import MB
from tools.benchmarks.world import World

_FIRST = dt.date(2026, 1, 1)
_SEED = 1
_SUMMED = ("price", "volume", "holdings", "total_value", "price_adjusted", "stocks")


@dataclass(frozen=True)
class FinanceSet:
    folder: Path
    wish: Wish

    def events(self, feed: str) -> int:
        """Good and bad ones."""
        return sum(file.rows + file.bad for file in files(self.wish) if file.feed == feed)

    @property
    def all_events(self) -> int:
        return sum(map(self.events, FEEDS))

    @property
    def bad(self) -> int:
        return sum(file.bad for file in files(self.wish))

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("events_*"))


class FinanceWorld(World):
    def generated(self, rows: int, companies: int) -> FinanceSet:
        """A set of these arguments, made once and kept."""
        wish = Wish(rows, 3, 100_000, companies, _FIRST, _SEED, faults=True)
        kept = self.data / f"finance-{rows}-{companies}-{_SEED}"
        if not kept.is_dir():
            draft = kept.with_name(f"{kept.name}.new")
            made = to_folder(wish, draft)
            draft.rename(kept)
            log(f"generated {made.rows:,} events and {made.bad:,} bad ones, {made.bytes / MB:,.0f} MB")
        return FinanceSet(kept, wish)

    def landed(self) -> dict[str, list[str]]:
        """What lies there of each feed, in its order."""
        return {feed: sorted(self.keys(landing(feed)), key=natural_order) for feed in FEEDS}


@dataclass(frozen=True)
class Results:
    """The tables, sorted by all their columns, and how many events were refused."""

    tables: Mapping[str, pa.Table]
    rejected: int

    def counts(self) -> dict[str, int | Decimal]:
        """Rows and sums of every table, exact."""
        found: dict[str, int | Decimal] = {"rejected": self.rejected}
        for name, table in self.tables.items():
            found[f"{name}: rows"] = table.num_rows
            for column in (column for column in _SUMMED if column in table.column_names):
                found[f"{name}: {column}"] = pc.sum(table[column]).as_py() or 0
        return found


def results_of_ours(world: FinanceWorld) -> Results:
    tables = {}
    for name in TABLES:
        current = json.loads(_bytes(world, keys.lake_current(GROUP, name, "parquet")))
        tables[name] = _table(world, name, [ref["key"] for ref in current["objects"]])
    with world.connect() as ledger:
        (rejected,) = ledger.execute("select sum(rejected)::bigint from file").fetchall()[0]
    return Results(tables, rejected)


def results_of_peer(world: FinanceWorld, lake: str, rejected: int) -> Results:
    tables = {name: _table(world, name, [key for key in world.keys(f"{lake}{name}/") if key.endswith(".parquet")]) for name in TABLES}
    return Results(tables, rejected)


def agree(found: Mapping[str, Results]) -> str:
    """What all ways have, in words.

    Raises:
        BenchmarkFailed: two differ; says in what.
    """
    (first, expected), *others = found.items()
    wanted = expected.counts()
    for way, results in others:
        unlike = [f"{what} {value} and {wanted[what]}" for what, value in results.counts().items() if value != wanted[what]]
        unlike += [f"rows of {name}" for name, table in results.tables.items() if not table.equals(expected.tables[name])]
        if unlike:
            raise BenchmarkFailed(f"{way} and {first} differ: {'; '.join(unlike)}")
    sizes = ", ".join(f"{name} {table.num_rows:,} rows" for name, table in expected.tables.items())
    return f"{' = '.join(found)}: {sizes}, {expected.rejected:,} events refused"


def _table(world: FinanceWorld, name: str, objects: Sequence[str]) -> pa.Table:
    """The rows of these objects, in the types that ours has."""
    schema = TABLES[name]
    parts = [pq.read_table(io.BytesIO(_bytes(world, key))).select(schema.names).cast(schema) for key in objects]
    whole = pa.concat_tables([schema.empty_table(), *parts])
    return whole.sort_by([(column, "ascending") for column in schema.names]).combine_chunks()


def _bytes(world: FinanceWorld, key: str) -> bytes:
    return world.s3.get_object(Bucket=world.bucket, Key=key)["Body"].read()
