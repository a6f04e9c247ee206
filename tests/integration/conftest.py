"""Services for the tests: all of them, once a session, in a state directory of their own, from nothing.

A developer who names running services with SLUICE_TEST_STATE (such as `.sluice`) saves the minute they take; tests that kill or move
services are skipped then.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sluice.runtime import new_id
from sluice.services.catalogue import all_services, without_airflow
from sluice.services.environment import environment
from sluice.services.postgres import SUPERUSER, Postgres, connect
from sluice.services.s3proxy import S3Proxy
from sluice.services.state import LEDGER_USER, PROJECT, State
from sluice.services.supervisor import bring_up, take_down
from tests.integration.market import market
from tests.integration.shop import shop
from tests.integration.trade import trade
from tests.integration.world import world

__all__ = ["market", "shop", "trade", "world"]

REUSED = os.environ.get("SLUICE_TEST_STATE")


@pytest.fixture(scope="session")
def state() -> Iterator[State]:
    """The state directory of the tests."""
    if REUSED:
        yield from _told_to_the_command(State(Path(REUSED).resolve()))
        return
    with _folder_of_this_session() as folder:
        state = State(folder)
        take_down(state, all_services(state))  # what a killed test session left
        shutil.rmtree(state.root, ignore_errors=True)
        yield from _told_to_the_command(state)
        take_down(state, all_services(state))


def _told_to_the_command(state: State) -> Iterator[State]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_STATE", str(state.root))
        yield state


@contextmanager
def _folder_of_this_session() -> Iterator[Path]:
    """`.sluice/test`; while another session has it, a folder that goes away at the end."""
    folder = PROJECT / ".sluice"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "test.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            another = folder / f"test-{os.getpid()}"
            yield another
            shutil.rmtree(another)
        else:
            yield folder / "test"


@pytest.fixture(scope="session")
def services(state: State) -> dict[str, str]:
    """Running services, as the variables that `sluice env` prints. Tests that restart services keep it current."""
    bring_up(state, without_airflow(state))
    return environment(state)


@pytest.fixture(scope="session")
def with_airflow(services: dict[str, str], state: State) -> dict[str, str]:
    """Airflow too. Tests that want it come last, so that it does not take its share of the machine from all others."""
    assert services
    bring_up(state, all_services(state))
    return environment(state)


@pytest.fixture(scope="session")
def stores(state: State) -> dict[str, str]:
    """PostgreSQL and S3 alone, for tests that need no others."""
    bring_up(state, (Postgres(state), S3Proxy(state)))
    return environment(state)


@pytest.fixture(scope="session")
def database(stores: dict[str, str], state: State) -> Iterator[str]:
    """The database of this session's tests, one ledger at a time: a feed's results lie in a schema of a fixed name."""
    assert stores
    name = f"test_{new_id()}"
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        connection.execute(f"create database {name} owner {LEDGER_USER}".encode())
    yield name
    if REUSED:
        with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)".encode())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "with_airflow" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="module")
def apart(services: dict[str, str], database: str) -> dict[str, str]:
    """Running services with the database of this session's tests in place of the ledger's."""
    return services | {"PGDATABASE": database}


@pytest.fixture
def own_services(services: dict[str, str]) -> dict[str, str]:
    """Services that a test may kill."""
    if REUSED:
        pytest.skip("services that a developer uses are not killed")
    return services
