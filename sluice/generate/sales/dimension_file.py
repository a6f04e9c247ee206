"""The dimension files: who and what there is, and what changes about them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.generate.sales.counted import Counted
from sluice.generate.sales.faults import Value
from sluice.generate.sales.formats import Format
from sluice.generate.sales.plan import Request
from sluice.generate.sales.population import FIRST_PRICE, FIRST_PRODUCT, FIRST_SELLER, FIRST_STORE, MOVED, NEW_PRICE, PLACES, Population
from sluice.generate.sales.text import csv_line, json_line
from sluice.generate.sales.typed import MONEY

Row = dict[str, Value]
DIMENSIONS = {
    "customer": ("customer_id", "first_name", "last_name", "address", "pincode", "phone_number", "customer_joining_date"),
    "store": ("id", "address", "store_pincode", "store_manager_name", "store_opening_date", "reviews"),
    "product": ("id", "name", "current_price", "old_price", "created_date", "updated_date", "expiry_date"),
    "sales_team": ("id", "first_name", "last_name", "manager_id", "is_manager", "address", "pincode", "joining_date", "store_id"),
}
_IDS = {"customer_id", "id", "manager_id", "store_id"}
_FIRST = ("Asha", "Bilal", "Carla", "Dmitri", "Elena", "Farid", "Grace", "Hugo", "Inès", "Jonas", "Kavya", "Lars")
_LAST = ("Rao", "Khan", "Rossi", "Petrov", "García", "Haddad", "O'Neill", "Blanc", "Møller", "Weiss", "Iyer", "Berg")
_STREETS = ("Market Street", "Old Mill Lane, back yard", "Station Road", "Church Hill")
_CUSTOMERS_A_PIECE = 50_000
_LINES_A_PIECE = 10_000
_PARQUET_ROWS = 50_000


@dataclass(frozen=True)
class DimensionFile:
    """One file of a dimension; `part` says which of its feed's."""

    feed: str
    part: int
    wave: int
    day: dt.date
    name: str
    format: Format


def dimension_files(wanted: Request) -> list[DimensionFile]:
    """All dimension files in the order of wave and date; with faults each feed but stores has more than one."""
    people, start = wanted.population, wanted.start
    parts = [(feed, 1, start) for feed in DIMENSIONS]
    if wanted.faults:
        parts += [("product", 1, people.change_day), ("product", 2, people.change_day)]
        parts += [("sales_team", 1, people.move_day), ("customer", 1, people.change_day), ("customer", 2, start)]
    files: list[DimensionFile] = []
    for number, (feed, wave, day) in enumerate(parts):
        part = sum(file.feed == feed for file in files)
        kind = wanted.formats[number % len(wanted.formats)]
        files.append(DimensionFile(feed, part, wave, day, f"{feed}_{wanted.seed}_{part}.{kind}", kind))
    return sorted(files, key=lambda file: (file.wave, file.day, file.feed))


def write_dimension(file: DimensionFile, people: Population, start: dt.date, out: BinaryIO) -> tuple[int, Counted]:
    """Write a dimension file; how many rows it has, and its bytes counted."""
    counted = Counted(out)
    columns = DIMENSIONS[file.feed]
    rows = _ROWS[file.feed](people, file.part, start)
    if file.format is Format.PARQUET:
        return _write_parquet(counted, columns, rows), counted
    lines = (csv_line(row.values()) if file.format.is_csv else json_line(row) for row in rows)
    count = 0
    with file.format.opened(counted) as stream:
        if file.format.is_csv:
            stream.write(csv_line(columns))
        while some := list(itertools.islice(lines, _LINES_A_PIECE)):
            stream.write(b"".join(some))
            count += len(some)
    return count, counted


def _write_parquet(out: Counted, columns: tuple[str, ...], rows: Iterator[Row]) -> int:
    schema = pa.schema([(name, _type(name)) for name in columns])
    every = list(rows)
    with pq.ParquetWriter(out, schema, compression="snappy", store_schema=False) as writer:
        for first in range(0, len(every), _PARQUET_ROWS):
            writer.write_table(pa.Table.from_pylist(every[first : first + _PARQUET_ROWS], schema=schema))
    return len(every)


def _type(column: str) -> Any:
    if column in _IDS:
        return pa.int64()
    if column.endswith("_date"):
        return pa.date32()
    return MONEY if column.endswith("_price") else pa.string()


def _customers(people: Population, part: int, start: dt.date) -> Iterator[Row]:
    """Everybody but the late ones; then new addresses of some; then the late ones."""
    late = people.late_customers[: people.sizes.customers]
    chosen = np.nonzero((~late, ~late & (np.arange(late.size) % 40 == 7), late)[part])[0]
    for first in range(0, chosen.size, _CUSTOMERS_A_PIECE):
        some = chosen[first : first + _CUSTOMERS_A_PIECE].tolist()
        random = np.random.default_rng([people.seed, 5, part, first])
        drawn = random.integers(0, 1_000_000, (3, len(some))).tolist()
        for number, one, two, three in zip(some, *drawn, strict=True):
            yield {
                "customer_id": int(people.customers[number]),
                "first_name": _FIRST[number % len(_FIRST)],
                "last_name": None if number % 97 == 5 else _LAST[number // len(_FIRST) % len(_LAST)],
                "address": f"{one % 300 + 1} {_STREETS[two % len(_STREETS)]}",
                "pincode": f"{two:06d}",
                "phone_number": f"09{three:08d}",
                "customer_joining_date": start - dt.timedelta(days=one % 3000 + 1),
            }


def _stores(people: Population, _: int, start: dt.date) -> Iterator[Row]:
    for number in range(people.sizes.stores + 1):
        yield {
            "id": FIRST_STORE + number,
            "address": f"{number + 1} {_STREETS[number % len(_STREETS)]}",
            "store_pincode": f"{number * 37 % 1_000_000:06d}",
            "store_manager_name": f"{_FIRST[number % len(_FIRST)]} {_LAST[number % len(_LAST)]}",
            "store_opening_date": start - dt.timedelta(days=400 + number),
            "reviews": None if number % 5 == 0 else f'"{number % 4 + 2} stars", they say',
        }


def _products(people: Population, part: int, start: dt.date) -> Iterator[Row]:
    """All with their first prices (and, with changes, a second id under one name); then the new prices; then those told late."""
    known = people.sizes.products
    changed = people.changes[:known]
    late = people.late_changes[:known]
    chosen = (np.ones(known, np.bool_), changed & ~late, late)[part]
    price = NEW_PRICE if part else FIRST_PRICE
    day = people.change_day if part else start - dt.timedelta(days=30)
    for number in np.nonzero(chosen)[0].tolist():
        yield _product(number + FIRST_PRODUCT, people.products[number], int(people.prices[number, price]), day, start)
    if not part and changed.any():
        yield _product(known + FIRST_PRODUCT, people.products[0], int(people.prices[0, FIRST_PRICE]) + 1, day, start)


def _product(key: int, name: str, cents: int, updated: dt.date, start: dt.date) -> Row:
    return {
        "id": key,
        "name": name,
        "current_price": Decimal(cents).scaleb(-2),
        "old_price": Decimal(cents - cents // 10).scaleb(-2),
        "created_date": start - dt.timedelta(days=30),
        "updated_date": updated,
        "expiry_date": start + dt.timedelta(days=3000),
    }


def _team(people: Population, part: int, start: dt.date) -> Iterator[Row]:
    """All at home; then those who moved, and two managers who manage each other."""
    if part == 0:
        for seller in range(people.sellers):
            yield _seller(people, seller, int(people.pair_store[seller * PLACES]), _manager(people, seller), start)
        if people.moves.any():
            for pair in people.tied:
                yield _seller(people, int(people.pair_seller[pair]) - FIRST_SELLER, people.tied_store, FIRST_SELLER, start)
        return
    each = people.sizes.sellers
    circle = {each: FIRST_SELLER + 2 * each, 2 * each: FIRST_SELLER + each}
    for seller in sorted({*np.nonzero(people.moves)[0].tolist(), *circle}):
        manager = circle.get(seller, _manager(people, seller))
        yield _seller(people, seller, int(people.pair_store[seller * PLACES + MOVED]), manager, start)


def _manager(people: Population, seller: int) -> int:
    """The first seller of a store manages the others, the first of all the first of each store, and himself."""
    first_here = seller // people.sizes.sellers * people.sizes.sellers
    return FIRST_SELLER + (first_here if seller != first_here else 0)


def _seller(people: Population, seller: int, store: int, manager: int, start: dt.date) -> Row:
    return {
        "id": FIRST_SELLER + seller,
        "first_name": _FIRST[(seller + 5) % len(_FIRST)],
        "last_name": _LAST[seller // len(_FIRST) % len(_LAST)],
        "manager_id": manager,
        "is_manager": "Y" if seller % people.sizes.sellers == 0 else "N",
        "address": f"{seller % 200 + 1} {_STREETS[seller % len(_STREETS)]}",
        "pincode": f"{seller * 53 % 1_000_000:06d}",
        "joining_date": start - dt.timedelta(days=seller % 900 + 1),
        "store_id": store,
    }


_ROWS: dict[str, Callable[[Population, int, dt.date], Iterator[Row]]] = {
    "customer": _customers,
    "store": _stores,
    "product": _products,
    "sales_team": _team,
}
