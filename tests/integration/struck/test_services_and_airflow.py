"""All seven services as a whole: left alone where they run, repaired whatever was killed, gone when they are taken down."""

from __future__ import annotations

import socket
from collections.abc import Callable

import psutil
import pytest

from sluice.services import process
from sluice.services.catalogue import all_services
from sluice.services.environment import environment
from sluice.services.state import State
from sluice.services.supervisor import bring_up, statuses, take_down
from tests.integration.struck.repair import kept, kill, lives, problems, quiet

__all__ = ["kept"]  # a fixture

NAMES = ("postgres", "s3", "spark", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


@pytest.fixture(scope="module", autouse=True)
def all_are_up(with_airflow: dict[str, str]) -> None:
    """These tests ask about every service."""
    assert with_airflow


def members(state: State) -> list[psutil.Process]:
    """Every process of every service, children too."""
    return [member for name in NAMES for member in process.family(state, name)]


def test_a_killed_scheduler_is_repaired_and_what_runs_is_left_alone(state: State) -> None:
    before = {name: process.read_record(state, name) for name in NAMES}
    killed = kill(state, "airflow-scheduler")

    repaired = {one.name: one for one in bring_up(state, all_services(state), quiet)}

    scheduler = repaired.pop("airflow-scheduler")
    assert (scheduler.how, scheduler.pid != killed) == ("repaired (it had died)", True)
    assert {one.how for one in repaired.values()} == {"was running"}
    assert {name: process.read_record(state, name) for name in repaired} == {name: before[name] for name in repaired}


def test_after_kill_9_of_everything_up_repairs_everything(state: State, kept: Callable[[], bool]) -> None:
    for name in NAMES:
        kill(state, name)

    repaired = bring_up(state, all_services(state), quiet)

    assert {one.how for one in repaired} == {"repaired (it had died)"}
    assert kept()
    assert problems(state, all_services(state)) == []


def test_down_leaves_no_process_and_up_goes_on_although_a_port_was_taken(
    services: dict[str, str], state: State, kept: Callable[[], bool]
) -> None:
    running = members(state)
    take_down(state, all_services(state), quiet)
    assert [member for member in running if lives(member)] == []
    assert [one.state for one in statuses(state, all_services(state))] == ["stopped"] * len(NAMES)
    taken = {name: state.port(name) for name in ("postgres", "s3")}
    told: list[str] = []

    with socket.create_server(("127.0.0.1", taken["postgres"])), socket.create_server(("127.0.0.1", taken["s3"])):
        bring_up(state, all_services(state), told.append)

    services.update(environment(state))
    assert kept()
    for name, port in taken.items():
        assert f"{name}: port {port} is taken by another program; using {state.port(name)} from now on" in told
    assert problems(state, all_services(state)) == []
