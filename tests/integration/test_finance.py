"""Stocks and mutual funds from landing to silver and gold, on the real services."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

import pytest

from tests import naive_finance as naive
from tests.integration.market import DAY, NOON, Market, fund, stock

HOUR = dt.timedelta(hours=1)
STOCKS, FUNDS = naive.STOCKS, naive.FUNDS


def test_a_file_of_each_feed_becomes_silver_and_gold(market: Market) -> None:
    market.land(STOCKS, "a.json", stock(1, 7, price=Decimal("0.000051"), volume=3), stock(2, 7, sector="oil"), stock(3, 8))
    market.drain(STOCKS)
    assert market.found().silver == []
    assert market.found().lonely == [(7, "stocks", 2), (8, "stocks", 1)]
    market.land(FUNDS, "a.jsonl", fund(1, 7, holdings=Decimal("1.5")), fund(2, 7), fund(3, 9))
    market.drain(FUNDS)
    found = market.proven()
    assert found.gold[0] == (
        *(7, 1, "S1", Decimal("0.000051"), 3, NOON, "XETRA", "tech", 1, "F1", Decimal("1.500000"), NOON),
        *(Decimal("0.000076500000"), Decimal("0.0000")),
    )
    assert [(row[1], row[8], row[12], row[13]) for row in found.gold[2:]] == [
        (2, 1, Decimal("15.75"), Decimal("10.1850")),
        (2, 2, Decimal("21.0000105"), Decimal("10.1850")),
    ]
    assert sorted(found.by_day, key=repr) == [(7, "oil", "XETRA", DAY, 1, 100), (7, "tech", "XETRA", DAY, 1, 3)]
    assert found.lonely == [(8, "stocks", 1), (9, "mutual_funds", 1)]
    assert market.rows("finding", 'file_id, "column", what, rows, first_line') == []


def test_the_latest_row_of_an_id_holds_whatever_comes_when(market: Market) -> None:
    market.land(FUNDS, "1.csv", fund(1, 7))
    market.land(STOCKS, "1.csv", stock(1, 7, NOON, volume=1), stock(1, 7, NOON, volume=2), stock(2, 7, NOON, volume=5))
    market.land(STOCKS, "2.csv", stock(1, 7, NOON, volume=3), stock(2, 7, NOON - HOUR, volume=6))
    market.drain()
    assert [(row[1], row[4]) for row in market.proven().silver] == [(1, 3), (2, 5)]
    market.land(STOCKS, "3.csv", stock(1, 7, NOON - HOUR, volume=4), stock(2, 9, NOON + HOUR, volume=7))
    market.drain()
    assert [(row[1], row[4]) for row in market.proven().silver] == [(1, 3)]
    assert market.rows("stock", "stock_id, volume, from_batch, to_batch", "stock_id, from_batch") == [
        (1, 3, 1, None),
        (2, 5, 1, 3),
        (2, 7, 3, None),
    ]


def test_timestamps_without_a_zone_are_utc_and_told_by_file(market: Market) -> None:
    at = dt.datetime(2026, 4, 1, 23, 30, 0, 250_000, tzinfo=dt.UTC)
    market.land(STOCKS, "1.json", *(stock(number, 7, at) for number in range(1, 10)))
    market.land(FUNDS, "1.json", fund(1, 7))
    market.drain()
    assert {row[5] for row in market.proven().silver} == {at}
    assert market.rows("finding", '"column", what, rows, first_line') == [("timestamp", "without_zone", 2, 4)]


def test_other_bytes_under_a_known_name_are_refused(market: Market) -> None:
    market.land(STOCKS, "1.json", stock(1, 7))
    market.land(FUNDS, "1.json", fund(1, 7))
    market.drain()
    before = market.proven()
    market.land_bytes(STOCKS, "1.json", b'{"stock_id": 2, "company_id": 7, "symbol": null, "price": 1, "volume": 1, "timestamp": 1e9}')
    of_funds = market.store.read_bytes(market.bucket, f"landing/{FUNDS}/dt={DAY}/1.json")
    market.land_bytes(STOCKS, "2.json", of_funds)
    market.land(STOCKS, "1.json", stock(1, 7, volume=5))
    market.drain()
    refused = market.ledger.rows("select key, state, reason_code from file where feed = 'stocks' order by seq offset 1")
    assert [(row["key"][-6:], row["state"], row["reason_code"]) for row in refused] == [
        ("1.json", "quarantined", "overwrite"),
        ("2.json", "quarantined", "column_missing"),
    ]
    assert market.found() == before


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_of_files_is_what_all_of_them_say_at_every_batch(market: Market, seed: int) -> None:
    dice = random.Random(seed)
    stream = []
    for _ in range(12):
        feed = dice.choice((STOCKS, FUNDS))
        make = stock if feed == STOCKS else fund
        rows = [make(dice.randrange(6), dice.randrange(4), NOON + dice.randrange(-3, 4) * HOUR * 8) for _ in range(dice.randrange(1, 8))]
        changed = "volume" if feed == STOCKS else "holdings"
        values = [dice.randrange(1000) if feed == STOCKS else Decimal(dice.randrange(10**9)) / 10**6 for _ in rows]
        stream.append((feed, [{**row, changed: value} for row, value in zip(rows, values, strict=True)]))
    market.live_through(stream, dice)
    market.proven()
