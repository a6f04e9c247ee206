"""Rounds in which a real Airflow ingests on its schedule, while its scheduler or a task process is killed with SIGKILL."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg

from include.files import keys
from sluice.main_job.airflow_api import AirflowApi, poll
from sluice.services import process
from sluice.services.environment import environment
from sluice.services.state import BUCKET
from tools.certificate.domains import DOMAINS
from tools.certificate.history import History, drop_extra_schemas
from tools.certificate.places import Draw, Effect, Fault, Target, When
from tools.certificate.records import Snapshot
from tools.certificate.report import Round
from tools.certificate.rounds import NeverFinished, concluding
from tools.certificate.services import Services
from tools.certificate.stream import DAY, After, Stream
from tools.certificate.upkeep import put_right
from tools.fresh import empty_bucket

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


class AirflowHistory(History):
    """The history that Airflow's connections lead to: the embedded bucket and the schema `public`, emptied for every round."""

    def names(self) -> tuple[str, str]:
        return BUCKET, "public"

    def clear(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute("drop schema if exists public cascade")
        drop_extra_schemas(connection)
        connection.execute("create schema public")
        empty_bucket(self.client, self.bucket)

    def let_sweep(self) -> None:
        """Let the next poll list everything, as every ten minutes one does: the files are of past dates."""
        with self.connect() as connection:
            connection.execute(_SWEEP_AGAIN)


def disturbed(services: Services, stream: Stream, baseline: Snapshot, draw: Draw, done: Round, faults: int) -> Round:
    """A round with up to so many faults; `done` is filled in and returned."""
    began = time.monotonic()
    services.bring_up_airflow()
    dags = AirflowApi.of(environment(services.state))
    domain = DOMAINS[done.feed]
    with TemporaryDirectory(prefix="certificate-") as folder:
        history = AirflowHistory(environment(services.state), domain, Path(folder))
        dags.rest(*domain.dags)
        history.make(stream)
        for dag in domain.dags:
            dags.unpause(dag)
        with concluding(done, history, stream, baseline, archive=False):
            try:
                _Scheduled(services, history, draw, done, dags).go(stream, faults)
            finally:
                dags.rest(*domain.dags)
    done.seconds = round(time.monotonic() - began, 1)
    return done


@dataclasses.dataclass
class _Scheduled:
    services: Services
    history: AirflowHistory
    draw: Draw
    done: Round
    dags: AirflowApi
    _chunks: int = 0

    def go(self, stream: Stream, faults: int) -> None:
        shares = self.draw.shares(faults, len(stream.waves))
        for wave, share in zip(stream.waves, shares, strict=True):
            self._until(wave.after)
            put_right(self.history, stream, wave)
            cut = chunks(wave.source, stream, self._chunks)
            self._chunks += len(cut)
            self.history.land(dataclasses.replace(wave, objects=tuple(sorted(wave.objects + cut, key=_order))))
            self.history.let_sweep()
            for _ in range(share):
                self._inject()
        self._until(After.FINISHED)

    def _until(self, after: After) -> None:
        reached = self.history.reached(After.REGISTERED if after is After.NOTHING else after)

        def reached_or_swept() -> bool:
            if reached():
                return True
            self.history.let_sweep()
            return False

        if not poll(reached_or_swept, _WAVE_SECONDS, _SWEEP_EVERY):
            raise NeverFinished(f"{_WAVE_SECONDS:.0f} s after the last fault Airflow has still not done: {after.value}")

    def _inject(self) -> None:
        """Kill a task at work, or the scheduler while one is; then bring back what does not come back by itself."""
        target = self.draw.chance.choices((Target.TASK, Target.SCHEDULER), (3, 1))[0]
        delay = self.draw.chance.uniform(0, _LONGEST_DELAY)
        if self._a_task() is None:
            return
        time.sleep(delay)
        killed = self._a_task() if target is Target.TASK else process.running(self.services.state, _SCHEDULER)
        if killed is None:
            return
        effect = _STEPS.get(self._step_at_work(), Effect.LISTING)
        token = self._token()
        try:
            killed.kill()
            killed.wait(_DEATH_SECONDS)
        except psutil.NoSuchProcess:
            return  # it was quicker
        at = time.monotonic()
        fault = Fault(target, When.DURING, effect)
        self.done.count(fault)
        self.draw.injected[fault.place] += 1
        if target is Target.SCHEDULER:
            self.services.bring_up_airflow()
        self._await_new_lease(token, at)

    def _token(self) -> int:
        group = "select lease_token from feed_group where group_name = %s"
        return int(self.history.rows(group, (self.history.specs[0].group,))[0]["lease_token"])

    def _await_new_lease(self, token: int, since: float) -> None:
        """Until a run has taken the feed after the fault: the token grows with every taking."""
        if not poll(lambda: self._token() > token + 1 or self.history.finished(), _WAVE_SECONDS, _LOOK_EVERY):
            raise NeverFinished(f"{_WAVE_SECONDS:.0f} s after {list(self.done.kills)[-1]} no run has taken the feed")
        self.done.recovered_after.append(round(time.monotonic() - since, 3))

    def _step_at_work(self) -> str:
        """A task of the DAGs that runs now, without the group it is in; empty if none does."""
        running = (task for dag in self.history.domain.dags for task in self.dags.tasks(dag, state=["running"], limit=1))
        return next((task["task_id"].rpartition(".")[2] for task in running), "")

    def _a_task(self) -> psutil.Process | None:
        """A process that runs a task of Airflow now, as its title says; None where none begins for a while."""

        def find() -> psutil.Process | None:
            leader = process.running(self.services.state, _SCHEDULER)
            for child in leader.children(recursive=True) if leader else ():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if _TASK.fullmatch(" ".join(child.cmdline()).strip()):
                        return child
            return None

        return poll(find, _TASK_SECONDS, _LOOK_AT_PROCESSES_EVERY)


def _order(landed: tuple[str, bytes]) -> tuple[object, ...]:
    """The order in which files found together get their seqs: a listing may come in between."""
    return keys.date_in(landed[0]), keys.natural_order(landed[0])


def chunks(source: bytes, stream: Stream, before: int) -> tuple[tuple[str, bytes], ...]:
    """A producer's chunks as files, numbered on from those before."""
    header, *lines = source.splitlines(keepends=True) or [b""]
    cut = [header + b"".join(lines[first : first + stream.rows]) for first in range(0, len(lines), stream.rows)]
    return tuple((f"landing/{stream.produced}/{DAY}/chunk_{before + place}.csv", body) for place, body in enumerate(cut, 1))
