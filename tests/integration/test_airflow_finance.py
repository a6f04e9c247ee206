"""Finance in the real Airflow: what lands ends in silver, in another database, and in what a plain evaluation says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from include.files import keys
from sluice.runtime import Settings, settings_from
from sluice.services.postgres import SUPERUSER, connect
from sluice.services.state import LEDGER_USER, State
from tests import naive_finance as naive
from tests.integration.airflow import until, unused
from tests.integration.market import DAY, as_file, fund, stock
from tests.integration.test_airflow import Scheduled, airflow, nothing_runs, scheduled
from tests.integration.test_airflow_backfill import backfilled, past_dates

__all__ = ["airflow", "scheduled"]  # fixtures

STOCKS, FUNDS = naive.STOCKS, naive.FUNDS
INGEST, DAILY, REPLAY, SEND = "finance_ingest", "finance_daily", "finance_replay", "finance_send"
STEPS = ("discover", "gate", "process", "publish", "deliver")
TARGET = "sluice_finance_target"


class Desk:
    """Ids of its own in Airflow's ledger and bucket, which others have used; it remembers what it landed."""

    def __init__(self, scheduled: Scheduled, where: Settings) -> None:
        self.airflow, self.ledger, self.store = scheduled.airflow, scheduled.ledger, scheduled.store
        self.bucket, self.mark, self.finished = scheduled.bucket, scheduled.mark, scheduled.finished
        self.where = where
        self.first = 10**6 + unused(scheduled.ledger) * 10
        self.landed: dict[str, dict[int, naive.Row]] = {}

    def land(self, feed: str, name: str, *rows: naive.Row, date: dt.date = DAY) -> str:
        key = keys.landing_file(keys.landing(feed), date, f"{self.mark}_{name}")
        self.store.put(self.bucket, key, as_file(feed, name, rows))
        self.landed[key] = dict(enumerate(rows, start=1))
        return key

    def stock(self, stock_id: int, **more: Any) -> naive.Row:
        return stock(self.first + stock_id, self.first, **more)

    def fund(self, fund_id: int, **more: Any) -> naive.Row:
        return fund(self.first + fund_id, self.first, **more)

    def expected(self) -> list[tuple[Any, ...]]:
        """Gold of this company, from nothing but what was landed and the order that the ledger gave it."""
        rows = self.ledger.rows(
            "select feed, seq, file_id, batch, key from file where state = 'published' and key = any(%s)", ([*self.landed],)
        )
        return naive.published([naive.File(*list(row.values())[:4], self.landed[row["key"]]) for row in rows], None).gold

    def gold(self) -> list[tuple[Any, ...]]:
        asked = "select * from finance.gold_business_aggregation where company_id = %s order by stock_id, fund_id"
        return [tuple(row.values()) for row in self.ledger.rows(asked, (self.first,))]

    def proven(self) -> list[tuple[Any, ...]]:
        expected = self.expected()
        assert self.gold() == expected
        assert [row["holds"] for row in self.ledger.rows("select holds from finance.proof")] == [True, True]
        return expected


@pytest.fixture
def desk(scheduled: Scheduled, services: dict[str, str]) -> Iterator[Desk]:
    """All DAGs paused, no run of those of finance half-way, and nothing of earlier sessions left to ingest."""
    with nothing_runs(scheduled.airflow, INGEST, SEND):
        yield Desk(scheduled, settings_from(services))


@pytest.fixture
def warehouse(desk: Desk, state: State) -> Iterator[sa.Engine]:
    """An empty database, which the connection of finance_send names."""
    ledger, name = desk.where.ledger, f"warehouse_{desk.mark}"
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        connection.execute(f"create database {name} owner {LEDGER_USER}".encode())
    said = {"conn_type": "postgres", "host": ledger.host, "port": ledger.port, "schema": name, "login": ledger.user}
    answer = desk.airflow.ask("POST", "/connections", json={"connection_id": TARGET, "password": ledger.password, **said})
    assert answer.ok, answer.text
    engine = sa.create_engine(sa.URL.create("postgresql+psycopg", ledger.user, ledger.password, ledger.host, ledger.port, name))
    yield engine
    engine.dispose()
    assert desk.airflow.ask("DELETE", f"/connections/{TARGET}").ok
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


def sent(desk: Desk, warehouse: sa.Engine) -> list[tuple[Any, ...]]:
    """Gold of this company as a person finds it in the other database."""
    asked = "select * from gold_business_aggregation where company_id = :company order by stock_id, fund_id"
    with warehouse.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(asked), {"company": desk.first})]


def test_what_landed_is_in_gold_a_bad_file_is_replayed_and_each_publication_is_sent_by_the_asset(desk: Desk, warehouse: sa.Engine) -> None:
    airflow = desk.airflow
    good = desk.land(STOCKS, "a.json", desk.stock(1), desk.stock(2, price=naive.Decimal("0.000001")), desk.stock(1, volume=7))
    funds = desk.land(FUNDS, "f.jsonl", desk.fund(1), desk.fund(2))
    bad = desk.land(STOCKS, "bad.json", desk.stock(3))
    whole = desk.store.read_bytes(desk.bucket, bad)
    desk.store.put(desk.bucket, bad, whole[:-1] + b", {]")
    airflow.pause(SEND, paused=False)  # what was published while it is paused wakes nothing
    run = airflow.run(INGEST, output_format="csv")
    states = dict.fromkeys(STEPS, "success") | {"undelivered": "skipped"}
    assert airflow.states(INGEST, run) == {f"{feed}.{task}": state for feed in (STOCKS, FUNDS) for task, state in states.items()}
    (refused,) = desk.finished([bad])
    assert (refused["state"], refused["reason_code"]) == ("quarantined", "format")
    assert "2 registered; 1 accepted, 1 quarantined, 0 duplicate; batch " in airflow.log(INGEST, run, "stocks.deliver")
    assert {file["state"] for file in desk.finished([good, funds])} == {"published"}
    assert [row[1] - desk.first for row in desk.proven()] == [1, 1, 2, 2]
    said = airflow.log(INGEST, run, "mutual_funds.deliver")
    assert "as csv below s3://" in said

    first = until(lambda: next((one for one in airflow.runs(SEND) if one["state"] == "success"), None), "gold was sent")
    assert first["run_type"] == "asset_triggered"
    until(lambda: sent(desk, warehouse) == desk.expected(), "the batch of the other feed was sent too")
    log = airflow.log(SEND, first["dag_run_id"], "send")
    assert f"***@{desk.where.ledger.host}" in log
    assert desk.where.ledger.password not in log

    fixed = f"fixes/stocks/replacement=desk/{desk.mark}.json"
    desk.store.put(desk.bucket, fixed, whole)
    asked = {"file": bad.rpartition("/")[2], "fixed": f"s3://{desk.bucket}/{fixed}", "why": "cut off"}
    dry = airflow.log(REPLAY, airflow.run(REPLAY, **asked), "replay")
    assert "1 rows: 1 would be accepted, 0 rejected" in dry
    assert "nothing was done" in dry
    meant = airflow.run(REPLAY, **asked, go=True)
    assert ("replay", meant) in airflow.called_for("sluice_landing_stocks")
    (child,) = desk.ledger.rows("select key from file where parent = %s", (refused["file_id"],))
    desk.landed[child["key"]] = desk.landed.pop(bad)
    airflow.pause(INGEST, paused=False)
    assert desk.finished([child["key"]])[0]["state"] == "published"
    assert [row[1] - desk.first for row in desk.proven()] == [1, 1, 2, 2, 3, 3]
    until(lambda: sent(desk, warehouse) == desk.expected(), "the replayed file was sent")


def test_a_connection_that_is_not_there_is_said_and_no_address_is_taken(desk: Desk) -> None:
    airflow = desk.airflow
    address = airflow.ask_for_run(SEND, {"connection": "mysql://me:secret@warehouse/finance"})
    assert (address.status_code, "does not match" in address.text) == (400, True)
    run = airflow.trigger(SEND, connection="elsewhere")
    airflow.pause(SEND, paused=False)
    assert airflow.ended(SEND, run) == "failed"
    assert "there is no Airflow connection elsewhere: add it under Admin" in airflow.log(SEND, run, "send")


def test_a_past_date_is_backfilled_both_feeds_in_turn_and_is_equal_when_it_is_evaluated_once_more(desk: Desk) -> None:
    airflow, (day,) = desk.airflow, past_dates(desk.ledger, 1)
    landed = desk.land(FUNDS, "f.json", desk.fund(1), date=day), desk.land(STOCKS, "s.jsonl", desk.stock(1), date=day)
    airflow.pause(DAILY, paused=False)
    ((_, run),) = backfilled(airflow, day, day, dag=DAILY, dag_run_conf={"reprocess": True}).items()
    assert run["state"] == "success"
    funds, stocks = (desk.finished([key], seconds=5)[0] for key in landed)
    assert stocks["batch"] < funds["batch"]
    assert airflow.states(DAILY, run["dag_run_id"]) == {
        f"{feed}.{task}": "success" for feed in (STOCKS, FUNDS) for task in ("ask", "ingest", "verify", "reprocess")
    }
    assert f"stocks dt={day}: 1 files (1 published)" in airflow.log(DAILY, run["dag_run_id"], "stocks.verify")
    certificates = desk.ledger.rows("select feed, verdict, different from backfill_certificate where date = %s order by feed", (day,))
    assert [tuple(one.values()) for one in certificates] == [(FUNDS, "equal", 0), (STOCKS, "equal", 0)]
    assert len(desk.proven()) == 1
