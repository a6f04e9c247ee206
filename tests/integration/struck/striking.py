"""What tests of the crash certificate share: services to kill, rounds of drawn and of scripted faults, what a stream lands."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from sluice.services.catalogue import without_airflow
from sluice.services.state import State
from sluice.services.supervisor import bring_up
from tools.certificate.domain import Domain
from tools.certificate.places import Draw, Fault
from tools.certificate.records import Snapshot
from tools.certificate.report import Certificate, Round
from tools.certificate.rounds import disturbed
from tools.certificate.services import Services, over
from tools.certificate.stream import DAY, Stream

KINDS = ("ingest", "producer", "network", "fenced_run", "restore", "s3", "postgres")
_TRIES = 20


@pytest.fixture(scope="module")
def struck(services: dict[str, str], database: str, state: State) -> Iterator[Services]:
    assert services
    with over(state, PGDATABASE=database) as running:
        yield running
    bring_up(state, without_airflow(state))


def killed_often(
    services: Services, domain: Domain, stream: Stream, baseline: Snapshot, seed: int, kills: int, kinds: Sequence[str]
) -> None:
    """Rounds until so many were killed, none of which may lose, double or change anything, in more places than half as many."""
    certificate = Certificate()
    while certificate.kills < kills and certificate.clean:
        number = len(certificate.rounds) + 1
        draw = NewPlaces(random.Random(f"{seed}/{number}"), certificate.by_place(), kinds, domain.never)
        faults = kills + 10 - certificate.kills
        certificate.rounds.append(disturbed(services, stream, baseline, draw, Round(domain.name, seed, number), faults))
    print(certificate.text())
    assert certificate.clean, certificate.first_difference
    assert len(certificate.by_place()) > kills / 2


def clean_until_taken_out(
    services: Services, domain: Domain, stream: Stream, expected: Snapshot, taken_out: Callable[[], None], fault: Fault
) -> Round:
    """A round of one fault with a safeguard taken out, once the same round with all of them was clean."""
    done = []
    for prepare in (None, taken_out):
        draw = Scripted(random.Random(4), Counter(), ("ingest",), faults=[fault])
        done.append(disturbed(services, stream, expected, draw, Round(domain.name, 4, 1), 1, prepare))
        assert sum((done[-1].kills | done[-1].faults).values()) == 1, "the fault did not fall"
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


class NewPlaces(Draw):
    """Draws places that had no fault yet, as long as there is one: a few kills go round as many places as many do by chance."""

    def fault(self, *, producer: bool) -> Fault:
        fault = super().fault(producer=producer)
        for _ in range(_TRIES):
            if not self.injected[fault.place]:
                break
            fault = super().fault(producer=producer)
        return fault


@dataclass
class Scripted(Draw):
    """Injects the faults of a script, one in each wave that the ingest gets."""

    faults: list[Fault] = field(default_factory=list)

    def fault(self, *, producer: bool) -> Fault:
        assert not producer
        return self.faults[0]

    def of_producer(self, share: int) -> int:
        return share * 0

    def shares(self, faults: int, waves: int) -> list[int]:
        return [faults, *[0] * (waves - 1)]
