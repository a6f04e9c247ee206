"""What DAGs there are, and that each has what a person looks for in it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from include.feeds import FEEDS
from tests.dags.conftest import DAGS

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk import DAG

EXPECTED = {
    "data_docs",
    "transactions_daily",
    "transactions_follow",
    "transactions_ingest",
    "transactions_producer",
    "transactions_reference",
    "transactions_replay",
}
STEPS = ["discover", "gate", "process", "publish", "deliver"]
HEAVY = ("boto3", "delta", "great_expectations", "numpy", "pandas", "psycopg", "pyarrow", "pyspark")


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
def test_every_task_has_an_owner_a_time_out_retries_and_tells_the_ledger_of_its_failure(dags: dict[str, DAG], dag_id: str) -> None:
    for task in dags[dag_id].tasks:
        assert task.owner == "sluice"
        assert task.execution_timeout is not None
        assert task.retries == 2
        assert task.retry_policy is not None
        assert task.on_failure_callback


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_every_param_is_described_and_typed(dags: dict[str, DAG], dag_id: str) -> None:
    params = dags[dag_id].params
    for name in params:
        assert params.get_param(name).description, name
        assert params.get_param(name).schema["type"], name


@pytest.mark.parametrize("feed", sorted(FEEDS))
def test_every_feed_is_ingested_in_the_same_five_steps(dags: dict[str, DAG], feed: str) -> None:
    dag = dags[f"{feed}_ingest"]
    assert f"feed:{feed}" in dag.tags
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        "discover": {"gate", "process", "publish", "deliver"},
        "gate": {"process"},
        "process": {"publish"},
        "publish": {"deliver"},
        "deliver": set(),
    }
    assert [task.task_id for task in dag.topological_sort()] == STEPS
    assert [task.task_id for task in dag.tasks if task.is_mapped] == ["gate"]


@pytest.mark.parametrize("feed", sorted(FEEDS))
def test_every_feed_is_ingested_by_the_clock_and_when_something_lands(dags: dict[str, DAG], feed: str) -> None:
    schedule = dags[f"{feed}_ingest"].schedule
    assert schedule.timetable.expression == "* * * * *"
    (watcher,) = schedule.asset_condition.watchers
    assert watcher.trigger.serialize() == (
        "plugins.landing.sluice_landing_trigger.LandingTrigger",
        {"feed": feed, "connection": "sluice_s3", "seconds": 1.0},
    )


@pytest.mark.parametrize("feed", sorted(FEEDS))
def test_the_form_of_a_feeds_ingest_offers_its_limits_and_every_threshold_within_its_bounds(dags: dict[str, DAG], feed: str) -> None:
    params = dags[f"{feed}_ingest"].params
    assert list(params) == ["max_files", "key_prefix", *(parameter.name for parameter in FEEDS[feed].parameters)]
    for parameter in FEEDS[feed].parameters:
        param = params.get_param(parameter.name)
        assert (param.value, param.schema["minimum"], param.schema["maximum"]) == (parameter.default, parameter.minimum, parameter.maximum)


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


def test_the_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, DAGS.parent / "scripts" / "docs.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_form_holds_a_text_that_must_be_filled_in_before_a_run_can_be_triggered(dags: dict[str, DAG]) -> None:
    stuck = [
        (dag.dag_id, name)
        for dag in dags.values()
        for name, param in dag.params.items()
        if dag.params.get_param(name).schema.get("type") == "string" and param == ""
    ]
    assert stuck == []
