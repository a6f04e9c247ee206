"""Detached processes: recognised again, and stopped with their children."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sluice.services import process
from sluice.services.process import Launch, Record
from sluice.services.state import State

PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "state")
    yield state
    process.stop(state, "it", signal.SIGKILL, 5)


def launch(code: str, **environment: str) -> Launch:
    return Launch([sys.executable, "-c", code], environment, Path("/"))


def eventually(holds: Callable[[], bool], seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def gone(members: list[psutil.Process]) -> bool:
    return all(not member.is_running() or member.status() == psutil.STATUS_ZOMBIE for member in members)


def test_a_started_process_is_recognised_and_its_output_is_in_its_log(state: State) -> None:
    started = process.start(state, "it", launch("print('hello', flush=True); import time; time.sleep(600)"))

    found = process.running(state, "it")
    assert found is not None
    assert found.pid == started.pid
    assert os.getsid(started.pid) == started.pid
    assert eventually(lambda: "hello" in state.log("it").read_text())


def test_stopping_ends_the_children_too(state: State) -> None:
    process.start(state, "it", launch(PARENT))
    assert eventually(lambda: len(process.family(state, "it")) == 2)
    members = process.family(state, "it")

    process.stop(state, "it", signal.SIGTERM, 5)

    assert gone(members)
    assert process.read_record(state, "it") is None


def test_what_a_killed_process_leaves_behind_is_still_found_and_stopped(state: State) -> None:
    leader = process.start(state, "it", launch(PARENT))
    assert eventually(lambda: len(process.family(state, "it")) == 2)
    members = process.family(state, "it")

    leader.kill()
    leader.wait(10)

    assert process.running(state, "it") is None
    assert [member.pid for member in process.family(state, "it")] == [member.pid for member in members if member.pid != leader.pid]
    assert process.stop(state, "it", signal.SIGTERM, 5) == 1
    assert gone(members)


def test_one_that_does_not_listen_is_killed_when_patience_ends(state: State) -> None:
    process.start(state, "it", launch(DEAF))
    assert eventually(lambda: "deaf" in state.log("it").read_text())
    members = process.family(state, "it")

    assert process.stop(state, "it", signal.SIGTERM, 0.2) == 1
    assert gone(members)


@pytest.mark.parametrize(
    ("created_earlier", "runs"),
    [(0.0, True), (1.0, True), (-1.0, True), (60.0, False), (-60.0, False)],
    ids=["the same", "the clock was set by a second", "or back by one", "an older one's pid", "a younger one's pid"],
)
def test_a_pid_counts_only_with_its_creation_time(state: State, created_earlier: float, runs: bool) -> None:
    me = psutil.Process()
    record = {"pid": me.pid, "created": me.create_time() - created_earlier, "fingerprint": ""}
    state.write_private(state.pid_file("someone"), json.dumps(record))

    assert (process.running(state, "someone") is not None) is runs
    if not runs:
        assert process.family(state, "someone") == []


@pytest.mark.parametrize("written", ["", "no json", "{}", '{"pid": 1}'])
def test_a_pid_file_that_is_not_ours_is_nobody(state: State, written: str) -> None:
    state.write_private(state.pid_file("someone"), written)

    assert process.read_record(state, "someone") is None
    assert process.running(state, "someone") is None
    assert process.stop(state, "someone", signal.SIGTERM, 0) == 0


def test_a_process_that_has_ended_is_not_running(state: State) -> None:
    process.start(state, "it", launch("pass")).wait(20)

    assert process.running(state, "it") is None
    assert isinstance(process.read_record(state, "it"), Record)


@pytest.mark.parametrize(
    "other",
    [
        Launch(["a", "c"], {"X": "1"}, Path("/")),
        Launch(["a", "b"], {"X": "2"}, Path("/")),
        Launch(["a", "b"], {"X": "1"}, Path("/"), depends_on=["a file"]),
    ],
    ids=["command", "environment", "what it reads"],
)
def test_a_launch_is_told_from_one_that_differs_in(other: Launch) -> None:
    one = Launch(["a", "b"], {"X": "1"}, Path("/"))

    assert other.fingerprint != one.fingerprint
    assert one.fingerprint == Launch(["a", "b"], {"X": "1"}, Path("/elsewhere")).fingerprint


def test_services_do_not_inherit_what_leads_to_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "PGHOST", "SPARK_REMOTE", "AIRFLOW_HOME", "PYTHONPATH", "AIRFLOW_CONN_SLUICE_S3", "LANGUAGE"):
        monkeypatch.setenv(name, "x")

    inherited = process.clean_environment()

    assert {"AIRFLOW_CONN_SLUICE_S3", "LANGUAGE", "PATH"} <= set(inherited)
    assert not {"AWS_ENDPOINT_URL_S3", "PGHOST", "SPARK_REMOTE", "AIRFLOW_HOME", "PYTHONPATH"} & set(inherited)


def test_memory_is_counted_once_for_a_family(state: State) -> None:
    process.start(state, "it", launch(PARENT))
    assert eventually(lambda: len(process.family(state, "it")) == 2)

    members = process.family(state, "it")
    assert 2_000_000 < process.memory(members) < sum(member.memory_info().rss for member in members)
