"""What DAGs there are, and that each has what a person looks for in it."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pendulum
import pytest

from include.domains import FEEDS
from include.errors import EnvironmentFailure, UsageError
from tests.dags.conftest import DAGS

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk import DAG

EXPECTED = {
    "data_docs",
    "dimensions_ingest",
    "finance_daily",
    "finance_ingest",
    "finance_replay",
    "finance_send",
    "sales_daily",
    "sales_ingest",
    "sales_marts",
    "sales_replay",
    "transactions_daily",
    "transactions_follow",
    "transactions_ingest",
    "transactions_producer",
    "transactions_reference",
    "transactions_replay",
}
# Each DAG that ingests, with its feeds in their turn and what their task ids begin with.
INGESTS = {
    "transactions_ingest": {"transactions": ""},
    "sales_ingest": {"sales": ""},
    "finance_ingest": {feed: f"{feed}." for feed in ("stocks", "mutual_funds")},
    "dimensions_ingest": {feed: f"{feed}." for feed in ("customer", "store", "product", "sales_team")},
}
STEPS = ["discover", "gate", "process", "publish", "deliver"]
HEAVY = ("boto3", "delta", "great_expectations", "numpy", "pandas", "psycopg", "pyarrow", "pyspark", "sqlalchemy")


def test_every_dag_file_is_read_without_an_error_and_holds_the_dag_it_is_named_after(bag: BundleDagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == EXPECTED == {path.stem for path in DAGS.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_every_dag_says_what_it_is_for_whose_it_is_and_where_to_look_when_it_fails(dags: dict[str, DAG], dag_id: str) -> None:
    dag = dags[dag_id]
    assert dag.doc_md
    assert dag.doc_md.startswith("## ")
    assert re.search(r"docs/runbooks/[a-z-]+\.md", dag.doc_md)
    assert dag.tags
    assert not dag.catchup
    assert dag.max_active_runs == 1


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_every_task_has_an_owner_ends_outlives_a_services_restart_and_tells_the_ledger_of_its_failure(
    dags: dict[str, DAG], dag_id: str
) -> None:
    for task in dags[dag_id].tasks:
        assert task.owner == "sluice"
        assert task.execution_timeout is not None
        assert task.retries == 2, "as docs/runbooks/failed-run.md says"
        assert tried_again(task, EnvironmentFailure("S3", "no answer"))
        assert not tried_again(task, UsageError("no such parameter"))
        assert not tried_again(task, KeyError("a bug"))
        assert task.on_failure_callback


def tried_again(task: Any, error: Exception) -> bool:
    """Whether a task that failed for the first time goes on by itself."""
    return task.retry_policy.evaluate(error, 1, task.retries).action.value == "retry"


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_every_param_is_described_and_typed(dags: dict[str, DAG], dag_id: str) -> None:
    params = dags[dag_id].params
    for name in params:
        assert params.get_param(name).description, name
        assert params.get_param(name).schema["type"], name


@pytest.mark.parametrize(("dag_id", "feeds"), INGESTS.items())
def test_every_feed_is_ingested_in_the_same_five_steps(dags: dict[str, DAG], dag_id: str, feeds: dict[str, str]) -> None:
    dag = dags[dag_id]
    expected: dict[str, set[str]] = {}
    for group in reversed(feeds.values()):  # the last step of a feed goes before the first one of the next
        expected = {
            f"{group}discover": {f"{group}{step}" for step in STEPS[1:]},
            f"{group}gate": {f"{group}process"},
            f"{group}process": {f"{group}publish"},
            f"{group}publish": {f"{group}deliver"},
            f"{group}deliver": {f"{group}undelivered", *list(expected)[:1]},
            f"{group}undelivered": set(),
        } | expected
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == expected
    in_turn = [task.task_id for task in dag.topological_sort() if not task.task_id.endswith("undelivered")]
    assert in_turn == [f"{group}{step}" for group in feeds.values() for step in STEPS]
    assert [task.task_id for task in dag.tasks if task.is_mapped] == [
        f"{group}{step}" for group in feeds.values() for step in ("gate", "undelivered")
    ]
    assert {tag for tag in dag.tags if tag.startswith("feed:")} == {f"feed:{feed}" for feed in feeds}
    assert {task.task_id: task.op_kwargs.get("feed") or task.op_args[0] for task in dag.tasks if not task.is_mapped} == {
        f"{group}{step}": feed for feed, group in feeds.items() for step in STEPS if step != "gate"
    }
    assert [task.partial_kwargs["op_kwargs"]["feed"] for task in dag.tasks if task.is_mapped] == [feed for feed in feeds for _ in range(2)]


@pytest.mark.parametrize(("dag_id", "feeds"), INGESTS.items())
def test_a_feed_that_failed_holds_up_those_after_it_and_one_that_was_skipped_does_not(
    dags: dict[str, DAG], dag_id: str, feeds: dict[str, str]
) -> None:
    rules = {task.task_id: task.trigger_rule for task in dags[dag_id].tasks}
    assert rules == {
        f"{group}{step}": rule
        for group in feeds.values()
        for step, rule in {
            "discover": "none_failed",
            "gate": "all_success",
            "process": "none_failed_min_one_success",
            "publish": "all_success",
            "deliver": "none_failed_min_one_success",
            "undelivered": "all_success",
        }.items()
    }


def test_what_is_not_delivered_takes_the_lease_from_no_feed_behind(dags: dict[str, DAG]) -> None:
    keeping = set()
    for dag_id in INGESTS:
        for task in dags[dag_id].tasks:
            callbacks = task.on_failure_callback if isinstance(task.on_failure_callback, list) else [task.on_failure_callback]
            keeping |= {task.task_id.rpartition(".")[2] for callback in callbacks if callback.keywords == {"releases": False}}
    assert keeping == {"undelivered"}


def test_a_step_names_those_of_its_own_feed() -> None:
    from dags.wiring.ingest import sibling_task_ids

    def at(task_id: str) -> Any:
        return {"ti": SimpleNamespace(task_id=task_id)}

    assert sibling_task_ids(at("discover"), "gate", "process") == ["gate", "process"]
    assert sibling_task_ids(at("sales_team.discover"), "gate", "process") == ["sales_team.gate", "sales_team.process"]


def test_a_scheduled_run_waits_a_moment_for_its_sisters_look_and_not_for_itself() -> None:
    from dags.wiring.ingest import lease_wait_seconds

    assert {name: lease_wait_seconds(spec) for name, spec in FEEDS.items()} == {"transactions": 0} | dict.fromkeys(
        set(FEEDS) - {"transactions"}, 5
    )


def test_every_feed_has_one_ingest() -> None:
    assert sorted(feed for feeds in INGESTS.values() for feed in feeds) == sorted(FEEDS)


@pytest.mark.parametrize(("dag_id", "feeds"), INGESTS.items())
def test_every_feed_is_ingested_once_a_minute_in_any_case_and_when_something_lands(
    dags: dict[str, DAG], dag_id: str, feeds: dict[str, str]
) -> None:
    schedule = dags[dag_id].schedule
    for instant in (dt.datetime(2026, 11, 21, 7, 30, tzinfo=dt.UTC), dt.datetime(2026, 12, 31, 23, 59, tzinfo=dt.UTC)):
        assert clock_after(schedule, instant) == instant + dt.timedelta(minutes=1)
    landings = landings_of(schedule)
    assert [asset.uri for asset in landings] == [f"x-sluice://landing/{feed}/" for feed in feeds]
    assert [[watcher.trigger.serialize() for watcher in asset.watchers] for asset in landings] == [
        [("plugins.landing.sluice_landing_trigger.LandingTrigger", {"feed": feed, "connection": "sluice_s3", "seconds": 1.0})]
        for feed in feeds
    ]


def clock_after(schedule: Any, last: dt.datetime) -> dt.datetime | None:
    """When the clock makes the run that follows one, as the scheduler counts."""
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable
    from airflow.timetables.base import DataInterval, TimeRestriction

    timetable = decode_timetable(encode_timetable(schedule))
    following = timetable.next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(pendulum.instance(last)), restriction=TimeRestriction(None, None, catchup=True)
    )
    return following and following.run_after


def landings_of(schedule: Any) -> list[Any]:
    """The assets of which any wakes a DAG."""
    from airflow.sdk import AssetAny

    condition = schedule.asset_condition
    return list(condition.objects) if isinstance(condition, AssetAny) else [condition]


@pytest.mark.parametrize(("dag_id", "feeds"), INGESTS.items())
def test_what_still_waits_of_a_feed_wakes_the_dag_that_takes_it(dags: dict[str, DAG], dag_id: str, feeds: dict[str, str]) -> None:
    told = {task.task_id: [alias.name for alias in task.outlets] for task in dags[dag_id].tasks if task.outlets}
    assert told == {f"{group}deliver": [f"sluice_more_{feed}_waits", f"sluice_{feed}_was_published"] for feed, group in feeds.items()}


@pytest.mark.parametrize(("dag_id", "feed"), [(dag_id, feed) for dag_id, feeds in INGESTS.items() for feed in feeds])
def test_the_form_of_a_feeds_ingest_offers_its_limits_and_every_threshold_within_its_bounds(
    dags: dict[str, DAG], dag_id: str, feed: str
) -> None:
    params = dags[dag_id].params
    choices = [choice.name for choice in FEEDS[feed].choices]
    assert list(params) == ["max_files", "key_prefix", *(parameter.name for parameter in FEEDS[feed].parameters), *choices]
    assert params["max_files"] == FEEDS[feed].max_files
    for parameter in FEEDS[feed].parameters:
        param = params.get_param(parameter.name)
        assert (param.value, param.schema["minimum"], param.schema["maximum"]) == (parameter.default, parameter.minimum, parameter.maximum)


def test_the_form_of_finance_offers_the_formats_and_no_others(dags: dict[str, DAG]) -> None:
    param = dags["finance_ingest"].params.get_param("output_format")
    assert (param.value, param.schema["enum"]) == ("parquet", ["parquet", "csv", "delta", "json"])


def test_what_is_published_of_sales_and_its_dimensions_refreshes_the_marts(dags: dict[str, DAG]) -> None:
    asset = dags["sales_marts"].schedule
    assert (asset.name, asset.uri) == ("sluice_published_sales", "x-sluice://published/sales/")
    assert [task.task_id for task in dags["sales_marts"].tasks] == ["refresh"]
    told = {task.task_id: [alias.name for alias in task.outlets] for task in dags["sales_daily"].tasks if task.outlets}
    feeds = (*INGESTS["dimensions_ingest"], "sales")
    assert told == {f"{feed}.ingest": [f"sluice_{feed}_was_published"] for feed in feeds}


def test_what_is_published_of_finance_is_sent_to_the_connection_that_is_named(dags: dict[str, DAG]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    dag = dags["finance_send"]
    assert (dag.schedule.name, dag.schedule.uri) == ("sluice_published_finance", "x-sluice://published/finance/")
    assert [task.task_id for task in dag.tasks] == ["send"]
    assert dict(dag.params) == {"connection": "sluice_finance_target"}
    with pytest.raises(ParamValidationError):  # an address would be kept, password and all, with the run
        dag.params.get_param("connection").resolve("mysql://me:secret@warehouse/finance")
    told = {task.task_id: [alias.name for alias in task.outlets] for task in dags["finance_daily"].tasks if task.outlets}
    assert told == {f"{feed}.ingest": [f"sluice_{feed}_was_published"] for feed in ("stocks", "mutual_funds")}


def test_reading_the_dag_files_imports_nothing_heavy() -> None:
    reading = (
        "import os, sys, tempfile; os.environ['AIRFLOW_HOME'] = tempfile.mkdtemp()\n"
        "import airflow.sdk\n"
        "before = set(sys.modules)\n"
        f"for name in {sorted(EXPECTED)!r}: __import__('dags.' + name)\n"
        f"print(sorted((set(sys.modules) - before) & set({HEAVY!r})))\n"
    )
    done = subprocess.run([sys.executable, "-c", reading], capture_output=True, text=True, check=True, cwd=DAGS.parent)
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_form_holds_a_text_that_must_be_filled_in_before_a_run_can_be_triggered(dags: dict[str, DAG]) -> None:
    stuck = [
        (dag.dag_id, name)
        for dag in dags.values()
        for name, param in dag.params.items()
        if dag.params.get_param(name).schema.get("type") == "string" and param == ""
    ]
    assert stuck == []
