"""What sales mean, evaluated from nothing but the accepted rows: slow, plain, and sharing no code with the product."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

Row = Mapping[str, Any]

BEGINNING = dt.date(1, 1, 1)
FACTS = "sales"
KEYS = {"customer": "customer_id", "store": "id", "product": "id", "sales_team": "id"}
CENT = Decimal("0.01")


class File(NamedTuple):
    """An accepted file: its place, its date, its rows by line, and the seq of the earlier version of its key that it replaces."""

    feed: str
    seq: int
    file_id: int
    date: dt.date
    rows: Mapping[int, Row]
    supersedes: int | None = None


class Version(NamedTuple):
    """What a dimension says of a key for a stretch of days; `until` None = open."""

    since: dt.date
    until: dt.date | None
    row: Row


class Change(NamedTuple):
    """An incentive that a file made another."""

    store_id: int
    month: str
    sales_person_id: int
    before: Decimal
    after: Decimal
    file_id: int


@dataclass
class Published:
    """Everything people see, after all files."""

    customers: dict[tuple[int, dt.date], tuple[str | None, str | None, str | None, Decimal]] = field(default_factory=dict)
    team: dict[tuple[int, int, str], tuple[str | None, Decimal, Decimal]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    unresolved: set[tuple[int, int, str, str]] = field(default_factory=set)
    warnings: set[tuple[int, int, int, dt.date]] = field(default_factory=set)
    versions: dict[str, dict[int, list[Version]]] = field(default_factory=dict)


def published(files: Sequence[File]) -> Published:
    """The state of everything after these files, in whatever batches they came."""
    facts = sorted((file for file in files if file.feed == FACTS), key=lambda file: file.seq)
    versions = {feed: versions_of(feed, in_force_of(files, feed)) for feed in KEYS}
    found = Published(versions=versions)
    current = in_force(facts)
    for (customer_id, month), total in by_customer(current).items():
        latest = newest(versions["customer"].get(customer_id))
        found.customers[customer_id, month] = (full_name(latest), latest.get("address"), latest.get("phone_number"), total)
    totals = by_seller(current)
    paid = incentives(totals)
    for key, total in totals.items():
        latest = newest(versions["sales_team"].get(key[1]))
        found.team[key] = (full_name(latest), total, paid[key])
    found.changes = changes(facts)
    for file, line, row in lines(current):
        found.unresolved |= set(unknown(file, line, row, versions))
        found.warnings |= set(warned(file, line, row, versions["product"]))
    return found


def in_force(files: Sequence[File]) -> list[File]:
    """The files that no later one replaces, in seq order."""
    replaced = {file.supersedes for file in files}
    return sorted((file for file in files if file.seq not in replaced), key=lambda file: file.seq)


def in_force_of(files: Sequence[File], feed: str) -> list[File]:
    return in_force([file for file in files if file.feed == feed])


def lines(files: Sequence[File]) -> Iterator[tuple[File, int, Row]]:
    for file in files:
        for line, row in sorted(file.rows.items()):
            yield file, line, row


def first_of_month(day: dt.date) -> dt.date:
    return day.replace(day=1)


def by_customer(files: Sequence[File]) -> dict[tuple[int, dt.date], Decimal]:
    totals: dict[tuple[int, dt.date], Decimal] = defaultdict(Decimal)
    for _, _, row in lines(files):
        totals[row["customer_id"], first_of_month(row["sales_date"])] += row["total_cost"]
    return dict(totals)


def by_seller(files: Sequence[File]) -> dict[tuple[int, int, str], Decimal]:
    totals: dict[tuple[int, int, str], Decimal] = defaultdict(Decimal)
    for _, _, row in lines(files):
        totals[row["store_id"], row["sales_person_id"], row["sales_date"].strftime("%Y-%m")] += row["total_cost"]
    return dict(totals)


def by_product(files: Sequence[File]) -> dict[tuple[str, dt.date], tuple[int, Decimal]]:
    """Rows and total of each product name and month."""
    totals: dict[tuple[str, dt.date], tuple[int, Decimal]] = {}
    for _, _, row in lines(files):
        key = row["product_name"], first_of_month(row["sales_date"])
        count, total = totals.get(key, (0, Decimal(0)))
        totals[key] = (count + 1, total + row["total_cost"])
    return totals


def incentives(totals: Mapping[tuple[int, int, str], Decimal]) -> dict[tuple[int, int, str], Decimal]:
    """1 % of their own total for the top sellers of a store and month, nothing for the others."""
    top: dict[tuple[int, str], Decimal] = {}
    for (store, _, month), total in totals.items():
        top[store, month] = max(top.get((store, month), total), total)
    return {
        key: (total / 100).quantize(CENT, ROUND_HALF_UP) if total == top[key[0], key[2]] else Decimal("0.00")
        for key, total in totals.items()
    }


def changes(facts: Sequence[File]) -> list[Change]:
    """What each file, in seq order, made of the incentives before it; who has no sales in a store and month has an incentive of nothing."""
    found: list[Change] = []
    before: dict[tuple[int, int, str], Decimal] = {}
    for at, file in enumerate(facts, start=1):
        after = incentives(by_seller(in_force(facts[:at])))
        for key in sorted(before.keys() | after.keys(), key=lambda key: (key[0], key[2], key[1])):
            was, now = before.get(key, Decimal("0.00")), after.get(key, Decimal("0.00"))
            if was != now:
                found.append(Change(key[0], key[2], key[1], was, now, file.file_id))
        before = after
    return found


def versions_of(feed: str, files: Sequence[File]) -> dict[int, list[Version]]:
    """What a dimension's files in force say of each key, day by day."""
    said: dict[int, list[tuple[dt.date, int, int, Row]]] = defaultdict(list)
    for file, line, row in lines(files):
        said[row[KEYS[feed]]].append((said_for(feed, file, row), file.seq, line, row))
    return {key: timeline(upserts) for key, upserts in said.items()}


def said_for(feed: str, file: File, row: Row) -> dt.date:
    """The day from which a row holds, unless it is its key's first."""
    if feed == "sales_team":
        return file.date
    if feed == "product":
        updated = row.get("updated_date")
        if updated is None:
            return BEGINNING
        return updated.date() if isinstance(updated, dt.datetime) else updated
    return BEGINNING


def timeline(upserts: Sequence[tuple[dt.date, int, int, Row]]) -> list[Version]:
    """Half-open stretches without gaps; of rows for one day the highest (seq, line) holds."""
    winners: dict[dt.date, tuple[int, int, Row]] = {}
    for since, seq, line, row in upserts:
        if since not in winners or winners[since][:2] < (seq, line):
            winners[since] = (seq, line, row)
    days = sorted(winners)
    return [
        Version(BEGINNING if day == days[0] else day, after, winners[day][2]) for day, after in zip(days, [*days[1:], None], strict=True)
    ]


def newest(versions: Sequence[Version] | None) -> Row:
    return versions[-1].row if versions else {}


def full_name(row: Row) -> str | None:
    parts = [row.get(name) for name in ("first_name", "last_name")]
    there = [part for part in parts if part is not None]
    return " ".join(there) if there else None


def sold(row: Row, products: Mapping[int, Sequence[Version]]) -> tuple[int, Version] | None:
    """The product that a fact means: of that name on that day, the lowest id where there are several."""
    matching = [
        (product_id, version)
        for product_id, versions in products.items()
        for version in versions
        if version.row["name"] == row["product_name"]
        and version.since <= row["sales_date"]
        and (version.until is None or row["sales_date"] < version.until)
    ]
    return min(matching, key=lambda match: match[0], default=None)


def unknown(
    file: File, line: int, row: Row, versions: Mapping[str, Mapping[int, Sequence[Version]]]
) -> Iterator[tuple[int, int, str, str]]:
    for column, feed in (("customer_id", "customer"), ("store_id", "store"), ("sales_person_id", "sales_team")):
        if row[column] not in versions[feed]:
            yield file.file_id, line, column, str(row[column])
    if sold(row, versions["product"]) is None:
        yield file.file_id, line, "product_name", row["product_name"]


def warned(file: File, line: int, row: Row, products: Mapping[int, Sequence[Version]]) -> Iterator[tuple[int, int, int, dt.date]]:
    """A price unlike that of the product's version; a version without a price is unlike none."""
    match = sold(row, products)
    if match is not None:
        product_id, version = match
        price = version.row.get("current_price")
        if price is not None and price != row["price"]:
            yield file.file_id, line, product_id, version.since
