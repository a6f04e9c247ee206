"""`sluice up`, `down` and `status`: all services together, each started as soon as what it needs is healthy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from include.errors import SluiceError
from sluice.services import process
from sluice.services.errors import ServiceFailed, SeveralFailed, Unhealthy
from sluice.services.service import Service
from sluice.services.state import State, is_free

Log = Callable[[str], None]
POLL = 0.1
WAS_RUNNING = "was running"


@dataclass(frozen=True)
class Started:
    """How a service came up: `seconds` from its own start (or the check of a running one) to its health."""

    name: str
    how: str
    port: int | None
    pid: int
    seconds: float


@dataclass(frozen=True)
class Status:
    """One line of `sluice status`."""

    service: str
    state: str
    pid: int | None = None
    port: int | None = None
    uptime_seconds: int | None = None
    memory_bytes: int | None = None
    problem: str = ""


@dataclass
class _Progress:
    """What the starting threads tell each other: who is healthy, and whether anyone has failed."""

    healthy: dict[str, threading.Event]
    failed: threading.Event = field(default_factory=threading.Event)


class Abandoned(Exception):
    """A service was not started because another one failed first; the other one's error is what a person sees."""


def bring_up(state: State, services: Sequence[Service], log: Log = print) -> list[Started]:
    """Start what is not running, repair what is broken, and wait until everything is healthy.

    Raises:
        ServiceFailed: A service could not be started or did not become healthy; the others stay up.
    """
    with state.locked(waiting=lambda: log("another `sluice up` or `down` is at work; waiting for it")):
        for service in services:
            choose_port(state, service, log)
        progress = _Progress({service.name: threading.Event() for service in services})
        with ThreadPoolExecutor(len(services)) as pool:
            futures = [pool.submit(_bring_up_one, state, service, progress, log) for service in services]
        errors = [error for future in futures if (error := future.exception()) is not None]
        failures = [error for error in errors if isinstance(error, SluiceError)]
        unexpected = [error for error in errors if not isinstance(error, (SluiceError, Abandoned))]
        if unexpected:
            raise unexpected[0]
        if failures:
            raise failures[0] if len(failures) == 1 else SeveralFailed(failures)
        return [future.result() for future in futures]


def choose_port(state: State, service: Service, log: Log) -> None:
    """Move a stopped service whose port is another program's now."""
    if service.port_name is None or service.port is None or is_free(service.port) or process.running(state, service.name):
        return
    _stop_family(state, service)  # a child left by a killed service may be what holds the port
    if not is_free(service.port):
        taken = service.port
        log(f"{service.name}: port {taken} is taken by another program; using {state.move_port(service.port_name)} from now on")


def take_down(state: State, services: Sequence[Service], log: Log = print) -> int:
    """Stop everything in the reverse order of its needs, children too; returns how many services were running."""
    with state.locked(waiting=lambda: log("another `sluice up` or `down` is at work; waiting for it")):
        stopped = 0
        for layer in reversed(_layers(services)):
            with ThreadPoolExecutor(len(layer)) as pool:
                stopped += sum(pool.map(lambda service: _stop_one(state, service, log), layer))
        return stopped


def statuses(state: State, services: Sequence[Service]) -> list[Status]:
    """The state of each service as it is now, probed all at once."""
    with ThreadPoolExecutor(len(services)) as pool:
        return list(pool.map(lambda service: _look_at(state, service), services))


def _look_at(state: State, service: Service) -> Status:
    leader = process.running(state, service.name)
    if leader is None:
        died = process.read_record(state, service.name) is not None
        return Status(service.name, "died" if died else "stopped", port=service.port, problem="run `sluice up`" if died else "")
    members = process.family(state, service.name)
    problem = _problem(service)
    return Status(
        service.name,
        "unhealthy" if problem else "healthy",
        pid=leader.pid,
        port=service.port,
        uptime_seconds=int(time.time() - leader.create_time()),
        memory_bytes=process.memory(members),
        problem=problem,
    )


def _problem(service: Service) -> str:
    try:
        service.probe()
    except Unhealthy as unhealthy:
        return str(unhealthy).partition("\n")[0]
    return ""


def _stop_one(state: State, service: Service, log: Log) -> bool:
    was_running = process.running(state, service.name) is not None
    begun = time.monotonic()
    killed = _stop_family(state, service)
    if was_running:
        log(f"{service.name}: stopped in {time.monotonic() - begun:.1f} s" + (f" ({killed} processes had to be killed)" if killed else ""))
    return was_running


def _stop_family(state: State, service: Service) -> int:
    killed = sum(process.stop(state, helper, service.polite, 0) for helper in service.helpers)
    return killed + process.stop(state, service.name, service.polite, service.stop_timeout, children_too=service.polite_to_children)


def _bring_up_one(state: State, service: Service, progress: _Progress, log: Log) -> Started:
    try:
        _await_needs(service, progress)
        started = _start_and_wait(state, service, log)
    except BaseException:
        progress.failed.set()
        raise
    progress.healthy[service.name].set()
    return started


def _await_needs(service: Service, progress: _Progress) -> None:
    for need in service.needs:
        while need in progress.healthy and not progress.healthy[need].wait(POLL):
            if progress.failed.is_set():
                raise Abandoned(service.name)


def _start_and_wait(state: State, service: Service, log: Log) -> Started:
    begun = time.monotonic()
    launch = service.launch()
    how = _why_to_start(state, service, launch)
    if how is None and not _answers(state, service):
        how = "restarted (it did not answer)"
    if how is not None:
        _stop_family(state, service)
        service.prepare()
        process.start(state, service.name, launch)
        _await_health(state, service)
    service.provision()
    leader = process.running(state, service.name)
    if leader is None:
        raise ServiceFailed(service.name, "ended right after it had become healthy", state.log(service.name))
    seconds = time.monotonic() - begun
    log(f"{service.name}: {how or WAS_RUNNING}, healthy after {seconds:.1f} s")
    return Started(service.name, how or WAS_RUNNING, service.port, leader.pid, seconds)


def _why_to_start(state: State, service: Service, launch: process.Launch) -> str | None:
    """In the words `up` tells it; None when the right process is running."""
    record = process.read_record(state, service.name)
    if record is None:
        return "started"
    if process.running(state, service.name) is None:
        return "repaired (it had died)"
    return None if record.fingerprint == launch.fingerprint else "restarted with new settings"


def _answers(state: State, service: Service) -> bool:
    """Whether a process that was there already becomes healthy; it may be busy, hung, or about to end."""
    until = time.monotonic() + service.answer_timeout
    while time.monotonic() < until and process.running(state, service.name) is not None:
        try:
            service.probe()
        except Unhealthy:
            time.sleep(POLL)
        else:
            return True
    return False


def _await_health(state: State, service: Service) -> None:
    begun = time.monotonic()
    answer = "no answer yet"
    while time.monotonic() - begun < service.start_timeout:
        if process.running(state, service.name) is None:
            raise ServiceFailed(service.name, "ended while it was starting", state.log(service.name))
        try:
            return service.probe()
        except Unhealthy as unhealthy:
            answer = str(unhealthy)
        time.sleep(POLL)
    raise ServiceFailed(service.name, f"not healthy after {service.start_timeout:.0f} s ({answer})", state.log(service.name))


def _layers(services: Sequence[Service]) -> list[list[Service]]:
    """Services grouped so that each group needs only earlier ones."""
    layers: list[list[Service]] = []
    placed: set[str] = set()
    waiting = list(services)
    while waiting:
        layer = [service for service in waiting if placed.issuperset(set(service.needs) & {other.name for other in services})]
        if not layer:
            raise ValueError(f"services need each other in a circle: {[service.name for service in waiting]}")
        layers.append(layer)
        placed |= {service.name for service in layer}
        waiting = [service for service in waiting if service.name not in placed]
    return layers
