"""The real Airflow of the running services, through its REST API, as a person or a script uses it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from include.ledger import Ledger
from sluice.main_job.airflow_api import ENDED, AirflowApi, poll

__all__ = ["ENDED"]

INGEST, FOLLOW = "transactions_ingest", "transactions_follow"
STEPS = ("discover", "gate", "process", "publish", "deliver")
TASKS = (*STEPS, "undelivered")
Found = TypeVar("Found")


def until(probe: Callable[[], Found | None], what: str, seconds: float = 120) -> Found:
    """What `probe` answers once that is something."""
    found = poll(probe, seconds, 0.2)
    assert found, f"{seconds:.0f} s passed and still not: {what}"
    return found


def unused(ledger: Ledger) -> int:
    """A number that no test before had, since each lands files after it; the same in every session that begins with nothing."""
    found = ledger.row("select coalesce(max(file_id), 0) as newest from file")
    assert found is not None
    return int(found["newest"])


class Airflow(AirflowApi):
    """With what only tests probe at."""

    def dags(self, **params: Any) -> list[str]:
        return [dag["dag_id"] for dag in self.get("/dags", **params)["dags"]]

    def ask_for_run(self, dag_id: str, conf: Mapping[str, object], **more: object) -> requests.Response:
        """Ask for a run that goes before any the clock or the watcher makes meanwhile."""
        before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
        return super().ask_for_run(dag_id, conf, run_after=before.isoformat(), **more)

    def ended(self, dag: str, run: str, seconds: float = 120) -> str:
        """How a run ended."""
        return self.await_end(dag, run, seconds)["state"]

    def run(self, dag: str, **conf: Any) -> str:
        """Trigger a run, see it end well, and leave the DAG paused; its id."""
        run = self.trigger(dag, **conf)
        self.unpause(dag)
        assert self.ended(dag, run, 300) == "success"
        self.pause(dag)
        return run

    def woken_by(self, dag: str, run: str) -> list[str]:
        """What woke a run: the tasks that added an event, or `watcher`."""
        events = self.get(f"/dags/{dag}/dagRuns/{run}/upstreamAssetEvents")["asset_events"]
        return [event["source_task_id"] or "watcher" for event in events]

    def called_for(self, asset: str) -> list[tuple[str, str]]:
        """The newest tasks (with their runs) that asked for a run by adding an event to an asset."""
        events = self.get("/assets/events", name_pattern=asset, order_by="-timestamp", limit=50)["asset_events"]
        return [(event["source_task_id"], event["source_run_id"]) for event in events]

    def states(self, dag: str, run: str) -> dict[str, str]:
        """The state of each task; of a mapped one that of its last."""
        return {task["task_id"]: task["state"] for task in self.tasks(dag, run)}

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1, map_index: int = -1) -> str:
        """Of a mapped task the log of its first group."""
        return super().log(dag_id, run_id, task_id, attempt, 0 if task_id.rpartition(".")[2] == "gate" else map_index)

    def handed_on(self, dag: str, run: str) -> str:
        """Every XCom of a run, as text."""
        entries = self.get(f"/dags/{dag}/dagRuns/{run}/taskInstances/~/xcomEntries", limit=100)["xcom_entries"]
        values = []
        for entry in entries:
            path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{entry['task_id']}/xcomEntries/{entry['key']}"
            values.append(self.get(path, map_index=entry["map_index"])["value"])
        return json.dumps(values, ensure_ascii=False)
