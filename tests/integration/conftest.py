"""Services for the tests: all of them, once a session, in a state directory of their own, from nothing.

A developer who names running services with SLUICE_TEST_STATE (such as `.sluice`) saves the minute they take; tests that kill or move
services are skipped then. SLUICE_TEST_S3 is the address of another S3 than the embedded one, whose keys AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY are; Spark is then one of the test's own process, since the embedded server knows one store only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.services.catalogue import all_services, without_airflow
from sluice.services.environment import environment
from sluice.services.postgres import Postgres
from sluice.services.s3proxy import S3Proxy
from sluice.services.state import State
from tests.conftest import STATE
from tests.integration.market import market
from tests.integration.shop import shop
from tests.integration.snapshots import begin, snapshots
from tests.integration.stack import REUSED, bring_up_once, own_database
from tests.integration.trade import trade
from tests.integration.world import where, world

__all__ = ["begin", "market", "shop", "snapshots", "trade", "where", "world"]

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
def state(pytestconfig: pytest.Config) -> State:
    """The state directory of the tests."""
    return State(Path(REUSED).resolve() if REUSED else pytestconfig.stash[STATE])


@pytest.fixture(autouse=True)
def state_for_the_command(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_STATE", str(state.root))


@pytest.fixture(scope="session")
def services(state: State) -> dict[str, str]:
    """Running services, as the variables that `sluice env` prints."""
    bring_up_once(state, (Postgres(state),) if ANOTHER_S3 else without_airflow(state))
    return environment(state) | ANOTHER_S3


@pytest.fixture(scope="session")
def with_airflow(services: dict[str, str], state: State) -> dict[str, str]:
    """Airflow too."""
    assert services
    if ANOTHER_S3:
        pytest.skip("the embedded Airflow knows the embedded store alone")
    bring_up_once(state, all_services(state))
    return environment(state)


@pytest.fixture(scope="session")
def stores(state: State) -> dict[str, str]:
    """PostgreSQL and S3 alone, for tests that need no others."""
    bring_up_once(state, (Postgres(state),) if ANOTHER_S3 else (Postgres(state), S3Proxy(state)))
    return environment(state) | ANOTHER_S3


@pytest.fixture(scope="session")
def database(stores: dict[str, str], state: State) -> Iterator[str]:
    """The database of this process's tests."""
    assert stores
    yield from own_database(state)


@pytest.fixture(scope="module")
def apart(services: dict[str, str], database: str) -> dict[str, str]:
    """Running services with the database of this process's tests in place of the ledger's."""
    return services | {"PGDATABASE": database}
