"""What each of Airflow's roles and each of the ledger's may do on the running deployment, and what they are refused."""

from __future__ import annotations

from typing import Any

import requests

from sluice.main_job.airflow_api import AirflowApi
from tools.trial.deployment import Deployment
from tools.trial.main_job import psql

_SECONDS = 30
_RUN_SECONDS = 120
DAG = "transactions_ingest"
# (method, path, body): the answer's status for Admin, Op, Viewer, and for nobody.
REQUESTS: tuple[tuple[str, str, Any, tuple[int, int, int, int]], ...] = (
    ("GET", "/api/v2/dags", None, (200, 200, 200, 401)),
    ("GET", f"/api/v2/dags/{DAG}/dagRuns", None, (200, 200, 200, 401)),
    ("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False}, (200, 200, 403, 401)),
    ("POST", "/api/v2/dags/data_docs/dagRuns", {"logical_date": None}, (200, 200, 403, 401)),
    ("GET", "/api/v2/connections", None, (200, 200, 403, 401)),
    ("GET", "/api/v2/variables", None, (200, 200, 403, 401)),
    ("POST", "/api/v2/variables", {"key": "made", "value": "by the compose smoke test"}, (201, 409, 403, 401)),
    ("DELETE", "/api/v2/variables/made", None, (204, 404, 403, 401)),
    ("GET", "/auth/fab/v1/users", None, (200, 403, 403, 401)),
)


def airflow(deployment: Deployment) -> int:
    """Log in as each role and ask; how many answers were as they must be."""
    clients = [deployment.airflow(user) for user in ("admin", "op", "viewer")]
    wrong = AirflowApi(deployment.url, "admin", "admin").log_in()
    assert wrong.status_code == 401, f"a wrong password is answered {wrong.status_code}"
    for method, path, body, expected in REQUESTS:
        nobody = requests.request(method, deployment.url + path, json=body, timeout=_SECONDS)
        found = (*(client.send(method, path, json=body).status_code for client in clients), nobody.status_code)
        assert found == expected, f"{method} {path}: {found} for Admin, Op, Viewer and nobody, and not {expected}"
    return 1 + sum(len(expected) for *_, expected in REQUESTS)


# What an Op may trigger and not have read to him.
_REFERENCE = "transactions_reference"
HOSTILE = (
    "/run/secrets/airflow_connections.json",
    "/proc/self/environ",
    "/input/../run/secrets/airflow_fernet_key",
    "http://s3:9000/sluice/",
    "http://169.254.169.254/latest/meta-data/",
    "http://airflow-api-server:8080/api/v2/version",
    "file:///run/secrets/airflow_jwt_secret",
    "s3://sluice/error/sales/x.csv",
)


def inputs(deployment: Deployment) -> int:
    """As Op, let a DAG read what it must not: each run fails, and its log says why and nothing of what lies there."""
    op = deployment.airflow("op")
    op.unpause(_REFERENCE)
    signed = op.ask_for_run(_REFERENCE, {"source": "https://b.example/a.csv?X-Amz-Signature=s"})
    assert signed.status_code in {400, 422}, "a signature is kept with a run"
    for source in HOSTILE:
        run = op.trigger(_REFERENCE, source=source)
        assert op.await_end(_REFERENCE, run, _RUN_SECONDS)["state"] == "failed", f"{source} was read"
        log = op.log(_REFERENCE, run, "load")
        assert "nothing was read" in log or "a source is a path" in log, f"{source}: {log[-500:]}"
    return 1 + len(HOSTILE)


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
