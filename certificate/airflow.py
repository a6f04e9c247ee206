"""Rounds in which a real Airflow ingests on its schedule, while its scheduler or a task process is killed with SIGKILL."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg

from certificate.domains import DOMAINS
from certificate.draw import Draw
from certificate.found import Snapshot
from certificate.history import History, drop_beside
from certificate.places import Effect, Strike, Target, When
from certificate.repairs import put_right
from certificate.report import Round
from certificate.services import Services
from certificate.snapshot import taken
from certificate.stream import DAY, After, Stream
from certificate.tidying import tidied
from include.ingestion import keys
from include.ingestion.errors import SluiceError
from include.stores.prepare import prepare_ledger
from include.version import code_version
from sluice.main_job.airflow_api import AirflowApi
from sluice.services import process
from sluice.services.catalogue import all_services
from sluice.services.environment import environment
from sluice.services.state import BUCKET
from sluice.services.supervisor import bring_up

_SCHEDULER = "airflow-scheduler"
_TASK = re.compile(r"airflow worker -- [0-9a-f-]{36}")
_LOOK_EVERY = 0.1
_LOOK_AT_PROCESSES_EVERY = 0.02
_SWEEP_EVERY = 1.0
_SWEEP_AGAIN = "update feed set last_sweep_at = null where last_sweep_at < clock_timestamp() - interval '5 seconds'"
_WAVE_SECONDS = 420.0
_TASK_SECONDS = 45.0
_LONGEST_DELAY = 1.0
_DEATH_SECONDS = 10.0
_STEPS: Mapping[str, Effect] = {
    "discover": Effect.REGISTRATION,
    "gate": Effect.BRONZE,
    "process": Effect.JOB,
    "publish": Effect.PUBLISH,
    "deliver": Effect.BATCH_DELIVERED,
    "refresh": Effect.SETS_JOB,
}


class NotFinishedByAirflow(SluiceError):
    """Airflow does not finish the work by itself."""


class AirflowHistory(History):
    """The history that Airflow's connections lead to: the embedded bucket and the schema `public`, emptied for every round."""

    def names(self) -> tuple[str, str]:
        return BUCKET, "public"

    def make(self, stream: Stream) -> None:
        with psycopg.connect(**self.login(), autocommit=True) as connection:
            connection.execute("drop schema if exists public cascade")
            drop_beside(connection)
            connection.execute("create schema public")
        self.empty_bucket()
        with self.connect() as connection:
            prepare_ledger(connection, self.bucket)
            self.load_references(connection, stream)

    def let_sweep(self) -> None:
        """Let the next poll list everything, as every ten minutes one does: the files are of past dates."""
        with self.connect() as connection:
            connection.execute(_SWEEP_AGAIN)


def disturbed(
    services: Services, stream: Stream, expected: Snapshot, draw: Draw, done: Round, blows: int, compare: Callable[..., None]
) -> Round:
    """A round with up to so many blows; `done` is filled in and returned."""
    began = time.monotonic()
    done.code = code_version()
    bring_up(services.state, all_services(services.state), say=lambda _: None)
    told = environment(services.state)
    dags = Dags(told["AIRFLOW_URL"], told["AIRFLOW_USERNAME"], told["AIRFLOW_PASSWORD"])
    domain = DOMAINS[done.feed]
    with TemporaryDirectory(prefix="certificate-") as folder:
        history = AirflowHistory(told, domain, Path(folder))
        dags.rest(*domain.dags)
        history.make(stream)
        for dag in domain.dags:
            dags.unpause(dag)
        round_ = _Scheduled(services, history, draw, done, dags)
        try:
            round_.go(stream, blows)
        except NotFinishedByAirflow as never:
            done.lost += 1
            done.first_difference = done.first_difference or f"lost: {never}"
        finally:
            dags.rest(*domain.dags)
        compare(done, expected, taken(history))
        left = tidied(history, stream, archive=False)
        done.left_behind += len(left)
        done.first_difference = done.first_difference or next(iter(left), "")
    done.seconds = round(time.monotonic() - began, 1)
    return done


class Dags(AirflowApi):
    """The DAGs, and which task of them is at work."""

    def at_work(self, dags: Iterable[str]) -> str:
        """A task of the DAGs that runs now, without the group it is in; empty if none does."""
        for dag in dags:
            path = f"/api/v2/dags/{dag}/dagRuns/~/taskInstances"
            for found in self._ask("GET", path, params={"state": ["running"], "limit": 1}).json()["task_instances"]:
                return str(found["task_id"]).rsplit(".", 1)[-1]
        return ""


@dataclasses.dataclass
class _Scheduled:
    """A history that Airflow ingests."""

    services: Services
    history: AirflowHistory
    draw: Draw
    done: Round
    dags: Dags
    _chunks: int = 0

    def go(self, stream: Stream, blows: int) -> None:
        shares = self.draw.shares(blows, len(stream.waves))
        for wave, share in zip(stream.waves, shares, strict=True):
            self._until(wave.after)
            put_right(self.history, stream, wave)
            cut = chunks(wave.source, stream, self._chunks)
            self._chunks += len(cut)
            self.history.land(dataclasses.replace(wave, objects=tuple(sorted(wave.objects + cut, key=_order))))
            self.history.let_sweep()
            for _ in range(share):
                self._strike()
        self._until(After.FINISHED)

    def _until(self, after: After) -> None:
        reached = self.history.reached(After.REGISTERED if after is After.NOTHING else after)
        deadline = time.monotonic() + _WAVE_SECONDS
        while not reached():
            if time.monotonic() > deadline:
                raise NotFinishedByAirflow(f"{_WAVE_SECONDS:.0f} s after the last blow Airflow has still not done: {after.value}")
            self.history.let_sweep()
            time.sleep(_SWEEP_EVERY)

    def _strike(self) -> None:
        """Kill a task at work, or the scheduler while one is; then bring back what does not come back by itself."""
        target = self.draw.chance.choices((Target.TASK, Target.SCHEDULER), (3, 1))[0]
        delay = self.draw.chance.uniform(0, _LONGEST_DELAY)
        if self._a_task() is None:
            return
        time.sleep(delay)
        struck = self._a_task() if target is Target.TASK else process.running(self.services.state, _SCHEDULER)
        if struck is None:
            return
        effect = _STEPS.get(self.dags.at_work(self.history.domain.dags), Effect.LISTING)
        token = self._token()
        try:
            struck.kill()
            struck.wait(_DEATH_SECONDS)
        except psutil.NoSuchProcess:
            return  # it was quicker
        at = time.monotonic()
        place = Strike(target, When.DURING, effect).place
        self.done.kills[place] = self.done.kills.get(place, 0) + 1
        self.draw.struck[place] += 1
        if target is Target.SCHEDULER:
            bring_up(self.services.state, all_services(self.services.state), say=lambda _: None)
        self._await_new_lease(token, at)

    def _token(self) -> int:
        group = "select lease_token from feed_group where group_name = %s"
        return int(self.history.rows(group, (self.history.specs[0].group,))[0]["lease_token"])

    def _await_new_lease(self, token: int, struck: float) -> None:
        """Until a run has taken the feed after the blow: the token grows with every taking."""
        deadline = struck + _WAVE_SECONDS
        while self._token() <= token + 1 and not self.history.finished():
            if time.monotonic() > deadline:
                raise NotFinishedByAirflow(f"{_WAVE_SECONDS:.0f} s after {list(self.done.kills)[-1]} no run has taken the feed")
            time.sleep(_LOOK_EVERY)
        self.done.recovered_after.append(round(time.monotonic() - struck, 3))

    def _a_task(self) -> psutil.Process | None:
        """A process that runs a task of Airflow now, as its title says; None where none begins for a while."""
        deadline = time.monotonic() + _TASK_SECONDS
        while time.monotonic() < deadline:
            leader = process.running(self.services.state, _SCHEDULER)
            for child in leader.children(recursive=True) if leader else ():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if _TASK.fullmatch(" ".join(child.cmdline()).strip()):
                        return child
            time.sleep(_LOOK_AT_PROCESSES_EVERY)
        return None


def _order(landed: tuple[str, bytes]) -> tuple[object, ...]:
    """The order in which files found together get their seqs: a listing may come in between."""
    return keys.date_in(landed[0]), keys.natural_order(landed[0])


def chunks(source: bytes, stream: Stream, before: int) -> tuple[tuple[str, bytes], ...]:
    """A producer's chunks as files, numbered on from those before."""
    header, *lines = source.splitlines(keepends=True) or [b""]
    cut = [header + b"".join(lines[first : first + stream.rows]) for first in range(0, len(lines), stream.rows)]
    return tuple((f"landing/{stream.produced}/{DAY}/chunk_{before + place}.csv", body) for place, body in enumerate(cut, 1))
