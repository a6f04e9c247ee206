"""How a task ends for each error, and what is kept of it."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from include.errors import EnvironmentFailure, FeedBusy, FeedPaused, LeaseLost, RuleViolated, SluiceError, UsageError
from tests.unit.violations import VIOLATIONS, violated

BUSY = FeedBusy("transactions", "sluice-ingest-1", 42)
PAUSED = FeedPaused("transactions", "2026-11-21T03:00:00", "ann")
LOST = LeaseLost("transactions", 7)
DOWN = EnvironmentFailure("S3", "no answer")
REFUSED = UsageError("no such parameter")


def context(run_type: str = "scheduled", **more: Any) -> Any:
    """As much of a task's context as is looked at."""
    from airflow.sdk.api.datamodels._generated import DagRunType

    dag_run = SimpleNamespace(dag_id="transactions_ingest", run_id="r1", run_type=DagRunType(run_type))
    return {"dag_run": dag_run, "task_instance": SimpleNamespace(task_id="gate"), **more}


@pytest.mark.parametrize(
    ("run_type", "error", "ends_as"),
    [
        ("scheduled", BUSY, "skipped"),
        ("asset_triggered", BUSY, "skipped"),
        ("scheduled", PAUSED, "skipped"),
        ("manual", PAUSED, "failed"),
        ("scheduled", LOST, "skipped"),
        ("manual", LOST, "skipped"),
        ("scheduled", DOWN, "tried again"),
        ("manual", DOWN, "tried again"),
        ("scheduled", REFUSED, "failed"),
        ("scheduled", KeyError("a bug"), "failed"),
    ],
)
def test_a_task_is_skipped_where_there_is_nothing_to_repair_and_tried_again_where_a_service_is_down(
    run_type: str, error: Exception, ends_as: str
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from dags.wiring.defaults import ONLY_THE_ENVIRONMENT
    from dags.wiring.failures import as_task_failure

    with pytest.raises((AirflowSkipException, SluiceError)) as raised, as_task_failure(context(run_type)):
        raise error
    if ends_as == "skipped":
        assert raised.type is AirflowSkipException
        assert str(raised.value).startswith(str(error))
        return
    if isinstance(error, SluiceError):
        assert raised.value is error
    else:
        assert str(raised.value).startswith(f"{type(error).__name__} at test_failures.py:"), "what it says may be a row's"
    decided = ONLY_THE_ENVIRONMENT.evaluate(raised.value, 1, 2).action.value
    assert decided == {"tried again": "retry", "failed": "fail"}[ends_as]


def test_a_time_out_is_not_tried_again() -> None:
    from airflow.sdk.exceptions import AirflowTaskTimeout

    from dags.wiring.defaults import ONLY_THE_ENVIRONMENT

    assert ONLY_THE_ENVIRONMENT.evaluate(AirflowTaskTimeout("too long"), 1, 2).action.value == "fail"


@pytest.mark.parametrize("error", [DOWN, REFUSED])
def test_the_errors_sentence_is_a_line_of_the_log(error: SluiceError, caplog: pytest.LogCaptureFixture) -> None:
    from dags.wiring.failures import as_task_failure

    with pytest.raises(SluiceError), as_task_failure(context()):
        raise error
    assert caplog.messages == [str(error)]


@pytest.mark.parametrize("kind", VIOLATIONS, ids=lambda kind: kind.__name__)
def test_a_violated_rule_of_the_ledger_is_a_sentence_and_is_not_tried_again(
    kind: type[psycopg.IntegrityError], caplog: pytest.LogCaptureFixture
) -> None:
    from dags.wiring.defaults import ONLY_THE_ENVIRONMENT
    from dags.wiring.failures import as_task_failure

    with pytest.raises(RuleViolated) as raised, as_task_failure(context()):
        raise violated(kind)
    assert caplog.messages == [str(raised.value)]
    assert f"a rule says no ({kind.__name__})" in caplog.text
    assert "Ann" not in caplog.text
    assert ONLY_THE_ENVIRONMENT.evaluate(raised.value, 1, 2).action.value == "fail"


@pytest.mark.parametrize("error", [BUSY, PAUSED, LOST])
def test_why_a_task_was_skipped_is_a_line_of_the_log_too(error: SluiceError, caplog: pytest.LogCaptureFixture) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from dags.wiring.failures import as_task_failure

    caplog.set_level(logging.INFO, "sluice")
    with pytest.raises(AirflowSkipException) as skipped, as_task_failure(context()):
        raise error
    assert caplog.messages == [str(skipped.value)]
    assert str(skipped.value).startswith(str(error))


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (DOWN, str(DOWN)),
        (ValueError("'C1','M1',4.55"), "ValueError: see the log of the task"),
        ("Task did not emit heartbeat within time limit", "Task did not emit heartbeat within time limit"),
    ],
)
def test_the_ledger_is_told_the_sentence_and_never_a_row(error: object, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dags.wiring import failures

    told: list[tuple[str, ...]] = []

    class Ledger:
        def record_failure(self, *what: str) -> None:
            told.append(what)

        def release_run(self, spec: Any, run: str) -> None:
            told.append((spec.name, run))

    ledger = Ledger()
    monkeypatch.setattr(failures, "open_ledger", lambda: nullcontext(SimpleNamespace(admin=ledger, leases=ledger)))
    failures.record_failure("transactions", context(exception=error))
    run = "airflow:transactions_ingest:r1"
    assert told == [("transactions", run, "gate", kept), ("transactions", run)]
    failures.record_failure("transactions", context(exception=error), releases=False)
    assert told[2:] == [("transactions", run, "gate", kept)]


def test_a_ledger_that_is_down_too_is_a_line_of_the_log_and_no_second_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dags.wiring.failures import record_failure

    nobody = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "schema": "sluice", "login": "sluice", "password": "secret"}
    monkeypatch.setenv("AIRFLOW_CONN_SLUICE_LEDGER", json.dumps(nobody))
    with caplog.at_level(logging.ERROR):
        record_failure("transactions", context(exception=DOWN))
    (line,) = caplog.messages
    assert line.startswith("the ledger could not be told of this failure")
    assert "PostgreSQL" in line
    assert "secret" not in line
