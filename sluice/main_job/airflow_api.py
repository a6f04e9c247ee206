"""Airflow's REST API, as far as the main job, the tools and the tests need it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TypedDict, TypeVar

import requests

from include.errors import EnvironmentFailure

ENDED = ("success", "failed")
_SECONDS = 60  # a machine that is busy answers late
_READ_WITHIN_SECONDS = 180
_LOOK_EVERY_SECONDS = 0.5
Found = TypeVar("Found")


class DagRun(TypedDict):
    """What is read of a run; `end_date` (ISO 8601) is None while it is at work."""

    dag_run_id: str
    state: str
    end_date: str | None


class TaskInstance(TypedDict):
    """What is read of a task of a run; one that is mapped is there once for each index. Dates are ISO 8601, None before they come."""

    task_id: str
    state: str | None
    start_date: str | None
    end_date: str | None
    rendered_map_index: str | None


def poll(probe: Callable[[], Found], seconds: float, every: float = _LOOK_EVERY_SECONDS) -> Found:
    """What `probe` answers, as soon as that is something or the time (seconds) has passed."""
    deadline = time.monotonic() + seconds
    while not (found := probe()) and time.monotonic() < deadline:
        time.sleep(every)
    return found


class AirflowApi:
    """A client of one Airflow, logged in with its first request.

    `send` and `ask` give the answer, whatever its status; all else raises EnvironmentFailure where Airflow refuses, or does not answer.
    """

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url = url
        self._login = {"username": username, "password": password}
        self._session = requests.Session()

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Self:
        """The one that the variables of `sluice env` lead to."""
        return cls(variables["AIRFLOW_URL"], variables["AIRFLOW_USERNAME"], variables["AIRFLOW_PASSWORD"])

    # -- requests ---------------------------------------------------------------------------------------------------------

    def log_in(self) -> requests.Response:
        """The answer to the login."""
        return self._session.post(f"{self._url}/auth/token", json=self._login, timeout=_SECONDS)

    def send(self, method: str, path: str, **body: Any) -> requests.Response:
        """The answer to any request, whatever its status; the path begins at Airflow's root."""
        try:
            if "Authorization" not in self._session.headers:
                login = self.log_in()
                if not login.ok:
                    raise EnvironmentFailure("Airflow", f"login as {self._login['username']} refused with {login.status_code}")
                self._session.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            return self._session.request(method, f"{self._url}{path}", timeout=_SECONDS, **body)
        except requests.RequestException as failed:
            raise EnvironmentFailure("Airflow", f"no answer from {self._url}: {failed}") from failed

    def ask(self, method: str, path: str, **body: Any) -> requests.Response:
        """The answer of the REST API, whatever its status."""
        return self.send(method, f"/api/v2{path}", **body)

    def get(self, path: str, **params: Any) -> Any:
        """What the REST API has under a path."""
        return self._granted(self.ask("GET", path, params=params))

    @staticmethod
    def _granted(answer: requests.Response) -> Any:
        if not answer.ok:
            request = f"{answer.request.method} {answer.request.path_url.partition('?')[0]}"
            raise EnvironmentFailure("Airflow", f"{request} refused with {answer.status_code}: {answer.text[:200]}")
        return answer.json()

    # -- DAGs -------------------------------------------------------------------------------------------------------------

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG processor has read this DAG."""
        return self.ask("GET", f"/dags/{dag_id}").ok

    def import_errors(self) -> list[str]:
        """What is wrong with DAG files, one sentence each."""
        found = self.get("/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in found]

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run on its schedule, once the DAG processor has read it.

        Raises:
            EnvironmentFailure: the DAG does not appear, and what is wrong with the DAG files if Airflow knows; or Airflow does not answer.
        """
        self.pause(dag_id, paused=False)

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        """Let a DAG begin no run and no task any more; raises as `unpause`."""
        if not poll(lambda: self.knows(dag_id), _READ_WITHIN_SECONDS):
            broken = "; ".join(self.import_errors()) or "the DAG processor has not read it"
            raise EnvironmentFailure("Airflow", f"no DAG {dag_id}: {broken}")
        self._granted(self.ask("PATCH", f"/dags/{dag_id}", json={"is_paused": paused}))

    def rest(self, *dag_ids: str) -> None:
        """Pause DAGs, each once no run of it is at work: what a run of a paused DAG has not begun, it never does."""
        for dag_id in dag_ids:
            self.pause(dag_id)
            while self.runs(dag_id, "running"):
                self.unpause(dag_id)
                while self.runs(dag_id, "running"):
                    time.sleep(_LOOK_EVERY_SECONDS)
                self.pause(dag_id)

    def await_watcher(self, asset: str, seconds: float) -> bool:
        """Whether an asset of a DAG that was unpaused has a watcher, once it has one or the time (seconds) has passed."""
        return poll(lambda: any(found["watchers"] for found in self.get("/assets", name_pattern=asset)["assets"]), seconds)

    # -- runs -------------------------------------------------------------------------------------------------------------

    def runs(self, dag_id: str, *states: str) -> list[DagRun]:
        """The newest runs of a DAG, newest first; those in one of these states, if any are named."""
        found: list[DagRun] = self.get(f"/dags/{dag_id}/dagRuns", state=states, order_by="-run_after", limit=20)["dag_runs"]
        return found

    def ask_for_run(self, dag_id: str, conf: Mapping[str, object], **more: object) -> requests.Response:
        """The answer to a request for a run by hand."""
        return self.ask("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": dict(conf), **more})

    def trigger(self, dag_id: str, **conf: object) -> str:
        """Trigger a run by hand; its id."""
        return str(self._granted(self.ask_for_run(dag_id, conf))["dag_run_id"])

    def await_end(self, dag_id: str, run_id: str, seconds: float) -> DagRun:
        """A run, once it has ended, however it did.

        Raises:
            EnvironmentFailure: it has not within the time (seconds).
        """

        def probe() -> DagRun | None:
            run: DagRun = self.get(f"/dags/{dag_id}/dagRuns/{run_id}")
            return run if run["state"] in ENDED else None

        if (run := poll(probe, seconds)) is None:
            raise EnvironmentFailure("Airflow", f"{dag_id} {run_id} has not ended after {seconds:.0f} s")
        return run

    def tasks(self, dag_id: str, run_id: str = "~", **params: Any) -> list[TaskInstance]:
        """The tasks of a run, or of all runs."""
        found: list[TaskInstance] = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", **params)["task_instances"]
        return found

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1, map_index: int = -1) -> str:
        """All that a task has logged, tracebacks and all, as JSON."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        return json.dumps(self.get(path, map_index=map_index)["content"], ensure_ascii=False)
