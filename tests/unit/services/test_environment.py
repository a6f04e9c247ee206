"""What clients and Airflow are told about the services."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sluice.services import airflow
from sluice.services.doctor import Verdict, examine
from sluice.services.environment import environment
from sluice.services.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def test_clients_get_exactly_these_variables(state: State) -> None:
    told = environment(state)
    ports = state.ports()

    assert list(told) == [
        "AWS_ENDPOINT_URL_S3",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "SLUICE_BUCKET",
        "PGHOST",
        "PGPORT",
        "PGDATABASE",
        "PGUSER",
        "PGPASSWORD",
        "SPARK_REMOTE",
        "AIRFLOW_URL",
        "AIRFLOW_USERNAME",
        "AIRFLOW_PASSWORD",
    ]
    assert told["AWS_ENDPOINT_URL_S3"] == f"http://127.0.0.1:{ports['s3']}"
    assert told["SPARK_REMOTE"].startswith(f"sc://localhost:{ports['spark']}/;token=")
    assert environment(state) == told


def test_a_connection_of_the_users_own_wins(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SLUICE_S3", "aws://")

    assert airflow.environment(state)["AIRFLOW_CONN_SLUICE_S3"] == "aws://"
    assert airflow.environment(state)["AIRFLOW_CONN_SLUICE_LEDGER"] != "aws://"


def test_a_fresh_airflow_runs_nothing_that_nobody_unpaused(state: State) -> None:
    assert airflow.environment(state)["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "True"


def test_the_doctor_says_what_to_do_about_a_secret_others_can_read(state: State) -> None:
    environment(state)
    secret = state.root / "secrets" / "s3_secret_key"
    secret.chmod(0o644)

    found = next(finding for finding in examine(state, []) if finding.check == "secret files")

    assert found.verdict is Verdict.WRONG
    assert found.remedy == f"chmod 600 {secret}"
    secret.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert next(finding for finding in examine(state, []) if finding.check == "secret files").verdict is Verdict.FINE


def test_the_doctor_of_a_fresh_checkout_says_how_to_begin(state: State) -> None:
    findings = list(examine(state, []))

    assert findings[-1].check == "services"
    assert findings[-1].remedy == "run `sluice up`"
    assert not state.exists
