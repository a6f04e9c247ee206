"""What a task of an ingest acts through: its own feed, or the one whose batch was left unfinished."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import pytest

from include.domains.sales.publisher import DimensionPublisher, FactsPublisher
from sluice.services.airflow import connections
from sluice.services.state import State


@pytest.mark.parametrize(
    ("resumes_feed", "feed", "publisher"),
    [(None, "sales", FactsPublisher), ("sales", "sales", FactsPublisher), ("customer", "customer", DimensionPublisher)],
)
def test_a_step_works_for_the_feed_whose_batch_was_left_unfinished_in_the_name_of_its_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumes_feed: str | None, feed: str, publisher: type[object]
) -> None:
    from airflow.sdk.api.datamodels._generated import DagRunType

    from dags.wiring import ingest

    for name, value in connections(State(tmp_path / "state")).items():
        monkeypatch.setenv(name, value)
    started = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    dag_run = SimpleNamespace(dag_id="sales_ingest", run_id="r1", run_type=DagRunType.MANUAL, start_date=started, conf={})
    context = {"dag_run": dag_run, "dag": SimpleNamespace(params={}), "params": {"max_files": 7}}
    monkeypatch.setattr(ingest, "get_current_context", lambda: context)
    with ingest._step("sales", resumes_feed) as (ports, spec, run):
        found = (spec.name, type(ports.parts.publisher()), run.run_id, run.max_files)
    assert found == (feed, publisher, "airflow:sales_ingest:r1", 7)
