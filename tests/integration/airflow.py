"""The real Airflow of the running services, through its REST API, as a person or a script uses it."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

INGEST, FOLLOW = "transactions_ingest", "transactions_follow"
STEPS = ("discover", "gate", "process", "publish", "deliver")
ENDED = ("success", "failed")
Found = TypeVar("Found")


def until(look: Callable[[], Found | None], what: str, seconds: float = 120) -> Found:
    """What `look` answers once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{seconds:.0f} s passed and still not: {what}"
        time.sleep(0.2)
    return found


class Airflow:
    """A logged-in client."""

    def __init__(self, services: Mapping[str, str]) -> None:
        self._url = services["AIRFLOW_URL"]
        login = {"username": services["AIRFLOW_USERNAME"], "password": services["AIRFLOW_PASSWORD"]}
        token = requests.post(f"{self._url}/auth/token", json=login, timeout=30).json()["access_token"]
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **asked: Any) -> requests.Response:
        return self._session.request(method, f"{self._url}/api/v2{path}", timeout=30, **asked)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.ask("GET", path, params=params)
        assert answer.ok, answer.text
        return answer.json()

    def dags(self) -> list[str]:
        return [dag["dag_id"] for dag in self.get("/dags")["dags"]]

    def pause(self, dag: str, *, paused: bool = True) -> None:
        assert self.ask("PATCH", f"/dags/{dag}", json={"is_paused": paused}).ok

    def ask_for_run(self, dag: str, conf: Mapping[str, Any]) -> requests.Response:
        """Ask for a run that goes before any the clock or the watcher makes meanwhile."""
        before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
        return self.ask("POST", f"/dags/{dag}/dagRuns", json={"logical_date": None, "run_after": before.isoformat(), "conf": dict(conf)})

    def trigger(self, dag: str, **conf: Any) -> str:
        """Trigger a run with params; its id."""
        answer = self.ask_for_run(dag, conf)
        assert answer.ok, answer.text
        run: str = answer.json()["dag_run_id"]
        return run

    def ended(self, dag: str, run: str, seconds: float = 120) -> str:
        """How a run ended."""

        def state() -> str | None:
            told: str = self.get(f"/dags/{dag}/dagRuns/{run}")["state"]
            return told if told in ENDED else None

        return until(state, f"{dag} {run} ended", seconds)

    def run(self, dag: str, **conf: Any) -> str:
        """Trigger a run, see it end well, and leave the DAG paused; its id."""
        run = self.trigger(dag, **conf)
        self.pause(dag, paused=False)
        assert self.ended(dag, run, 300) == "success"
        self.pause(dag)
        return run

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """The newest runs, newest first."""
        found: list[dict[str, Any]] = self.get(f"/dags/{dag}/dagRuns", order_by="-run_after", limit=20)["dag_runs"]
        return found

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

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return found

    def log(self, dag: str, run: str, task: str, attempt: int = 1) -> str:
        """All that a task's log says, tracebacks and all; of a mapped task that of its first group."""
        index = 0 if task.rpartition(".")[2] == "gate" else -1
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}"
        return json.dumps(self.get(path, map_index=index)["content"], ensure_ascii=False)

    def handed_on(self, dag: str, run: str) -> str:
        """Every XCom of a run, as text."""
        entries = self.get(f"/dags/{dag}/dagRuns/{run}/taskInstances/~/xcomEntries", limit=100)["xcom_entries"]
        values = []
        for entry in entries:
            path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{entry['task_id']}/xcomEntries/{entry['key']}"
            values.append(self.get(path, map_index=entry["map_index"])["value"])
        return json.dumps(values, ensure_ascii=False)
