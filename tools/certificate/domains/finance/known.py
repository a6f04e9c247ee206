"""What is known of finance with a batch, evaluated from nothing but the accepted rows of the files that were published by then."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

Row = Mapping[str, Any]

_OF_STOCK = ("company_id", "stock_id", "symbol", "price", "volume", "stock_timestamp", "exchange", "sector")
_OF_FUND = ("fund_id", "name", "holdings", "fund_timestamp")
_FEEDS = {"stocks": ("stock_id", "stock_timestamp"), "mutual_funds": ("fund_id", "fund_timestamp")}
_ADJUSTED = Decimal("0.97")
_PLACES = Decimal("0.0001")


class File(NamedTuple):
    """A published file: its place, the batch that published it, its rows as bronze has them."""

    feed: str
    seq: int
    batch: int
    rows: Sequence[Row]


def as_of(files: Sequence[File], batch: int) -> dict[str, list[dict[str, Any]]]:
    """By table the rows that the files published with a batch or before it amount to."""
    stocks, funds = (_latest([file for file in files if file.feed == feed and file.batch <= batch], *_FEEDS[feed]) for feed in _FEEDS)
    silver = [_silver(stock, fund) for stock in stocks for fund in funds if stock["company_id"] == fund["company_id"]]
    return {
        "silver": silver,
        "gold_business_aggregation": [row | {"price_adjusted": _adjusted(row["price"])} for row in silver],
        "gold_by_company_sector_exchange_day": _by_day(stocks, {fund["company_id"] for fund in funds}),
        "company_without_partner": _alone("stocks", stocks, funds) + _alone("mutual_funds", funds, stocks),
    }


def _latest(files: Sequence[File], key: str, at: str) -> list[Row]:
    """Of each id the row with the highest (timestamp, seq, line)."""
    held: dict[int, tuple[tuple[dt.datetime, int, int], Row]] = {}
    for file in files:
        for row in file.rows:
            place = (row[at], file.seq, row["_line"])
            if row[key] not in held or held[row[key]][0] < place:
                held[row[key]] = place, row
    return [row for _, row in held.values()]


def _silver(stock: Row, fund: Row) -> dict[str, Any]:
    joined = {name: stock[name] for name in _OF_STOCK} | {name: fund[name] for name in _OF_FUND}
    return joined | {"total_value": stock["price"] * fund["holdings"]}


def _adjusted(price: Decimal) -> Decimal:
    return (price * _ADJUSTED).quantize(_PLACES, ROUND_HALF_UP)


def _by_day(stocks: Sequence[Row], partners: set[int]) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for stock in stocks:
        if stock["company_id"] in partners:
            day = stock["stock_timestamp"].astimezone(dt.UTC).date()
            groups[stock["company_id"], stock["sector"], stock["exchange"], day].append(stock["volume"])
    names = ("company_id", "sector", "exchange", "day")
    return [dict(zip(names, group, strict=True)) | {"stocks": len(held), "volume": sum(held)} for group, held in groups.items()]


def _alone(feed: str, mine: Sequence[Row], others: Sequence[Row]) -> list[dict[str, Any]]:
    """Companies that only the one feed has, and how many ids of it are theirs."""
    partners = {row["company_id"] for row in others}
    ids = Counter(row["company_id"] for row in mine if row["company_id"] not in partners)
    return [{"company_id": company, "has": feed, "ids": count} for company, count in ids.items()]
