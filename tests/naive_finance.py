"""What finance means, evaluated from nothing but the accepted rows: slow, plain, and sharing no code with the product."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

Row = Mapping[str, Any]
STOCKS, FUNDS = "stocks", "mutual_funds"
KEYS = {STOCKS: "stock_id", FUNDS: "fund_id"}


class File(NamedTuple):
    """An accepted file: its place, the batch that published it, its rows by line."""

    feed: str
    seq: int
    file_id: int
    batch: int
    rows: Mapping[int, Row]


@dataclass
class Published:
    """Everything people see."""

    silver: list[tuple[Any, ...]] = field(default_factory=list)
    gold: list[tuple[Any, ...]] = field(default_factory=list)
    by_day: list[tuple[Any, ...]] = field(default_factory=list)
    lonely: list[tuple[int, str, int]] = field(default_factory=list)


def published(files: Sequence[File], batch: int | None = None) -> Published:
    """What these files amount to, or those of them that were published with a batch or before it."""
    known = [file for file in files if batch is None or file.batch <= batch]
    stocks, funds = (latest([file for file in known if file.feed == feed]) for feed in (STOCKS, FUNDS))
    found = Published()
    for stock in stocks:
        for fund in funds:
            if stock["company_id"] == fund["company_id"]:
                found.silver.append(silver(stock, fund))
    found.silver.sort(key=lambda row: (row[0], row[1], row[8]))
    found.gold = [(*row, (row[3] * 97 / 100).quantize(Decimal("0.0001"), ROUND_HALF_UP)) for row in found.silver]
    partners = {fund["company_id"] for fund in funds}
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for stock in stocks:
        if stock["company_id"] in partners:
            day = stock["timestamp"].astimezone(dt.UTC).date()
            groups[stock["company_id"], stock["sector"], stock["exchange"], day].append(stock["volume"])
    found.by_day = [(*group, len(volumes), sum(volumes)) for group, volumes in groups.items()]
    found.lonely = lonely(STOCKS, stocks, funds) + lonely(FUNDS, funds, stocks)
    return found


def latest(files: Sequence[File]) -> list[Row]:
    """Of each id the row with the highest (timestamp, seq, line)."""
    winners: dict[int, tuple[tuple[dt.datetime, int, int], Row]] = {}
    for file in files:
        for line, row in file.rows.items():
            place = (row["timestamp"], file.seq, line)
            key = row[KEYS[file.feed]]
            if key not in winners or winners[key][0] < place:
                winners[key] = (place, row)
    return [row for _, row in winners.values()]


def silver(stock: Row, fund: Row) -> tuple[Any, ...]:
    of_stock = (stock[name] for name in ("company_id", "stock_id", "symbol", "price", "volume", "timestamp", "exchange", "sector"))
    of_fund = (fund[name] for name in ("fund_id", "name", "holdings", "timestamp"))
    return (*of_stock, *of_fund, stock["price"] * fund["holdings"])


def lonely(feed: str, mine: Sequence[Row], others: Sequence[Row]) -> list[tuple[int, str, int]]:
    partners = {row["company_id"] for row in others}
    counts: dict[int, int] = defaultdict(int)
    for row in mine:
        if row["company_id"] not in partners:
            counts[row["company_id"]] += 1
    return [(company, feed, count) for company, count in sorted(counts.items())]
