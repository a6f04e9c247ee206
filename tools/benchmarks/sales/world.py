"""The sets of sales that the benchmark lands, and whether marts hold what a set expects of them, cell by cell."""

from __future__ import annotations

import csv
import datetime as dt
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from sluice.cli.output import log
from sluice.generate.sales.command import Wish, request, to_folder
from sluice.generate.sales.dimension_file import DIMENSIONS
from sluice.generate.sales.formats import Format
from sluice.generate.sales.population import Sizes
from tools.benchmarks.usage import MB
from tools.benchmarks.world import World

DIMENSION_FEEDS = tuple(DIMENSIONS)
FACTS = "sales"
Customers = dict[tuple[int, str], int]
Team = dict[tuple[int, int, str], tuple[int, int]]

# Cents as numeric: what is compared is never rounded.
_CUSTOMERS = "select customer_id, to_char(sales_date_month, 'YYYY-MM'), total_sales * 100 from {}.customers_data_mart"
_TEAM = "select store_id, sales_person_id, sales_month, total_sales * 100, incentive * 100 from {}.sales_team_data_mart"


@dataclass(frozen=True)
class SalesSet:
    folder: Path

    @property
    def fact_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob(f"{FACTS}/*/*"))

    def files(self, feed: str) -> list[Path]:
        return sorted(self.folder.glob(f"{feed}/dt=*/*"))


class SalesWorld(World):
    def generated(self, name: str, wish: Wish, seed: int, sizes: Sizes, kind: Format, start: str) -> SalesSet:
        """A set of these arguments, made once and kept."""
        wanted = request(wish, seed, dt.date.fromisoformat(start), [kind], sizes, faults=False)
        folder = self.data / f"sales-{name}-{wanted.rows}-{wanted.days}-{seed}-{kind}-{sizes.customers}-{sizes.stores}"
        if not (folder / "expected.json").is_file():
            made = to_folder(wanted, folder, os.cpu_count() or 1, log)
            log(f"generated {made.bytes / MB:,.0f} MB in {made.seconds:.1f} s, {made.mb_a_core_second:.0f} MB/s a core")
        return SalesSet(folder)


@dataclass(frozen=True)
class Cells:
    """Both marts: cents of each customer and month; cents and incentive of each store, seller and month."""

    customers: Customers
    team: Team


@dataclass(frozen=True)
class Compared:
    """How many cells there should be, and how many are there and right; `rows` that the marts have."""

    cells: int
    right: int
    rows: int

    @property
    def exact(self) -> bool:
        return self.cells == self.right == self.rows

    def __str__(self) -> str:
        if self.exact:
            return f"all {self.cells:,} mart cells exact"
        return f"{self.right:,} of {self.cells:,} mart cells exact, in {self.rows:,} rows"


def expected(datasets: Sequence[SalesSet]) -> Cells:
    """What the marts hold after these datasets: sums of cells, and the incentives anew."""
    customers: Customers = defaultdict(int)
    totals: dict[tuple[int, int, str], int] = defaultdict(int)
    for dataset in datasets:
        for row in _rows(dataset, "expected_customers.csv"):
            customers[int(row["customer_id"]), row["month"]] += int(row["total_cents"])
        for row in _rows(dataset, "expected_team.csv"):
            totals[int(row["store_id"]), int(row["sales_person_id"]), row["month"]] += int(row["total_cents"])
    top: dict[tuple[int, str], int] = defaultdict(int)
    for (store, _, month), cents in totals.items():
        top[store, month] = max(top[store, month], cents)
    team = {key: (cents, (cents + 50) // 100 if cents == top[key[0], key[2]] else 0) for key, cents in totals.items()}
    return Cells(dict(customers), team)


def compared(connection: psycopg.Connection, schema: str, wanted: Cells) -> Compared:
    """The marts of a schema beside what is wanted; a cell that is there twice is not right."""
    customers: dict[tuple[int, str], list[int]] = defaultdict(list)
    for customer, month, cents in connection.execute(_CUSTOMERS.format(schema)):
        customers[customer, month].append(int(cents))
    team: dict[tuple[int, int, str], list[tuple[int, int]]] = defaultdict(list)
    for store, seller, month, cents, incentive in connection.execute(_TEAM.format(schema)):
        team[store, seller, month].append((int(cents), int(incentive)))
    right = sum(customers.get(key) == [cents] for key, cents in wanted.customers.items())
    right += sum(team.get(key) == [cell] for key, cell in wanted.team.items())
    rows = sum(map(len, customers.values())) + sum(map(len, team.values()))
    return Compared(len(wanted.customers) + len(wanted.team), right, rows)


def _rows(dataset: SalesSet, name: str) -> list[dict[str, str]]:
    with (dataset.folder / name).open() as lines:
        return list(csv.DictReader(lines))
