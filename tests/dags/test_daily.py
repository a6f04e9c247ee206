"""The daily DAG: which date a run is for, what it is told, and what its schedule gives a backfill."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include.domains import FEEDS
from include.domains.transactions.feeds import TRANSACTIONS
from include.errors import UsageError

if TYPE_CHECKING:
    from airflow.sdk import DAG

# Each daily DAG, with its feeds in their turn and what their task ids begin with.
DAILIES = {
    "transactions_daily": {"transactions": ""},
    "finance_daily": {feed: f"{feed}." for feed in ("stocks", "mutual_funds")},
    "sales_daily": {feed: f"{feed}." for feed in ("customer", "store", "product", "sales_team", "sales")},
}
STARTED = dt.datetime(2026, 11, 21, 0, 0, 5, tzinfo=dt.UTC)


def context(run_type: str = "backfill", partition_key: str | None = "2026-11-01", **conf: Any) -> Any:
    from airflow.sdk.api.datamodels._generated import DagRunType

    from dags.wiring.daily import daily_params

    params = daily_params(TRANSACTIONS)
    values = {name: param.value for name, param in params.items()} | conf
    dag_run = SimpleNamespace(
        dag_id="transactions_daily",
        run_id="r1",
        run_type=DagRunType(run_type),
        start_date=STARTED,
        run_after=STARTED,
        partition_key=partition_key,
        conf=conf,
    )
    return {"dag_run": dag_run, "dag": SimpleNamespace(params=params), "params": values}


@pytest.mark.parametrize(
    ("partition_key", "given", "expected"),
    [
        ("2026-11-01", None, dt.date(2026, 11, 1)),
        ("2026-11-01", "2026-11-01", dt.date(2026, 11, 1)),
        (None, "2026-10-31", dt.date(2026, 10, 31)),
        (None, None, dt.date(2026, 11, 20)),
    ],
)
def test_a_run_is_for_its_partition_else_for_the_date_it_was_given_else_for_the_day_before(
    partition_key: str | None, given: str | None, expected: dt.date
) -> None:
    from dags.wiring.daily import date_of

    assert date_of(context(partition_key=partition_key, date=given)) == expected


def test_two_dates_for_one_run_are_refused() -> None:
    from dags.wiring.daily import date_of

    with pytest.raises(UsageError, match="the run is for 2026-11-01, its param date says 2026-11-02"):
        date_of(context(date="2026-11-02"))


def test_what_is_missing_is_ingested_by_the_feeds_own_thresholds() -> None:
    from dags.wiring.daily import run_for_date

    run = run_for_date(TRANSACTIONS, context(max_files=7, min_count=5, reprocess=True))
    assert run.run_id == "airflow:transactions_daily:r1"
    assert (run.started_at, run.parameters, run.max_files, run.full) == (STARTED, TRANSACTIONS.parameters_from({}), 7, False)


def test_a_param_that_the_dag_does_not_have_is_not_passed_over() -> None:
    from dags.wiring.daily import run_for_date

    with pytest.raises(UsageError, match="transactions_daily has no parameter reproces; it has date, "):
        run_for_date(TRANSACTIONS, context(reproces=True))


def test_thresholds_are_for_a_comparison() -> None:
    from dags.wiring.daily import given_to

    assert given_to(TRANSACTIONS, context()) == {}
    assert given_to(TRANSACTIONS, context(reprocess=True, min_count=5)) == {"min_count": 5}
    with pytest.raises(UsageError, match="min_count: thresholds are for a comparison"):
        given_to(TRANSACTIONS, context(min_count=5))


def test_every_feed_has_one_daily_dag() -> None:
    assert sorted(feed for feeds in DAILIES.values() for feed in feeds) == sorted(FEEDS)


@pytest.mark.parametrize(("dag_id", "feed"), [(dag_id, feed) for dag_id, feeds in DAILIES.items() for feed in feeds])
def test_every_feed_has_a_daily_dag_of_the_same_steps_one_date_at_a_time(dags: dict[str, DAG], dag_id: str, feed: str) -> None:
    dag, group = dags[dag_id], DAILIES[dag_id][feed]
    assert f"feed:{feed}" in dag.tags
    steps = [f"{group}{step}" for step in ("ask", "ingest", "verify", "reprocess")]
    assert [task.task_id for task in dag.topological_sort() if list(task.op_args) == [feed]] == steps
    assert [dag.get_task(step).max_active_tis_per_dag for step in steps] == [None, 1, 1, 1]
    parameters = [parameter.name for parameter in FEEDS[feed].parameters]
    assert list(dag.params) == ["date", "max_files", "reprocess", *parameters]
    assert [dag.params[name] for name in parameters] == [None for _ in parameters]


@pytest.mark.parametrize(("dag_id", "feeds"), DAILIES.items())
def test_feeds_that_share_a_lease_take_turns_and_none_is_passed_over_when_another_fails(
    dags: dict[str, DAG], dag_id: str, feeds: dict[str, str]
) -> None:
    groups = list(feeds.values())
    expected: dict[str, set[str]] = {}
    for group, after in zip(groups, [*groups[1:], None], strict=True):
        expected |= {
            f"{group}ask": {f"{group}ingest"},
            f"{group}ingest": {f"{group}verify"},
            f"{group}verify": {f"{group}reprocess"} | (set() if after is None else {f"{after}ingest"}),
            f"{group}reprocess": set(),  # an end of the DAG: what failed before it makes the run red
        }
    assert {task.task_id: set(task.downstream_task_ids) for task in dags[dag_id].tasks} == expected
    rules = {task.task_id: task.trigger_rule for task in dags[dag_id].tasks}
    assert rules == dict.fromkeys(expected, "all_success") | {f"{group}ingest": "all_done" for group in groups[1:]}


def test_a_backfill_has_a_run_for_each_date_of_its_range_and_midnight_one_for_the_day_that_ended() -> None:
    import pendulum
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable
    from airflow.timetables.base import TimeRestriction

    from dags.wiring.daily import after_midnight

    timetable = decode_timetable(encode_timetable(after_midnight()))
    assert timetable.periodic
    assert timetable.partitioned
    runs = timetable.iter_partition_dagrun_infos(earliest=pendulum.datetime(2026, 11, 1), latest=pendulum.datetime(2026, 11, 3))
    assert [run.partition_key for run in runs] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    last = timetable.next_dagrun_info_v2(
        last_dagrun_info=None, restriction=TimeRestriction(pendulum.datetime(2060, 5, 9, 12), None, catchup=False)
    )
    assert last is not None
    assert (last.run_after, last.partition_key) == (pendulum.datetime(2060, 5, 10), "2060-05-09")
