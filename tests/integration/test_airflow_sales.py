"""Sales in the real Airflow: a history by the clock, by hand and woken by what lands ends in the naive evaluation's cells."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from include.files import keys
from include.storage.parquet import parquet_table
from sluice.runtime import now
from tests import naive_sales as naive
from tests.integration.airflow import Airflow, until, unused
from tests.integration.shop import as_csv, what_is_published, what_should_be
from tests.integration.test_airflow import FINISHED, Scheduled, airflow, nothing_runs, scheduled
from tests.integration.test_airflow_backfill import backfilled, past_dates

__all__ = ["airflow", "scheduled"]  # fixtures

FACTS, DIMENSIONS, MARTS, DAILY, REPLAY = "sales_ingest", "dimensions_ingest", "sales_marts", "sales_daily", "sales_replay"
RAN = dict.fromkeys(("discover", "gate", "process", "publish", "deliver"), "success") | {"undelivered": "skipped"}
NOTHING_NEW = RAN | dict.fromkeys(("gate", "process", "publish"), "skipped")
MONTH = dt.date(2026, 3, 1)


class Trading:
    """A shop with keys of its own in Airflow's ledger and bucket, which others have used; it remembers what it landed."""

    def __init__(self, scheduled: Scheduled) -> None:
        self.airflow: Airflow = scheduled.airflow
        self.ledger, self.store, self.bucket, self.mark = scheduled.ledger, scheduled.store, scheduled.bucket, scheduled.mark
        self.keys = range(first := 10**6 + unused(scheduled.ledger) * 10, first + 10)
        self.sugar = f"sugar {self.mark}"
        self.landed: dict[str, list[Sequence[naive.Row]]] = defaultdict(list)

    def land(self, feed: str, name: str, *rows: naive.Row, date: dt.date | None = None) -> str:
        """Put a CSV file below the landing prefix; the same name again overwrites it."""
        key = f"{keys.landing_date(keys.landing(feed), date or now().date())}{self.mark}_{name}"
        self.store.put(self.bucket, key, as_csv(feed, rows))
        self.landed[key].append(rows)
        return key

    def fact(self, customer: int, seller: int, cost: str, day: dt.date = MONTH) -> naive.Row:
        price = Decimal(cost)
        people = {"customer_id": self.keys[customer], "store_id": self.keys[0], "sales_person_id": self.keys[seller]}
        return people | {"product_name": self.sugar, "sales_date": day, "price": price, "quantity": 1, "total_cost": price}

    def customer(self, key: int, first: str) -> naive.Row:
        return {"customer_id": self.keys[key], "first_name": first, "last_name": "Lee", "address": "here", "phone_number": "1"}

    def seller(self, key: int, first: str) -> naive.Row:
        return {"id": self.keys[key], "first_name": first, "last_name": None, "manager_id": None, "address": "x"}

    def product(self, price: str, since: dt.date | None = None) -> naive.Row:
        updated = since and dt.datetime.combine(since, dt.time(9), dt.UTC)
        return {"id": self.keys[0], "name": self.sugar, "current_price": Decimal(price), "updated_date": updated}

    def rows_of(self, landed: Sequence[str]) -> list[dict[str, Any]]:
        return self.ledger.rows("select * from file where key = any(%s) order by file_id", (list(landed),))

    def finished(self, *landed: str, version: int = 1) -> list[dict[str, Any]]:
        """The versions of these files, once nothing is left to do for any of them."""

        def look() -> list[dict[str, Any]] | None:
            found = [file for file in self.rows_of(landed) if file["version"] == version]
            done = [file for file in found if file["state"] in FINISHED and file["delivered_at"] is not None]
            return found if len(done) == len(landed) else None

        return until(look, f"version {version} of {landed} finished", 180)

    def files(self) -> list[naive.File]:
        """What of it was published, with the rows that were landed, as the ledger orders them."""
        found = [file for file in self.rows_of([*self.landed]) if file["state"] in {"published", "superseded"}]
        seqs = {file["file_id"]: file["seq"] for file in found}
        return [
            naive.File(
                *(file["feed"], file["seq"], file["file_id"], file["date"]),
                dict(enumerate(self.landed[file["key"]][file["version"] - 1], start=2)),
                max((seqs[old] for old in file["supersedes"] or ()), default=None),
            )
            for file in found
        ]

    def proven(self) -> naive.Published:
        """What is published under this shop's keys, once it is what its files say it should be."""
        files = self.files()
        expected, found = what_should_be(files), self.own(what_is_published(self.ledger), {file.file_id for file in files})
        for part in dataclasses.fields(naive.Published):
            assert getattr(found, part.name) == getattr(expected, part.name), part.name
        assert self.ledger.rows("select holds from sales.proof") == [{"holds": True}]
        return found

    def own(self, found: naive.Published, files: set[int]) -> naive.Published:
        return naive.Published(
            customers={key: cell for key, cell in found.customers.items() if key[0] in self.keys},
            team={key: cell for key, cell in found.team.items() if key[0] in self.keys},
            changes=[change for change in found.changes if change.store_id in self.keys],
            unresolved={one for one in found.unresolved if one[0] in files},
            warnings={one for one in found.warnings if one[0] in files},
            versions={feed: {key: versions for key, versions in held.items() if key in self.keys} for feed, held in found.versions.items()},
        )

    def set_of(self, mart: str, is_own: Callable[[Mapping[str, Any]], bool]) -> list[dict[str, Any]]:
        """This shop's rows of a finished set, as its readers find them."""
        named = json.loads(self.store.read_bytes(self.bucket, keys.snapshots_index("sales")))["objects"][mart]
        tables = [parquet_table(self.store.read_bytes(self.bucket, ref["key"], ref["etag"])) for ref in named]
        return [row for table in tables for row in table.to_pylist() if is_own(row)]


@pytest.fixture
def trading(scheduled: Scheduled) -> Iterator[Trading]:
    """All DAGs paused, no run of those of sales half-way, and nothing of earlier sessions left to ingest."""
    with nothing_runs(scheduled.airflow, FACTS, DIMENSIONS, MARTS):
        yield Trading(scheduled)


def in_group(feed: str, states: Mapping[str, str]) -> dict[str, str]:
    return {f"{feed}.{step}": state for step, state in states.items()}


def test_a_history_through_the_dags_ends_in_the_naive_evaluations_cells_and_the_sets_are_refreshed_by_the_asset(trading: Trading) -> None:
    shop, airflow = trading, trading.airflow
    shop.land("sales", "a.csv", shop.fact(1, 3, "100.50"), shop.fact(2, 4, "100.50"), shop.fact(2, 3, "0.25", dt.date(2026, 2, 1)))
    shop.land("customer", "c.csv", shop.customer(1, "Ann"))
    bad = shop.land("customer", "bad.csv")
    facts, dimensions = shop.airflow.run(FACTS), shop.airflow.run(DIMENSIONS)
    assert airflow.states(FACTS, facts) == RAN
    assert airflow.states(DIMENSIONS, dimensions) == (
        in_group("customer", RAN) | in_group("store", NOTHING_NEW) | in_group("product", NOTHING_NEW) | in_group("sales_team", NOTHING_NEW)
    )
    (refused,) = shop.finished(bad)
    assert (refused["state"], refused["reason_code"]) == ("quarantined", "no_rows")
    (named,) = [task["rendered_map_index"] for task in airflow.tasks(DIMENSIONS, dimensions) if task["task_id"] == "customer.gate"]
    assert named.startswith(f"seq {refused['seq']}-{refused['seq'] + 1}: 2 files (")
    assert f"{shop.mark}_c.csv: " in (said := airflow.log(DIMENSIONS, dimensions, "customer.gate"))
    assert "1 rows, 1 accepted, 0 rejected" in said
    assert "2 registered; 1 accepted, 1 quarantined, 0 duplicate; batch " in airflow.log(DIMENSIONS, dimensions, "customer.deliver")
    found = shop.proven()
    assert found.customers[shop.keys[1], MONTH] == ("Ann Lee", "here", "1", Decimal("100.50"))
    assert {(column, value) for _, _, column, value in found.unresolved} >= {
        ("customer_id", str(shop.keys[2])),
        ("product_name", shop.sugar),
    }

    airflow.pause(MARTS, paused=False)
    airflow.pause(FACTS, paused=False)
    late = shop.land("sales", "late.csv", shop.fact(1, 4, "7.00"), date=now().date() - dt.timedelta(days=1))
    again = shop.land("sales", "a.csv", shop.fact(1, 3, "100.50"), shop.fact(2, 4, "90.00"))
    shop.finished(late)
    (second,) = shop.finished(again, version=2)
    assert second["state"] == "published"
    found = shop.proven()
    assert found.team[shop.keys[0], shop.keys[4], "2026-03"] == (None, Decimal("97.00"), Decimal("0.00"))
    assert [change.sales_person_id for change in found.changes if change.month == "2026-03"].count(shop.keys[4]) >= 2

    replayed = fixed_from_the_ui(shop, refused["file_id"], shop.customer(2, "Bea"))
    airflow.pause(DIMENSIONS, paused=False)
    shop.finished(replayed)
    assert shop.proven().customers[shop.keys[2], MONTH][0] == "Bea Lee"
    newest = shop.rows_of([replayed])[0]["batch"]
    refreshed = until(
        lambda: next((run for run in airflow.runs(MARTS) if as_of(shop) >= newest and run["state"] == "success"), None), "it", 240
    )
    assert refreshed["run_type"] == "asset_triggered"
    assert {task.rpartition(".")[2] for task in airflow.woken_by(MARTS, refreshed["dag_run_id"])} == {"deliver"}
    for mart, columns in (("customers_data_mart", "customer_id"), ("sales_team_data_mart", "store_id")):
        own = shop.set_of(mart, lambda row, column=columns: row[column] in shop.keys)  # type: ignore[misc]
        there = [row for row in shop.ledger.rows(f"select * from sales.{mart}") if row[columns] in shop.keys]
        assert sorted(own, key=repr) == sorted(there, key=repr)
        assert own


def as_of(shop: Trading) -> int:
    """The batch that the finished sets are as of."""
    batch: int = json.loads(shop.store.read_bytes(shop.bucket, keys.snapshots_index("sales")))["batch"]
    return batch


def fixed_from_the_ui(shop: Trading, file_id: int, row: naive.Row) -> str:
    """Replay a quarantined customers file with another one in its place, after a look at the plan; the key of what stands in for it."""
    fixed = f"fixes/customer/replacement=desk/{shop.mark}.csv"
    shop.store.put(shop.bucket, fixed, as_csv("customer", [row]))
    asked = {"file": str(file_id), "fixed": f"s3://{shop.bucket}/{fixed}", "why": "it was empty"}
    dry = shop.airflow.run(REPLAY, **asked)
    said = shop.airflow.log(REPLAY, dry, "replay")
    assert "1 rows: 1 would be accepted, 0 rejected" in said
    assert "nothing was done: trigger it again with `go` to do it" in said
    meant = shop.airflow.run(REPLAY, **asked, go=True)
    (child,) = shop.ledger.rows("select key from file where parent = %s", (file_id,))
    assert ("replay", meant) in shop.airflow.called_for("sluice_landing_customer")
    shop.landed[child["key"]].append([row])
    return str(child["key"])


def test_a_past_date_is_backfilled_dimensions_first_and_is_equal_when_it_is_evaluated_once_more(trading: Trading) -> None:
    shop, airflow, (day,) = trading, trading.airflow, past_dates(trading.ledger, 1)
    sold = [shop.fact(1, 3, "5.00", day), shop.fact(1, 3, "6.00", day)]
    landed = shop.land("sales", "a.csv", *sold, date=day), shop.land("product", "p.csv", shop.product("5.00"), date=day)
    airflow.pause(DAILY, paused=False)
    ((_, run),) = backfilled(airflow, day, day, dag=DAILY, dag_run_conf={"reprocess": True}).items()
    assert run["state"] == "success"
    facts, products = (shop.finished(key)[0] for key in landed)
    assert products["batch"] < facts["batch"]
    feeds = ("customer", "store", "product", "sales_team", "sales")
    assert airflow.states(DAILY, run["dag_run_id"]) == {
        f"{feed}.{task}": "success" for feed in feeds for task in ("ask", "ingest", "verify", "reprocess")
    }
    assert f"customer dt={day}: no files, nothing to do" in airflow.log(DAILY, run["dag_run_id"], "customer.verify")
    assert f"sales dt={day}: 1 files (1 published)" in airflow.log(DAILY, run["dag_run_id"], "sales.verify")
    certificates = shop.ledger.rows("select feed, verdict, different from backfill_certificate where date = %s order by feed", (day,))
    assert [tuple(one.values()) for one in certificates] == [("product", "equal", 0), ("sales", "equal", 0)]
    found = shop.proven()
    assert [(line, product) for _, line, product, _ in found.warnings] == [(3, shop.keys[0])]
    assert {column for _, _, column, _ in found.unresolved} == {"customer_id", "store_id", "sales_person_id"}
