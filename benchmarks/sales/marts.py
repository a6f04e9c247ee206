"""Whether marts hold what the generator expects, cell by cell."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from benchmarks.sales.world import SalesSet

Customers = dict[tuple[int, str], int]
Team = dict[tuple[int, int, str], tuple[int, int]]

# Cents as numeric: what is compared is never rounded.
_CUSTOMERS = "select customer_id, to_char(sales_date_month, 'YYYY-MM'), total_sales * 100 from {}.customers_data_mart"
_TEAM = "select store_id, sales_person_id, sales_month, total_sales * 100, incentive * 100 from {}.sales_team_data_mart"


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


def expected(sets: Sequence[SalesSet]) -> Cells:
    """What the marts hold after these sets: sums of cells, and the incentives anew."""
    customers: Customers = defaultdict(int)
    totals: dict[tuple[int, int, str], int] = defaultdict(int)
    for given in sets:
        for row in _rows(given, "expected_customers.csv"):
            customers[int(row["customer_id"]), row["month"]] += int(row["total_cents"])
        for row in _rows(given, "expected_team.csv"):
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


def _rows(given: SalesSet, name: str) -> list[dict[str, str]]:
    with (given.folder / name).open() as lines:
        return list(csv.DictReader(lines))
