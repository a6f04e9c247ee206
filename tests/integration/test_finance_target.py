"""Silver and gold brought to another database: a second PostgreSQL database, and MariaDB."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include.domains.finance import sender as sending
from include.domains.finance.schema import TABLES
from include.domains.finance.sender import send, target_at
from include.domains.finance.target import TargetChange, _with_driver
from sluice.services.postgres import SUPERUSER, connect
from sluice.services.state import LEDGER_USER, State
from tests import naive_finance as naive
from tests.integration import mariadb
from tests.integration.debian import NotToBeHad
from tests.integration.market import NOON, Market, fund, stock

STOCKS, FUNDS = naive.STOCKS, naive.FUNDS


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, market: Market, state: State, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    ledger = market.where.ledger
    if request.param == "mariadb":
        try:
            mariadb.server()
        except NotToBeHad as why:
            pytest.skip(f"NOT RUN: {why}")
        with mariadb.running(tmp_path / "m") as made:
            yield made
        return
    name = f"{ledger.database}_warehouse"
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        connection.execute(f"create database {name} owner {LEDGER_USER}".encode())
    yield f"postgresql://{ledger.user}:{ledger.password}@{ledger.host}:{ledger.port}/{name}?options=-csearch_path%3Dpublic"
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


def there(url: str, table: str) -> list[dict[str, Any]]:
    """What a person finds in the target."""
    engine = sa.create_engine(_with_driver(url))
    with engine.connect() as connection:
        found = [dict(row._mapping) for row in connection.execute(sa.text(f"select * from {table}"))]
    engine.dispose()
    return sorted(found, key=repr)


def as_of(url: str) -> dict[str, int]:
    return {row["table"]: row["batch"] for row in there(url, "sluice_delivery") if row["target"] == "finance"}


def same(market: Market, url: str) -> None:
    """The target holds what is published, value by value."""
    for table in TABLES:
        expected = market.ledger.rows(f"select * from finance.{table}")
        assert sorted(map(comparable, there(url, table))) == sorted(map(comparable, expected)), table


def comparable(row: Mapping[str, Any]) -> str:
    """A row whatever database it comes from: one without zones keeps UTC."""
    told = {}
    for name, value in sorted(row.items()):
        if isinstance(value, dt.datetime):
            told[name] = (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).isoformat()
        else:
            told[name] = format(value, "f") if isinstance(value, Decimal) else repr(value)
    return repr(told)


def test_each_batch_is_brought_exactly_once_and_only_what_changed(market: Market, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = NOON + dt.timedelta(microseconds=250_001)
    market.land(STOCKS, "1.json", stock(1, 7, at, symbol="Ünï☃"), stock(2, 8, price=Decimal("0.000001")), stock(3, 9, sector=None))
    market.land(FUNDS, "1.json", fund(1, 7, holdings=Decimal("999999999999.999999")), fund(2, 7), fund(3, 8))
    market.drain()
    monkeypatch.setenv("SLUICE_FINANCE_TARGET", url)
    assert "is as of batch 2: silver 3 rows" in market.sluice("finance", "send")
    same(market, url)
    assert as_of(url) == dict.fromkeys(TABLES, 2)
    assert "as of batch 2: nothing to write" in market.sluice("finance", "send")
    market.land(FUNDS, "2.json", fund(3, 9))
    market.drain()
    target = target_at(url)
    assert send(market.ledger.session, target, market.said.append) == {
        "silver": 1,
        "gold_business_aggregation": 1,
        "gold_by_company_sector_exchange_day": 1,
    }
    same(market, url)
    assert "nothing to write" in market.sluice("finance", "send")
    target.close()


def test_a_delivery_that_is_killed_between_its_rows_leaves_all_as_it_was(market: Market, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    market.land(STOCKS, "1.json", *(stock(number, 7) for number in range(4)))
    market.land(FUNDS, "1.json", fund(1, 7))
    market.drain()
    target = target_at(url)
    whole = sending._change

    def dies(*asked: Any) -> TargetChange:
        made = whole(*asked)

        def rows() -> Iterator[Mapping[str, Any]]:
            yield from [*made.rows][:2]
            raise KeyboardInterrupt

        return TargetChange(made.groups, rows())

    with monkeypatch.context() as patch:
        patch.setattr(sending, "_change", dies)
        with pytest.raises(KeyboardInterrupt):
            send(market.ledger.session, target, market.said.append)
    assert (there(url, "silver"), as_of(url)["silver"]) == ([], 0)
    send(market.ledger.session, target, market.said.append)
    same(market, url)
    target.close()
