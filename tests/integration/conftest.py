"""Services for the tests: all of them, once a session, in a state directory of their own, from nothing.

A developer who names running services with SLUICE_TEST_STATE (such as `.sluice`) saves the minute they take; tests that kill or move
services are skipped then. SLUICE_TEST_S3 is the address of another S3 than the embedded one, whose keys AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY are; Spark is then one of the test's own process, since the embedded server knows one store only.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

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
ANOTHER_S3 = (
    {
        "AWS_ENDPOINT_URL_S3": os.environ["SLUICE_TEST_S3"],
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        "SPARK_REMOTE": "local[2]",
    }
    if os.environ.get("SLUICE_TEST_S3")
    else {}
)


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
    """`.sluice/test`; while other sessions have that, `.sluice/test-2` and so on."""
    folder = PROJECT / ".sluice"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in itertools.chain(["test"], map("test-{}".format, itertools.count(2))):
        with (folder / f"{name}.lock").open("w") as lock:
            if _locked(lock):
                yield folder / name
                return


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.fixture(scope="session")
def services(state: State) -> dict[str, str]:
    """Running services, as the variables that `sluice env` prints. Tests that restart services keep it current."""
    bring_up(state, (Postgres(state),) if ANOTHER_S3 else without_airflow(state))
    return environment(state) | ANOTHER_S3


@pytest.fixture(scope="session")
def with_airflow(services: dict[str, str], state: State) -> dict[str, str]:
    """Airflow too. Tests that want it come last, so that it does not take its share of the machine from all others."""
    assert services
    if ANOTHER_S3:
        pytest.skip("the embedded Airflow knows the embedded store alone")
    bring_up(state, all_services(state))
    return environment(state)


@pytest.fixture(scope="session")
def stores(state: State) -> dict[str, str]:
    """PostgreSQL and S3 alone, for tests that need no others."""
    bring_up(state, (Postgres(state),) if ANOTHER_S3 else (Postgres(state), S3Proxy(state)))
    return environment(state) | ANOTHER_S3


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


@pytest.fixture(scope="module")
def apart(services: dict[str, str], database: str) -> dict[str, str]:
    """Running services with the database of this session's tests in place of the ledger's."""
    return services | {"PGDATABASE": database}


@pytest.fixture
def own_services(services: dict[str, str]) -> dict[str, str]:
    """Services that a test may kill."""
    if REUSED or ANOTHER_S3:
        pytest.skip("services that a developer uses are not killed")
    return services
