"""A run as it is read from Airflow's params, and what is said of it at its end."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from include.domains.transactions.feeds import TRANSACTIONS
from include.errors import UsageError
from include.files.failure import Undone
from include.pipeline.deliver import Delivered
from include.run import Run

STARTED = dt.datetime(2026, 11, 21, 3, 0, tzinfo=dt.UTC)
DEFAULTS = {"min_total": 50_000, "min_count": 80, "max_avg_cents": 2300, "min_female": 100, "top": 10, "bottom": 10}


def context(run_type: str, **conf: Any) -> Any:
    from airflow.sdk.api.datamodels._generated import DagRunType

    from dags.wiring.params import ingest_params

    params = ingest_params(TRANSACTIONS)
    values = {name: param.value for name, param in params.items()} | conf
    dag_run = SimpleNamespace(dag_id="transactions_ingest", run_id="r1", run_type=DagRunType(run_type), start_date=STARTED, conf=conf)
    return {"dag_run": dag_run, "dag": SimpleNamespace(params=params), "params": values}


def test_a_scheduled_run_takes_the_defaults_and_looks_at_the_recent_dates() -> None:
    from dags.wiring.params import run_from

    assert run_from(TRANSACTIONS, context("scheduled")) == Run(
        "airflow:transactions_ingest:r1", STARTED, DEFAULTS, TRANSACTIONS.max_files, TRANSACTIONS.max_bytes, "", full=False
    )


def test_a_run_by_hand_takes_what_was_typed_in_and_lists_everything() -> None:
    from dags.wiring.params import run_from

    run = run_from(TRANSACTIONS, context("manual", max_files=3, key_prefix="dt=2026-11-20/", min_count=5))
    assert (run.max_files, run.key_prefix, run.parameters, run.full) == (3, "dt=2026-11-20/", DEFAULTS | {"min_count": 5}, True)


def test_a_param_that_the_dag_does_not_have_is_not_passed_over() -> None:
    from dags.wiring.params import run_from

    with pytest.raises(UsageError, match="transactions_ingest has no parameter min_cuont; it has max_files, key_prefix, min_total"):
        run_from(TRANSACTIONS, context("manual", min_cuont=5))


@pytest.mark.parametrize(
    ("processed", "published", "expected"),
    [
        (None, None, "r1: 2 registered; 1 batches and 3 files delivered, 4 files waiting; 5.0 s"),
        (
            {"accepted": 2, "quarantined": 1, "duplicate": 0},
            {"batch": 7, "counts": {"files": 2, "rows": 20, "PatId2 detections": 1}},
            (
                "r1: 2 registered; 2 accepted, 1 quarantined, 0 duplicate; batch 7 published: 2 files, 20 rows, 1 PatId2 detections; "
                "1 batches and 3 files delivered, 4 files waiting; 5.0 s"
            ),
        ),
    ],
)
def test_the_last_line_says_what_a_run_did(
    processed: dict[str, Any] | None, published: dict[str, Any] | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dags.wiring import ingest

    monkeypatch.setattr(ingest, "now", lambda: STARTED + dt.timedelta(seconds=5))
    assert ingest.summary(Run("r1", STARTED), {"registered": 2}, processed, published, Delivered(1, 3, 4)) == expected


def test_the_last_line_names_what_could_not_be_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    from dags.wiring import ingest

    monkeypatch.setattr(ingest, "now", lambda: STARTED)
    undone = tuple(Undone(f"file {number}", number, STARTED, STARTED, "S3: no right") for number in (3, 4))
    said = ingest.summary(Run("r1", STARTED), {"registered": 0}, None, None, Delivered(1, 0, 0, 3, 1, undone))
    assert said == (
        "r1: 0 registered; 1 batches and 0 files delivered, 0 files waiting; "
        "2 not delivered and tried again (first: file 3 failed 3 times since 2026-11-21 03:00:00 UTC: S3: no right); 0.0 s"
    )
