"""What a way made of the events, as its own files say it, and whether two ways made the same."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.errors import BenchmarkFailed
from benchmarks.finance.world import FinanceWorld
from include.feeds.finance.choices import GROUP
from include.feeds.finance.sets import TABLES
from include.ingestion import keys

_SUMMED = ("price", "volume", "holdings", "total_value", "price_adjusted", "stocks")


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


def ours(world: FinanceWorld) -> Results:
    """What the objects hold that people are told to read."""
    tables = {}
    for name in TABLES:
        current = json.loads(_bytes(world, keys.lake_current(GROUP, name, "parquet")))
        tables[name] = _table(world, name, [ref["key"] for ref in current["objects"]])
    with world.ledger() as ledger:
        (rejected,) = ledger.execute("select sum(rejected)::bigint from file").fetchall()[0]
    return Results(tables, rejected)


def of_peer(world: FinanceWorld, lake: str, rejected: int) -> Results:
    """What a peer left below its prefix."""
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
    told = ", ".join(f"{name} {table.num_rows:,} rows" for name, table in expected.tables.items())
    return f"{' = '.join(found)}: {told}, {expected.rejected:,} events refused"


def _table(world: FinanceWorld, name: str, objects: Sequence[str]) -> pa.Table:
    """The rows of these objects, in the types that ours has."""
    schema = TABLES[name]
    parts = [pq.read_table(io.BytesIO(_bytes(world, key))).select(schema.names).cast(schema) for key in objects]
    whole = pa.concat_tables([schema.empty_table(), *parts])
    return whole.sort_by([(column, "ascending") for column in schema.names]).combine_chunks()


def _bytes(world: FinanceWorld, key: str) -> bytes:
    return world.s3.get_object(Bucket=world.bucket, Key=key)["Body"].read()
