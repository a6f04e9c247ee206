"""The little of Airflow's REST API that the main job needs."""

from __future__ import annotations

from typing import Any

import requests

from include.ingestion.errors import EnvironmentFailure

_SECONDS = 15


class AirflowApi:
    """A logged-in client of one Airflow."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url = url
        self._login = {"username": username, "password": password}
        self._session = requests.Session()

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run on its schedule.

        Raises:
            EnvironmentFailure: Airflow does not answer, refuses, or does not know the DAG.
        """
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG processor has read this DAG."""
        return bool(self._send("GET", f"/api/v2/dags/{dag_id}").ok)

    def import_errors(self) -> list[str]:
        """What is wrong with DAG files, one sentence each."""
        found = self._ask("GET", "/api/v2/importErrors").json()["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in found]

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
