"""What tests of the crash certificate share: services to strike, rounds of drawn and of given blows, what a stream lands."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from certificate.domain import Domain
from certificate.draw import Draw
from certificate.found import Snapshot
from certificate.places import Strike
from certificate.report import Certificate, Round
from certificate.rounds import disturbed
from certificate.services import Services, over
from certificate.stream import DAY, Stream
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


def killed_often(
    services: Services, domain: Domain, stream: Stream, yardstick: Snapshot, seed: int, kills: int, kinds: Sequence[str]
) -> Certificate:
    """Rounds until so many were killed, or one was not clean."""
    certificate = Certificate()
    while certificate.kills < kills and certificate.clean:
        number = len(certificate.rounds) + 1
        draw = Draw(random.Random(f"{seed}/{number}"), certificate.by_place(), kinds, domain.never)
        blows = kills + 10 - certificate.kills
        certificate.rounds.append(disturbed(services, stream, yardstick, draw, Round(domain.name, seed, number), blows))
    print(certificate.text())
    return certificate


def clean_until_taken_out(
    services: Services, domain: Domain, stream: Stream, expected: Snapshot, taken_out: Callable[[], None], blow: Strike
) -> Round:
    """A round of one blow with a safeguard taken out, once the same round with all of them was clean."""
    done = []
    for prepare in (None, taken_out):
        draw = Scripted(random.Random(4), Counter(), ("ingest",), blows=[blow])
        done.append(disturbed(services, stream, expected, draw, Round(domain.name, 4, 1), 1, prepare))
        assert sum((done[-1].kills | done[-1].faults).values()) == 1, "the blow did not fall"
    assert [one.clean for one in done] == [True, False], done
    return done[-1]


def contents_of(stream: Stream) -> Iterator[tuple[str, bytes]]:
    """Every object in the order in which they land; the producer's chunks cut here, independently of it."""
    number = 0
    for wave in stream.waves:
        yield from wave.objects
        header, *lines = wave.source.splitlines(keepends=True) or [b""]
        for first in range(0, len(lines), stream.rows):
            number += 1
            yield f"landing/{stream.produced}/{DAY}/chunk_{number}.csv", header + b"".join(lines[first : first + stream.rows])


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
