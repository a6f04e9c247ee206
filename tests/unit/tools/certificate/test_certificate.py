"""What the certificate draws, compares and prints."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from tools.certificate import report
from tools.certificate.domains import DOMAINS
from tools.certificate.places import IN_CATCHING_UP, WEIGHTS, Draw, Effect, Fault, Target, When
from tools.certificate.report import Certificate, Round
from tools.certificate.rounds import in_order
from tools.certificate.snapshot import differences


def faults(seed: int, count: int) -> list[Fault]:
    draw = Draw(random.Random(seed), Counter(), tuple(WEIGHTS))
    found = []
    for _ in range(count):
        found.append(draw.fault(producer=False))
        draw.injected[found[-1].place] += 1
    return found


def test_faults_of_a_domain_fall_only_beside_what_its_runs_do() -> None:
    for domain in DOMAINS.values():
        draw = Draw(random.Random(1), Counter(), tuple(WEIGHTS), domain.never)
        hit = {draw.fault(producer=False).effect for _ in range(2000)}
        assert hit == set(Effect) - domain.never - {Effect.CHUNK, Effect.JOURNAL_RESTORED}, domain.name


def test_the_same_seed_draws_the_same_faults_and_streams() -> None:
    assert faults(3, 200) == faults(3, 200)
    assert faults(3, 200) != faults(4, 200)
    for domain in DOMAINS.values():
        assert domain.stream(3) == domain.stream(3)
        assert domain.stream(3) != domain.stream(4)


def test_in_the_long_run_every_effect_has_a_fault_before_and_after() -> None:
    places = Counter(fault.place for fault in faults(1, 3000))
    for effect in set(Effect) - {Effect.CHUNK, Effect.JOURNAL_RESTORED}:
        for when in (When.BEFORE, When.AFTER):
            assert places[f"{Target.INGEST}, {when} {effect}"] > 0, (effect, when)
    elsewhere = {Target.PRODUCER, Target.SCHEDULER, Target.TASK, Target.LEDGER, Target.RECONCILE}
    assert {Target(place.partition(", ")[0]) for place in places} == set(Target) - elsewhere


def test_in_the_long_run_ledgers_are_restored_and_every_effect_of_catching_up_has_a_fault() -> None:
    draw = Draw(random.Random(1), Counter(), (*WEIGHTS, "restore"))
    ends = [3, 5, 8]
    drawn = Counter(draw.restored(ends) for _ in range(1000))
    assert 500 < drawn.pop(None) < 700
    assert {restored for _, restored in filter(None, drawn)} == set(ends)
    assert all(0 <= backed_up < restored for backed_up, restored in filter(None, drawn))
    for _ in range(200):
        draw.injected[draw.of_reconcile().place] += 1
    assert {place.partition(", ")[0] for place in draw.injected} == {Target.RECONCILE}
    for effect in IN_CATCHING_UP:
        for when in (When.BEFORE, When.AFTER, When.DURING):
            assert draw.injected[Fault(Target.RECONCILE, when, effect).place] > 0, (effect, when)


def test_faults_that_may_meet_nothing_come_after_those_that_do() -> None:
    def fault(effect: Effect, when: When, nth: int = 1) -> Fault:
        return Fault(Target.INGEST, when, effect, nth)

    dealt = [
        fault(Effect.PUBLISH, When.AFTER),
        Fault(Target.S3_RESET, When.BEFORE, Effect.LISTING),
        fault(Effect.REJECTS, When.BEFORE),
        fault(Effect.BRONZE, When.BEFORE, nth=2),
        fault(Effect.REGISTRATION, When.AFTER),
        fault(Effect.REGISTRATION, When.DURING),
        fault(Effect.REGISTRATION, When.BEFORE),
    ]
    assert in_order(dealt) == [dealt[place] for place in (6, 5, 0, 1, 4, 3, 2)]


def test_a_fault_of_postgres_falls_beside_what_postgres_does() -> None:
    for fault in faults(2, 500):
        if fault.target in {Target.POSTGRES, Target.POSTGRES_LOST_ANSWER}:
            assert fault.effect not in {Effect.BRONZE, Effect.COPY, Effect.DETECTION_FILE, Effect.JOB}


def test_nothing_is_different_in_equal_snapshots() -> None:
    assert differences({"file": {"seq 1": {"state": "published"}}}, {"file": {"seq 1": {"state": "published"}}}) == []


def test_of_a_file_that_differs_only_what_differs_is_shown() -> None:
    (one,) = differences({"file": {"seq 1": {"state": "published", "lines": 4}}}, {"file": {"seq 1": {"state": "accepted", "lines": 4}}})
    assert str(one) == "different: file seq 1 is {'state': 'accepted'}, undisturbed {'state': 'published'}"


def test_rounds_add_up_over_runs_and_one_difference_spoils_all(tmp_path: Path) -> None:
    path = tmp_path / "rounds.jsonl"
    place = Fault(Target.INGEST, When.DURING, Effect.COPY).place
    fault = Fault(Target.S3_LOST_ANSWER, When.BEFORE, Effect.BRONZE).place
    report.append(path, Round("transactions", 1, 1, {place: 2}, {fault: 1}, [0.5, 1.5], seconds=2, code="abc"))
    assert Certificate(report.read(path)).clean
    report.append(path, Round("transactions", 2, 1, {place: 1}, {}, [4.0], doubled=1, first_difference="doubled: it", code="abc"))
    certificate = Certificate(report.read(path))
    assert (certificate.kills, certificate.faults, certificate.clean) == (3, 1, False)
    assert certificate.by_place() == {place: 3, fault: 1}
    assert certificate.to_json()["recovery_seconds"] == {"p50": 1.5, "max": 4.0}
    text = certificate.text()
    for words in ("seed 1, 2", "3 processes killed", "move: copy 3", "lost 0, doubled 1, different 0", "seed 2, round 1: doubled: it"):
        assert words in text
