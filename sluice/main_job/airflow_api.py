"""The little of Airflow's REST API that the main job needs, and what measures or kills it."""

from __future__ import annotations

import time
from typing import Any

import requests

from include.ingestion.errors import EnvironmentFailure

_SECONDS = 15
_READ_WITHIN_SECONDS = 180
_LOOK_EVERY_SECONDS = 0.5


class AirflowApi:
    """A logged-in client of one Airflow."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url = url
        self._login = {"username": username, "password": password}
        self._session = requests.Session()

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run on its schedule, once the DAG processor has read it.

        Raises:
            EnvironmentFailure: the DAG does not appear, and what is wrong with the DAG files if Airflow knows; or Airflow does not answer.
        """
        self._set_paused(dag_id, paused=False)

    def pause(self, dag_id: str) -> None:
        """Let a DAG begin no run and no task any more; raises as `unpause`."""
        self._set_paused(dag_id, paused=True)

    def rest(self, *dag_ids: str) -> None:
        """Pause DAGs, each once no run of it is at work: what a run of a paused DAG has not begun, it never does."""
        for dag_id in dag_ids:
            self.pause(dag_id)
            while self.runs(dag_id, "running"):
                self.unpause(dag_id)
                while self.runs(dag_id, "running"):
                    time.sleep(_LOOK_EVERY_SECONDS)
                self.pause(dag_id)

    def runs(self, dag_id: str, *states: str) -> int:
        """How many runs of a DAG are in one of these states."""
        return int(self._ask("GET", f"/api/v2/dags/{dag_id}/dagRuns", params={"state": states, "limit": 1}).json()["total_entries"])

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG processor has read this DAG."""
        return bool(self._send("GET", f"/api/v2/dags/{dag_id}").ok)

    def import_errors(self) -> list[str]:
        """What is wrong with DAG files, one sentence each."""
        found = self._ask("GET", "/api/v2/importErrors").json()["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in found]

    def _set_paused(self, dag_id: str, *, paused: bool) -> None:
        deadline = time.monotonic() + _READ_WITHIN_SECONDS
        while not self.knows(dag_id):
            if time.monotonic() > deadline:
                broken = "; ".join(self.import_errors()) or "the DAG processor has not read it"
                raise EnvironmentFailure("Airflow", f"no DAG {dag_id}: {broken}")
            time.sleep(_LOOK_EVERY_SECONDS)
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": paused})

    def _ask(self, method: str, path: str, **body: Any) -> requests.Response:
        answer = self._send(method, path, **body)
        if not answer.ok:
            raise EnvironmentFailure("Airflow", f"{method} {path} refused with {answer.status_code}: {answer.text[:200]}")
        return answer

    def _send(self, method: str, path: str, **body: Any) -> requests.Response:
        try:
            if "Authorization" not in self._session.headers:
                login = self._session.post(f"{self._url}/auth/token", json=self._login, timeout=_SECONDS)
                if not login.ok:
                    raise EnvironmentFailure("Airflow", f"login as {self._login['username']} refused with {login.status_code}")
                self._session.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            return self._session.request(method, f"{self._url}{path}", timeout=_SECONDS, **body)
        except requests.RequestException as failed:
            raise EnvironmentFailure("Airflow", f"no answer from {self._url}: {failed}") from failed
