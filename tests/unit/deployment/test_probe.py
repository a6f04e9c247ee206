"""Health of containers: asked of real servers, quick, and with nothing but the standard library."""

from __future__ import annotations

import configparser
import ipaddress
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from sluice.deployment import probe
from sluice.services.state import PROJECT
from tests.http_server import Site, served

PROBE = PROJECT / "sluice" / "deployment" / "probe.py"
HEALTH = {"metadatabase": {"status": "healthy"}, "triggerer": {"status": "unhealthy"}, "dag_processor": {"status": None}}
CONNECTED = "  sl  local_address rem_address   st\n   0: 0B00007F:A1C4 0C00007F:18EB 01 00000000:00000000\n"


def answering(status: int, body: bytes) -> Site:
    return Site(answers=lambda *_: (status, {}, body))


def at(site: Site) -> tuple[str, int]:
    parts = urlsplit(site.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@pytest.mark.parametrize(
    ("status", "body", "name", "healthy"),
    [
        (200, json.dumps(HEALTH).encode(), "metadatabase", True),
        (200, json.dumps(HEALTH).encode(), "triggerer", False),
        (200, json.dumps(HEALTH).encode(), "dag_processor", False),
        (200, json.dumps(HEALTH).encode(), "scheduler", False),
        (500, json.dumps(HEALTH).encode(), "metadatabase", False),
        (200, b"<html>", "metadatabase", False),
    ],
)
def test_a_component_is_as_airflow_says(status: int, body: bytes, name: str, healthy: bool) -> None:
    with served(answering(status, body)) as site:
        assert probe.component_is_healthy(name, *at(site)) is healthy
        assert site.asked == [("/api/v2/monitor/health", None)]


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False)])
def test_the_scheduler_answers_for_itself(status: int, healthy: bool) -> None:
    with served(answering(status, b"")) as site:
        assert probe.scheduler_is_healthy(*at(site)) is healthy
        assert site.asked == [("/health", None)]
        gone = at(site)
    assert probe.scheduler_is_healthy(*gone) is False


@pytest.mark.parametrize(
    ("table", "connected"),
    [
        (CONNECTED, True),
        (CONNECTED.replace(" 01 ", " 06 "), False),
        (CONNECTED.replace("0C00007F:18EB", "0C00007F:1538"), False),
        (CONNECTED.replace("A1C4 0C00007F:18EB", "18EB 0C00007F:A1C4"), False),
    ],
)
def test_a_worker_is_healthy_while_it_is_connected_to_the_queue(tmp_path: Path, table: str, connected: bool) -> None:
    (tmp_path / "tcp").write_text(table)
    assert probe.worker_is_connected((tmp_path / "tcp6", tmp_path / "tcp")) is connected


def probes() -> dict[str, list[str]]:
    services: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())["services"]
    return {name: service["healthcheck"]["test"] for name, service in services.items() if "healthcheck" in service}


def test_every_probe_of_airflow_is_a_bare_python_on_a_file_that_knows_what_it_is_asked() -> None:
    asked = {name: test for name, test in probes().items() if name.startswith("airflow-")}
    assert {name: test[-1] for name, test in asked.items()} == {
        "airflow-api-server": "metadatabase",
        "airflow-scheduler": "scheduler",
        "airflow-dag-processor": "dag_processor",
        "airflow-triggerer": "triggerer",
        "airflow-worker": "worker",
    }
    for test in asked.values():
        assert test[:-1] == ["CMD", "python", "-IS", "/opt/sluice/sluice/deployment/probe.py"]
        done = subprocess.run([sys.executable, "-IS", "-X", "importtime", PROBE, test[-1]], capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, "it answers, whatever this machine runs"
        assert not re.search(r"\| +(airflow|sluice|psutil|pyspark|grpc)\b", done.stderr)


@pytest.mark.parametrize(
    ("what", "health", "code"), [("metadatabase", 200, 0), ("triggerer", 200, 1), ("scheduler", 200, 0), ("scheduler", 503, 1)]
)
def test_the_exit_code_is_what_the_one_who_was_asked_says(what: str, health: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(answering(health, json.dumps(HEALTH).encode())) as site:
        monkeypatch.setitem(probe.ADDRESSES, what, at(site))
        assert probe.main(what) == code


@pytest.mark.parametrize(("table", "code"), [(CONNECTED, 0), ("", 1)])
def test_the_exit_code_of_a_worker_is_whether_it_is_connected(
    tmp_path: Path, table: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tcp").write_text(table)
    monkeypatch.setattr(probe, "CONNECTIONS", (tmp_path / "tcp",))
    assert probe.main("worker") == code


def test_the_scheduler_serves_its_health_where_the_probe_asks_and_to_nobody_else() -> None:
    told = configparser.ConfigParser(interpolation=None)
    told.read(PROJECT / "deploy" / "airflow.cfg")
    assert told.getboolean("scheduler", "enable_health_check")
    assert ipaddress.ip_address(told["scheduler"]["scheduler_health_check_server_host"]).is_loopback
    assert told.getint("scheduler", "scheduler_health_check_server_port") == probe.SCHEDULER_PORT
