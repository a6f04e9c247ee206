"""What each of Airflow's roles and each of the ledger's may do on the running deployment, and what they are refused."""

from __future__ import annotations

from typing import Any

import requests

from deploy.trial.deployment import Deployment
from deploy.trial.main_job import psql

_SECONDS = 30
DAG = "transactions_ingest"
# (method, path, body): the answer's status for Admin, Op, Viewer, and for nobody.
ASKED: tuple[tuple[str, str, Any, tuple[int, int, int, int]], ...] = (
    ("GET", "/api/v2/dags", None, (200, 200, 200, 401)),
    ("GET", f"/api/v2/dags/{DAG}/dagRuns", None, (200, 200, 200, 401)),
    ("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False}, (200, 200, 403, 401)),
    ("POST", "/api/v2/dags/data_docs/dagRuns", {"logical_date": None}, (200, 200, 403, 401)),
    ("GET", "/api/v2/connections", None, (200, 200, 403, 401)),
    ("GET", "/api/v2/variables", None, (200, 200, 403, 401)),
    ("POST", "/api/v2/variables", {"key": "made", "value": "by the trial"}, (201, 409, 403, 401)),
    ("DELETE", "/api/v2/variables/made", None, (204, 404, 403, 401)),
    ("GET", "/auth/fab/v1/users", None, (200, 403, 403, 401)),
)


def airflow(deployment: Deployment) -> int:
    """Log in as each role and ask; how many answers were as they must be."""
    sessions = [_logged_in(deployment, name) for name in ("admin", "op", "viewer")] + [requests.Session()]
    wrong = requests.post(f"{deployment.url}/auth/token", json={"username": "admin", "password": "admin"}, timeout=_SECONDS)
    assert wrong.status_code == 401, f"a wrong password is answered {wrong.status_code}"
    for method, path, body, expected in ASKED:
        found = tuple(session.request(method, deployment.url + path, json=body, timeout=_SECONDS).status_code for session in sessions)
        assert found == expected, f"{method} {path}: {found} for Admin, Op, Viewer and nobody, and not {expected}"
    return 1 + len(ASKED) * len(sessions)


def _logged_in(deployment: Deployment, name: str) -> requests.Session:
    login = {"username": name, "password": deployment.secret(f"airflow_{name}_password")}
    answer = requests.post(f"{deployment.url}/auth/token", json=login, timeout=_SECONDS)
    assert answer.ok, f"{name} cannot log in: {answer.status_code} {answer.text[:200]}"
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


def ledger(deployment: Deployment) -> int:
    """The same for the database's roles; the whole list is tests/integration/test_roles.py."""
    refused = {"reader": "delete from feed_source", "ingest": "delete from file_event", "ui": "update detection set action_type = ''"}
    for role, statement in refused.items():
        assert psql(deployment, role, "select count(*) > 0 from file").stdout == "t\n"
        answer = psql(deployment, role, statement)
        assert "permission denied" in answer.stderr, f"{role} may {statement}: {answer.stderr}"
    return 2 * len(refused)


def networks(deployment: Deployment) -> int:
    """What is not to talk to each other cannot: Spark knows no ledger, and nothing but the api-server has a way out."""
    for service, host, port in (
        ("spark-worker-1", "postgres", 5432),
        ("spark-connect", "postgres", 5432),
        ("spark-worker-1", "airflow-api-server", 8080),
    ):
        program = f"import socket; socket.create_connection(('{host}', {port}), 3)"
        done = deployment.compose("exec", "--no-TTY", service, "python", "-c", program, check=False, capture_output=True)
        assert done.returncode != 0, f"{service} reaches {host}:{port}"
    return 3
