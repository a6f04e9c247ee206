"""Detached processes: started in a session of their own, recognised again by pid and creation time, stopped with all their children."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from sluice.services.state import State

CLOCK_SLACK = 2.0  # seconds that the kernel's boot time, and with it every creation time, may move when the clock is set
LOG_LIMIT = 20 * 1024 * 1024


@dataclass(frozen=True)
class Launch:
    """What is started: the command, what it adds to a clean environment, and whom it runs as."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    user: int | None = None
    depends_on: Sequence[str] = ()
    """Texts that change what the process does and are not in its command, such as a configuration file."""

    @property
    def fingerprint(self) -> str:
        """Differs when a running process was started otherwise than it would be now."""
        launch_text = json.dumps([list(self.command), sorted(self.environment.items()), list(self.depends_on)])
        return hashlib.sha256(launch_text.encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """A pid file. A pid alone may have been given to another process since; with its creation time it may not."""

    pid: int
    created: float
    fingerprint: str


def clean_environment() -> dict[str, str]:
    """The user's environment without what would lead a service to other servers, such as another checkout's `sluice env`."""
    ours = ("AIRFLOW_", "SPARK_", "PYSPARK_", "PG", "AWS_", "GX_", "SLUICE_", "PYTHONPATH", "PYTHONHOME", "JAVA_TOOL_OPTIONS")
    kept = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")
    return {name: value for name, value in os.environ.items() if name.startswith(kept) or not name.startswith(ours)}


def start(state: State, service: str, launch: Launch) -> psutil.Process:
    """Start a service detached from this terminal; its output goes to its log."""
    log = state.log(service)
    if log.is_file() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        output.write(f"--- {time.strftime('%Y-%m-%dT%H:%M:%S%z')} sluice starts {service}\n".encode())
        output.flush()
        child = subprocess.Popen(
            list(launch.command),
            cwd=launch.folder,
            env=clean_environment() | dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=launch.user,
            group=launch.user,
            extra_groups=None if launch.user is None else [],
        )
    process = psutil.Process(child.pid)
    child.returncode = 0  # it outlives us on purpose: without this Python warns of a child nobody waits for
    record = Record(process.pid, process.create_time(), launch.fingerprint)
    state.write_private(state.pid_file(service), json.dumps(asdict(record)))
    return process


def read_record(state: State, service: str) -> Record | None:
    """What the pid file says, whether or not that process still lives."""
    path = state.pid_file(service)
    if not path.is_file():
        return None
    try:
        return Record(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        return None  # not written by us, so not a process of ours


def running(state: State, service: str) -> psutil.Process | None:
    """The living process of a service; a stale pid file, a zombie or a stranger with the same pid is none."""
    record = read_record(state, service)
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        lives = is_same(record, process.create_time()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if lives else None


def is_same(record: Record, created: float) -> bool:
    """Whether a process created at that time is the recorded one."""
    return abs(record.created - created) <= CLOCK_SLACK


def family(state: State, service: str) -> list[psutil.Process]:
    """The service's process, its descendants, and whatever else is left of its session when the process itself is gone."""
    record = read_record(state, service)
    if record is None:
        return []
    leader = running(state, service)
    if leader is None and psutil.pid_exists(record.pid) and not _is_zombie(record.pid):
        return []  # the pid is a stranger's now, and so is the session of that number
    members = {leader.pid: leader} if leader else {}
    for process in psutil.process_iter():
        if _session(process.pid) == record.pid and not _is_zombie(process.pid):
            members[process.pid] = process
    with suppress(psutil.NoSuchProcess):  # gone meanwhile, and its children are of its session
        for child in leader.children(recursive=True) if leader else ():
            members[child.pid] = child
    return list(members.values())


def memory(processes: Sequence[psutil.Process]) -> int:
    """Bytes these processes cost together: each shared page counted once among those that share it (PSS)."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or one of another user's, which has no figure for us
    return total


def stop(state: State, service: str, polite: signal.Signals, timeout_seconds: float, *, children_too: bool = False) -> int:
    """Stop a service and all its children, politely first; returns how many processes had to be killed."""
    members = family(state, service)
    leader = running(state, service)
    if leader is not None:
        for process in members if children_too else [leader]:
            _send(process, polite)
        _wait([leader], timeout_seconds)
    known = {process.pid for process in members}
    members += [process for process in family(state, service) if process.pid not in known]
    killed = end(members, 1.0 if leader else 0.0)
    state.pid_file(service).unlink(missing_ok=True)
    return killed


def end(processes: Sequence[psutil.Process], timeout_seconds: float) -> int:
    """Wait for the end of processes and kill those that are there still; how many had to be killed."""
    _, alive = _wait(processes, timeout_seconds)
    for process in alive:
        _send(process, signal.SIGKILL)
    _wait(alive, 10.0)
    return len(alive)


def _wait(processes: Sequence[psutil.Process], seconds: float) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Wait for the end of processes; a zombie (its parent does not reap it) has ended."""
    until = time.monotonic() + seconds
    while True:
        alive = [process for process in processes if process.is_running() and not _is_zombie(process.pid)]
        if not alive or time.monotonic() >= until:
            return [process for process in processes if process not in alive], alive
        psutil.wait_procs(alive, timeout=0.05)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
