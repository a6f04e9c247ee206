"""Airflow's four components beside the others: healthy, and closed to strangers."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from sluice.services.airflow import ask_health
from sluice.services.catalogue import all_services
from sluice.services.doctor import Verdict, examine, listening_beyond_loopback
from sluice.services.state import State
from sluice.services.supervisor import statuses

AIRFLOW = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
ALL = ("postgres", "s3", "spark", *AIRFLOW)


def airflow_answers(services: dict[str, str], method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, object]]:
    connection = HTTPConnection(urlsplit(services["AIRFLOW_URL"]).netloc, timeout=30)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def test_all_seven_are_healthy_and_the_doctor_finds_nothing_wrong(with_airflow: dict[str, str], state: State) -> None:
    assert with_airflow
    found = statuses(state, all_services(state))

    assert [(one.service, one.state, one.problem) for one in found] == [(name, "healthy", "") for name in ALL]
    assert all((one.memory_bytes or 0) > 10_000_000 and one.uptime_seconds is not None for one in found)
    assert [finding for finding in examine(state, all_services(state)) if finding.verdict is Verdict.WRONG] == []


def test_airflows_own_health_endpoint_says_that_all_its_components_are_healthy(with_airflow: dict[str, str], state: State) -> None:
    assert with_airflow
    assert {name: one["status"] for name, one in ask_health(state).items()} == dict.fromkeys(
        ("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy"
    )


@pytest.mark.parametrize("name", AIRFLOW)
def test_no_component_listens_beyond_loopback(with_airflow: dict[str, str], state: State, name: str) -> None:
    assert with_airflow
    assert listening_beyond_loopback(state, name) == []


def test_airflow_wants_a_login(with_airflow: dict[str, str]) -> None:
    right = {"username": with_airflow["AIRFLOW_USERNAME"], "password": with_airflow["AIRFLOW_PASSWORD"]}

    assert airflow_answers(with_airflow, "GET", "/api/v2/dags")[0] == 401
    assert airflow_answers(with_airflow, "GET", "/auth/token")[0] != 201  # no anonymous admin
    assert airflow_answers(with_airflow, "POST", "/auth/token", right | {"password": "wrong"})[0] == 401
    status, token = airflow_answers(with_airflow, "POST", "/auth/token", right)
    assert status == 201
    assert airflow_answers(with_airflow, "GET", "/api/v2/dags", Authorization=f"Bearer {token['access_token']}")[0] == 200
