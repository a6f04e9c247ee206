"""Airflow's own Backfill over past dates whose files landed while no DAG ran: ingested in order, verified, compared."""

from __future__ import annotations

import datetime as dt
from typing import Any

from include.files import keys
from include.ledger import Ledger
from tests.integration.airflow import ENDED, Airflow, until, unused
from tests.integration.test_airflow import Scheduled, airflow, scheduled
from tests.integration.world import HEADER, row

__all__ = ["airflow", "scheduled"]  # fixtures

DAILY = "transactions_daily"
TASKS = ("ask", "ingest", "verify", "reprocess")


def past_dates(ledger: Ledger, number: int) -> list[dt.date]:
    """Consecutive dates that no other test has used, long ago."""
    first = dt.date(1971, 1, 1) + dt.timedelta(weeks=unused(ledger) % 2_000)
    return [first + dt.timedelta(days=day) for day in range(number)]


def land(scheduled: Scheduled, day: dt.date, name: str) -> str:
    key = f"{keys.landing_date(keys.landing('transactions'), day)}{scheduled.mark}_{name}"
    body = HEADER + row(customer=f"C{scheduled.mark}", merchant=f"M{scheduled.mark}", step=str(day.day)) * (2 + len(name))
    scheduled.store.put(scheduled.bucket, key, body.encode())
    return key


def backfilled(airflow: Airflow, first: dt.date, last: dt.date, *, dag: str = DAILY, **more: Any) -> dict[str, dict[str, Any]]:
    """The ended runs of a backfill, by date."""
    asked = {"dag_id": dag, "from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z", **more}
    answer = airflow.ask("POST", "/backfills", json=asked)
    assert answer.ok, answer.text
    until(lambda: airflow.get(f"/backfills/{answer.json()['id']}")["completed_at"], "the backfill has ended", 300)
    dates = {f"{first + dt.timedelta(days=day)}" for day in range((last - first).days + 1)}
    created = answer.json()["created_at"]
    found = {
        run["partition_key"]: run
        for run in airflow.get(f"/dags/{dag}/dagRuns", order_by="-id", limit=50)["dag_runs"]
        if run["partition_key"] in dates and run["queued_at"] >= created[:19]
    }
    assert all(run["state"] in ENDED for run in found.values())
    return found


def test_past_dates_that_landed_while_no_dag_ran_are_ingested_in_order_and_are_equal_when_reprocessed(scheduled: Scheduled) -> None:
    airflow, days = scheduled.airflow, past_dates(scheduled.ledger, 3)
    landed = [land(scheduled, day, name) for day in reversed(days[:2]) for name in ("10.csv", "9.csv")]
    airflow.pause(DAILY, paused=False)
    runs = backfilled(airflow, days[0], days[2])
    assert {key: run["state"] for key, run in runs.items()} == {day.isoformat(): "success" for day in days}
    files = scheduled.finished(landed, seconds=5)
    assert [file["key"].rsplit("/", 2)[1:] for file in files] == [
        [f"dt={day}", f"{scheduled.mark}_{name}"] for day in days[:2] for name in ("9.csv", "10.csv")
    ]
    assert {file["state"] for file in files} == {"published"}
    for day in days:
        run = runs[day.isoformat()]["dag_run_id"]
        assert airflow.states(DAILY, run) == dict(zip(TASKS, ("success", "success", "success", "skipped"), strict=True))
        said = "2 files (2 published)" if day != days[2] else "no files, nothing to do"
        assert f"transactions dt={day}: {said}" in airflow.log(DAILY, run, "verify")

    before = scheduled.ledger.rows("select to_jsonb(f) as row from file f order by seq")
    again = backfilled(airflow, days[0], days[2], reprocess_behavior="completed", dag_run_conf={"reprocess": True})
    assert {key: run["state"] for key, run in again.items()} == {day.isoformat(): "success" for day in days}
    assert not {run["dag_run_id"] for run in again.values()} & {run["dag_run_id"] for run in runs.values()}
    certificates = scheduled.ledger.rows(
        "select date, run_id, verdict, different, key from backfill_certificate where date = any(%s) order by date", (days,)
    )
    assert [(one["date"], one["verdict"], one["different"]) for one in certificates] == [(day, "equal", 0) for day in days[:2]]
    for one in certificates:
        run = again[one["date"].isoformat()]["dag_run_id"]
        assert one["run_id"] == f"airflow:{DAILY}:{run}"
        log = airflow.log(DAILY, run, "reprocess")
        assert log.count(": equal (published): ") >= 2
        assert "nothing was published" in log
        assert f"C{scheduled.mark}" not in log
        assert scheduled.store.head(scheduled.bucket, one["key"] + ".md") is not None
    assert scheduled.ledger.rows("select to_jsonb(f) as row from file f order by seq") == before


def test_a_backfill_that_is_given_what_no_run_may_be_given_is_refused_where_it_is_typed_in(scheduled: Scheduled) -> None:
    day = past_dates(scheduled.ledger, 1)[0]
    asked = {"dag_id": DAILY, "from_date": f"{day}T00:00:00Z", "to_date": f"{day}T00:00:00Z", "dag_run_conf": {"reprocess": "perhaps"}}
    answer = scheduled.airflow.ask("POST", "/backfills", json=asked)
    assert (answer.status_code, "is not of type 'boolean'" in answer.text) == (422, True)
