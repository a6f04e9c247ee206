"""What tests of the crash certificate share: services to strike, and blows that are given instead of drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from certificate.draw import Draw
from certificate.places import Strike
from certificate.services import Services, over
from sluice.services.catalogue import without_airflow
from sluice.services.state import State
from sluice.services.supervisor import bring_up
from tests.integration.conftest import REUSED


@pytest.fixture(scope="module")
def struck(services: dict[str, str], database: str, state: State) -> Iterator[Services]:
    assert services
    with over(state, PGDATABASE=database) as running:
        yield running
    if not REUSED:
        bring_up(state, without_airflow(state))


@dataclass
class Scripted(Draw):
    """Deals the given blows, one in each wave that the ingest gets."""

    blows: list[Strike] = field(default_factory=list)

    def strike(self, *, producer: bool) -> Strike:
        assert not producer
        return self.blows[0]

    def of_producer(self, share: int) -> int:
        return share * 0

    def shares(self, blows: int, waves: int) -> list[int]:
        return [blows, *[0] * (waves - 1)]
