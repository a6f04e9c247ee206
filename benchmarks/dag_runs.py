"""Airflow through its REST API, as the measurements need it: rest, trigger, and how long a run and its tasks took."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.errors import BenchmarkFailed
from sluice.main_job.airflow_api import AirflowApi

INGEST, FOLLOW = "transactions_ingest", "transactions_follow"
_LOOK_EVERY_SECONDS = 0.2
_RUN_SECONDS = 900
_QUIET_SECONDS = 4


@dataclass(frozen=True)
class DagRun:
    """A run that ended well: seconds from the trigger to its end, and of each task (a mapped one from first start to last end)."""

    run_id: str
    seconds: float
    tasks: Mapping[str, float]


class DagRuns(AirflowApi):
    """The DAGs of one Airflow."""

    def settle(self, dag: str) -> None:
        """Wait until no run has been at work or queued for a while, early in a minute: neither the watcher nor the clock makes one soon."""
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_SECONDS or not 5 <= dt.datetime.now(dt.UTC).second <= 40:
            if self.runs(dag, "running", "queued"):
                quiet_since = time.monotonic()
            time.sleep(_LOOK_EVERY_SECONDS)

    def trigger(self, dag: str, conf: Mapping[str, Any]) -> str:
        """Trigger a run by hand; its id."""
        asked = {"logical_date": None, "conf": dict(conf)}
        return str(self._ask("POST", f"/api/v2/dags/{dag}/dagRuns", json=asked).json()["dag_run_id"])

    def ended(self, dag: str, run_id: str, since: dt.datetime) -> DagRun:
        """Wait for the end of a run; its seconds count from `since`.

        Raises:
            BenchmarkFailed: it did not succeed.
        """
        deadline = time.monotonic() + _RUN_SECONDS
        while (run := self._ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run_id}").json())["state"] not in ("success", "failed"):
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"{dag} {run_id} is {run['state']} after {_RUN_SECONDS} s")
            time.sleep(_LOOK_EVERY_SECONDS)
        if run["state"] != "success":
            raise BenchmarkFailed(f"{dag} {run_id} failed; its log is in Airflow")
        return DagRun(run_id, (_instant(run["end_date"]) - since).total_seconds(), self._tasks(dag, run_id))

    def measured(self, dag: str, conf: Mapping[str, Any]) -> DagRun:
        """Trigger a run by hand and wait for its end."""
        triggered = dt.datetime.now(dt.UTC)
        return self.ended(dag, self.trigger(dag, conf), triggered)

    def _tasks(self, dag: str, run_id: str) -> dict[str, float]:
        found = self._ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run_id}/taskInstances").json()["task_instances"]
        ran = sorted((task for task in found if task["state"] == "success"), key=lambda task: str(task["start_date"]))
        spans: dict[str, tuple[dt.datetime, dt.datetime]] = {}
        for task in ran:
            start, end = _instant(task["start_date"]), _instant(task["end_date"])
            first, last = spans.get(task["task_id"], (start, end))
            spans[task["task_id"]] = min(first, start), max(last, end)
        return {task: (end - start).total_seconds() for task, (start, end) in spans.items()}


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
