"""Services that these tests may kill, move and starve: others than those of all other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.services.catalogue import all_services, without_airflow
from sluice.services.environment import environment
from sluice.services.state import State
from tests.conftest import STATE, struck
from tests.integration.conftest import ANOTHER_S3
from tests.integration.stack import REUSED, bring_up_once, own_database


@pytest.fixture(scope="session")
def state(pytestconfig: pytest.Config) -> State:
    if REUSED or ANOTHER_S3:
        pytest.skip("services that a developer uses are not killed")
    return State(struck(pytestconfig.stash[STATE]))


@pytest.fixture(scope="session")
def services(state: State) -> dict[str, str]:
    """Running services; tests that move them keep it current."""
    bring_up_once(state, without_airflow(state))
    return environment(state)


@pytest.fixture(scope="session")
def stores(services: dict[str, str]) -> dict[str, str]:
    return services


@pytest.fixture(scope="session")
def with_airflow(services: dict[str, str], state: State) -> dict[str, str]:
    assert services
    bring_up_once(state, all_services(state))
    return environment(state)


@pytest.fixture(scope="session")
def database(stores: dict[str, str], state: State) -> Iterator[str]:
    assert stores
    yield from own_database(state)
