"""Several runs of one feed at once: one publishes, the others stop or wait with a clear line; the results are those of one run alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from include.run import Run
from sluice.runtime import now
from tests.integration.command import started
from tests.integration.world import HEADER, SMALL, World, row
from tools.certificate.domains.transactions.domain import TRANSACTIONS
from tools.certificate.history import History
from tools.certificate.places import Effect, Fault, Target, When
from tools.certificate.records import Snapshot
from tools.certificate.snapshot import differences
from tools.certificate.stream import Wave
from tools.certificate.task import Ending, Task
from tools.certificate.worker import WorkerProcess

STREAM = TRANSACTIONS.stream(11)


@contextmanager
def landed(apart: dict[str, str]) -> Iterator[History]:
    """A history with files of all kinds in landing, good and bad, and nothing ingested."""
    with TemporaryDirectory() as folder:
        history = History(apart, TRANSACTIONS, Path(folder))
        history.make(STREAM)
        for wave in STREAM.waves[:3]:
            history.land(as_objects(wave))
        yield history
        history.remove()


def as_objects(wave: Wave) -> Wave:
    """A producer's wave as files, so that no producer is needed."""
    if not wave.source:
        return wave
    header, *lines = wave.source.splitlines(keepends=True)
    name = wave.name.replace(" ", "_")
    cut = [header + b"".join(lines[at : at + 20]) for at in range(0, len(lines), 20)]
    keys = [f"landing/transactions/dt=2026-11-01/{name}_{place}.csv" for place in range(len(cut))]
    return Wave(wave.name, wave.after, tuple(zip(keys, cut, strict=True)))


def task(history: History, run_id: str, fault: Fault | None = None, **given: object) -> Task:
    return Task(TRANSACTIONS.name, TRANSACTIONS.feeds, history.environment, run_id, STREAM.parameters, fault=fault, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def alone(apart: dict[str, str]) -> Snapshot:
    """What one run alone makes of it."""
    with landed(apart) as history:
        assert WorkerProcess(task(history, "alone")).end().code == 0
        made = history.snapshot()
    assert {file["state"] for file in made["file"].values()} == {"published", "quarantined"}
    assert made["detection"]
    return made


def as_one_run_alone(history: History, alone: Snapshot) -> None:
    assert history.finished()
    assert differences(alone, history.snapshot()) == []
    assert history.rows("select lease_holder from feed_group where lease_holder is not null") == []
    assert history.rows("select count(*) as open from batch where state = 'open'") == [{"open": 0}]


def test_many_runs_at_once_that_wait_for_each_other_do_the_work_once(apart: dict[str, str], alone: Snapshot) -> None:
    with landed(apart) as history:
        runs = [WorkerProcess(task(history, f"run-{number}", max_files=2)) for number in range(5)]
        endings = [run.end() for run in runs]
        assert [(one.code, one.sentence, one.crash) for one in endings] == [(0, "", "")] * 5
        assert (
            sum(one.counts["published"].get("files", 0) for one in endings)
            == history.rows("select count(*) from file where batch > 0")[0]["count"]
        )
        as_one_run_alone(history, alone)


def test_of_many_scheduled_runs_at_once_one_works_and_the_others_name_it(apart: dict[str, str], alone: Snapshot) -> None:
    with landed(apart) as history:
        others: list[Ending] = []

        def meanwhile(_: Fault) -> None:
            others.extend(run.end() for run in [WorkerProcess(task(history, f"late-{number}", patient=False)) for number in range(4)])

        first = WorkerProcess(task(history, "first", Fault(Target.FENCED_RUN, When.BEFORE, Effect.JOB), patient=False)).end(meanwhile)
        assert (first.code, first.sentence) == (0, "")
        assert [one.code for one in others] == [4] * 4
        assert all(one.sentence.startswith("FeedBusy: transactions is being ingested by first (its lease runs out in") for one in others)
        as_one_run_alone(history, alone)


STALLED = [
    (When.AFTER, Effect.LISTING, True),
    (When.AFTER, Effect.REGISTRATION, True),
    (When.BEFORE, Effect.BRONZE, True),
    (When.AFTER, Effect.VERDICTS, True),
    (When.AFTER, Effect.DECISION, False),  # finds no batch left to do, writes nothing and ends well
    (When.BEFORE, Effect.JOB, True),
    (When.AFTER, Effect.MANIFEST, True),
    (When.AFTER, Effect.PUBLISH, False),
    (When.BEFORE, Effect.DETECTION_FILE, True),
    (When.AFTER, Effect.COPY, True),
    (When.BEFORE, Effect.DELETE, True),
    (When.AFTER, Effect.ARCHIVE, True),
]


@pytest.mark.parametrize("how", ["its lease was released", "the same run again"])
@pytest.mark.parametrize(("when", "effect", "is_stopped"), STALLED)
def test_a_run_taken_for_dead_that_goes_on_stops_with_a_clear_line(
    apart: dict[str, str], alone: Snapshot, when: When, effect: Effect, is_stopped: bool, how: str
) -> None:
    with landed(apart) as history:
        instead: list[Ending] = []

        def meanwhile(_: Fault) -> None:
            if how == "its lease was released":
                history.release("fenced")
            instead.append(WorkerProcess(task(history, "fenced" if how == "the same run again" else "instead")).end())

        fenced = WorkerProcess(task(history, "fenced", Fault(Target.FENCED_RUN, when, effect), patient=False)).end(meanwhile)
        assert (instead[0].code, instead[0].sentence, instead[0].crash) == (0, "", "")
        assert fenced.injected
        assert fenced.crash == ""
        if is_stopped:
            assert fenced.code == 4
            assert fenced.sentence.startswith("LeaseLost: transactions: this run lost its lease (token ")
            assert fenced.sentence.endswith(" to a later one, which does the work; this one stops.")
        else:
            assert (fenced.code, fenced.sentence) == (0, "")
        as_one_run_alone(history, alone)


def test_a_run_that_hangs_until_its_lease_has_run_out_finds_the_work_done(apart: dict[str, str], alone: Snapshot) -> None:
    """The process stands still, its thread that renews the lease too, as on a machine that swaps or was suspended."""
    with landed(apart) as history:
        hanging = WorkerProcess(
            task(history, "hanging", Fault(Target.FENCED_RUN, When.AFTER, Effect.MANIFEST), patient=False, lease_seconds=1.5)
        )

        def meanwhile(_: Fault) -> None:
            process = psutil.Process(hanging.pid)
            process.suspend()
            began = time.monotonic()
            assert WorkerProcess(task(history, "instead")).end().code == 0
            assert time.monotonic() - began > 1
            process.resume()

        ending = hanging.end(meanwhile)
        assert (ending.code, ending.sentence[:10]) == (4, "LeaseLost:")
        as_one_run_alone(history, alone)


def test_the_command_names_who_has_the_feed_and_waits_where_it_is_told_to_finish(world: World) -> None:
    world.land("a.csv", HEADER + row() * 3)
    holder = Run("somebody-else", now(), world.spec.parameters_from(SMALL))
    token = world.ledger.leases.acquire(world.spec, holder)
    busy = world.sluice("ingest", "transactions", check=4)
    assert busy.stderr.splitlines()[-1].startswith("sluice: transactions is being ingested by somebody-else (its lease runs out in ")
    with started("ingest", "transactions", "--until-empty") as waits:
        waits.says("waiting: transactions is being ingested by somebody-else")
        world.ledger.leases.release(world.spec, token)
        assert waits.ended() == 0
    assert world.states() == {"a.csv": "published"}
