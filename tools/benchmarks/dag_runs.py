"""Airflow as the measurements need it: idle, and how long a run and its tasks took."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sluice.main_job.airflow_api import AirflowApi
from tools.benchmarks.errors import BenchmarkFailed

INGEST, FOLLOW = "transactions_ingest", "transactions_follow"
_LOOK_EVERY_SECONDS = 0.2
_RUN_SECONDS = 900
_QUIET_SECONDS = 4


@dataclass(frozen=True)
class TimedRun:
    """A run that ended well: seconds from the trigger to its end, and of each task (a mapped one from first start to last end)."""

    run_id: str
    seconds: float
    tasks: Mapping[str, float]


class DagRuns(AirflowApi):
    def wait_until_idle(self, dag: str) -> None:
        """Wait until no run has been at work or queued for a while, early in a minute: neither the watcher nor the clock makes one soon."""
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_SECONDS or not 5 <= dt.datetime.now(dt.UTC).second <= 40:
            if self.runs(dag, "running", "queued"):
                quiet_since = time.monotonic()
            time.sleep(_LOOK_EVERY_SECONDS)

    def ended(self, dag: str, run_id: str, since: dt.datetime) -> TimedRun:
        """Wait for the end of a run; its seconds count from `since`.

        Raises:
            BenchmarkFailed: it did not succeed.
        """
        run = self.await_end(dag, run_id, _RUN_SECONDS)
        if run["state"] != "success":
            raise BenchmarkFailed(f"{dag} {run_id} failed; its log is in Airflow")
        return TimedRun(run_id, (_instant(run["end_date"]) - since).total_seconds(), self._seconds_of_tasks(dag, run_id))

    def measured(self, dag: str, conf: Mapping[str, object]) -> TimedRun:
        triggered = dt.datetime.now(dt.UTC)
        return self.ended(dag, self.trigger(dag, **conf), triggered)

    def _seconds_of_tasks(self, dag: str, run_id: str) -> dict[str, float]:
        ran = sorted(
            (task for task in self.tasks(dag, run_id) if task["state"] == "success"), key=lambda task: _instant(task["start_date"])
        )
        spans: dict[str, tuple[dt.datetime, dt.datetime]] = {}
        for task in sorted(ran, key=lambda task: _instant(task["start_date"])):
            start, end = _instant(task["start_date"]), _instant(task["end_date"])
            first, last = spans.get(task["task_id"], (start, end))
            spans[task["task_id"]] = min(first, start), max(last, end)
        return {task: (end - start).total_seconds() for task, (start, end) in spans.items()}


def _instant(text: str | None) -> dt.datetime:
    assert text is not None, "it has not begun or ended"
    return dt.datetime.fromisoformat(text)
