"""Health of a container, as an exit code.

probe.py metadatabase | scheduler | dag_processor | triggerer | worker | spark

Asked every half minute of every container: all but `spark` need only the standard library, so that `python -IS` answers in 0.03 s.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

SCHEDULER_PORT, API_PORT = 8974, 8080
# Whom to ask about each: the api-server answers for itself, and knows the heartbeats of those that serve nothing.
ADDRESSES = {
    "metadatabase": ("localhost", API_PORT),
    "scheduler": ("localhost", SCHEDULER_PORT),
    "dag_processor": ("airflow-api-server", API_PORT),
    "triggerer": ("airflow-api-server", API_PORT),
}
CONNECTIONS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_QUEUE_PORT = 6379
_ESTABLISHED = "01"
_SECONDS = 10


def component_is_healthy(name: str, host: str, port: int) -> bool:
    """What Airflow's own health endpoint says of one of its components."""
    status, body = _got(host, port, "/api/v2/monitor/health")
    try:
        health = json.loads(body) if status == 200 else {}
    except ValueError:
        return False
    return bool(health.get(name, {}).get("status") == "healthy")


def scheduler_is_healthy(host: str, port: int) -> bool:
    """What the scheduler's own server says of its heartbeat, whether or not there is an api-server."""
    return _got(host, port, "/health")[0] == 200


def worker_is_connected(tables: Iterable[Path]) -> bool:
    """Whether this container, and in it the Celery worker, has a connection to the queue."""
    to_queue = re.compile(rf"^\s*\d+: \w+:\w+ \w+:{_QUEUE_PORT:04X} {_ESTABLISHED} ", re.MULTILINE)
    return any(to_queue.search(table.read_text()) for table in tables if table.is_file())


def spark_counts(address: str) -> bool:
    """Whether the Connect server runs a job on its cluster."""
    import grpc

    from sluice.environments import with_secret_files
    from sluice.services.spark import count_range

    token = with_secret_files(os.environ).get("SPARK_CONNECT_AUTHENTICATE_TOKEN")
    try:
        return count_range(address, token, _SECONDS * 2.0) > 0
    except grpc.RpcError:
        return False


def _got(host: str, port: int, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()


def main(what: str) -> int:
    """0 = healthy."""
    if what == "spark":
        well = spark_counts("localhost:15002")
    elif what == "worker":
        well = worker_is_connected(CONNECTIONS)
    elif what == "scheduler":
        well = scheduler_is_healthy(*ADDRESSES[what])
    else:
        well = component_is_healthy(what, *ADDRESSES[what])
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
