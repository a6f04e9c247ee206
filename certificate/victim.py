"""A run in a process of its own, forked from one that has imported everything, so that a death costs milliseconds.

`Victim` is the conductor's end of it; `_live` is what happens in the process, `work` what it does there.
"""

from __future__ import annotations

import contextlib
import enum
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from certificate import work
from certificate.places import Effect, Strike, Target, When
from certificate.stream import Fix, Replay

PRELOADED = ("certificate.preloaded",)
_PATIENCE_SECONDS = 180.0
"""For each feed of a run: more is a run that hangs."""
_THEMSELVES = {Target.INGEST, Target.PRODUCER, Target.RECONCILE}


class Work(enum.Enum):
    """What a process is for."""

    INGEST = "sluice ingest --until-empty"
    PRODUCE = "sluice produce"
    RECONCILE = "sluice reconcile --collect --grace 0"
    REPAIR = "sluice quarantine replay --go, and a corrected rejects.csv"
    FOLLOW_UP = "what follows the ingest, when what nobody reads any more is old"


@dataclass(frozen=True)
class Task:
    """What a victim is asked to do.

    Attributes:
        domain: whose feeds it works on.
        feeds: in which order.
        environment: the variables of `sluice env`, with the history's own bucket and schema.
        run_id: how the ledger names the run; a retry has the id of the run before it.
        lease_seconds: how long a lease lasts unless renewed; 60 in life, a few here, so that a death costs seconds.
        archive: whether published files are moved away.
        work: what it does.
        source: the file that a producer cuts into chunks of `rows`.
        repairs: what a person puts right.
        prepare: called before anything else; tests take a safeguard out here.
        patient: wait for another holder of the lease, as the command does; else stop with its line, as a scheduled task does.
    """

    domain: str
    feeds: tuple[str, ...]
    environment: Mapping[str, str]
    run_id: str
    parameters: Mapping[str, Any]
    max_files: int = 100
    lease_seconds: float = 3.0
    archive: bool = True
    work: Work = Work.INGEST
    source: str = ""
    rows: int = 20
    repairs: tuple[Replay | Fix, ...] = ()
    strike: Strike | None = None
    prepare: Callable[[], None] | None = None
    patient: bool = True


@dataclass
class Ending:
    """How a victim ended: killed, failed with a sentence, crashed without one, or well."""

    killed: bool = False
    struck: bool = False
    code: int = 0
    sentence: str = ""
    crash: str = ""
    counts: dict[str, Any] = field(default_factory=dict)
    working_after: float | None = None
    """When it had the lease (a producer: its prefix), on the clock of `time.monotonic`; None: it did not come so far."""


class Victim:
    """A process at work on a task. The conductor strikes when it says so."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        self.task = task
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(task, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def end(self, strike: Callable[[Strike], None] | None = None, patience: float | None = None) -> Ending:
        """Wait for the end; `strike` is called when the place of a blow that others have to deal is reached."""
        ending = Ending()
        patience = patience or _PATIENCE_SECONDS * len(self.task.feeds)
        deadline = time.monotonic() + patience
        while True:
            if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                self.kill()
                ending.crash = f"it did not end within {patience:.0f} s"
                break
            try:
                kind, told = self._pipe.recv()
            except (EOFError, ConnectionResetError):
                break
            if kind == "working":
                ending.working_after = told
            elif kind == "place":
                self._struck(strike, ending)
            else:
                setattr(ending, kind, told)
        self._process.join()
        ending.killed = self._process.exitcode == -signal.SIGKILL and not ending.crash
        ending.struck = ending.struck or ending.killed
        ending.code = self._process.exitcode or 0
        self._pipe.close()
        return ending

    def _struck(self, strike: Callable[[Strike], None] | None, ending: Ending) -> None:
        blow = self.task.strike
        assert blow is not None
        if blow.when is When.DURING:
            time.sleep(blow.delay)
        if blow.target in _THEMSELVES:
            self.kill()
        elif strike is not None:
            strike(blow)
            ending.struck = True
        if blow.when is not When.DURING:
            with contextlib.suppress(OSError):
                self._pipe.send("go")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()


class _Fate:
    """Counts the effects a run reaches; at the chosen one it dies, or tells the conductor."""

    def __init__(self, strike: Strike | None, pipe: Connection) -> None:
        self._strike = strike
        self._pipe = pipe
        self._reached = 0
        self._told_working = False

    def at(self, when: When, effect: Effect) -> None:
        if effect in {Effect.LEASE, Effect.CHUNK} and when is When.AFTER and not self._told_working:
            self._told_working = True
            self._pipe.send(("working", time.monotonic()))
        strike = self._strike
        if strike is None or effect is not strike.effect:
            return
        if when is not (When.BEFORE if strike.when is When.DURING else strike.when):
            return
        self._reached += 1
        if self._reached == strike.nth:
            self._fall(strike)

    def _fall(self, strike: Strike) -> None:
        if strike.target in _THEMSELVES and strike.when is not When.DURING:
            _die()
        self._pipe.send(("place", None))
        if strike.when is not When.DURING:
            self._pipe.recv()


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _live(task: Task, pipe: Connection) -> None:
    """Do the task on the real ports; tell the end through the pipe."""
    from include.ingestion.errors import SluiceError

    os.environ.update(task.environment)
    if task.prepare is not None:
        task.prepare()
    fate = _Fate(task.strike, pipe)
    code = 0
    try:
        pipe.send(("counts", _WORKS[task.work](task, fate.at)))
    except SluiceError as failed:
        pipe.send(("sentence", f"{type(failed).__name__}: {failed}"))
        code = failed.exit_code
    except Exception:  # noqa: BLE001 - whatever it is, the conductor reports it as a failure without a clear sentence
        pipe.send(("crash", traceback.format_exc()))
        code = 1
    pipe.close()
    os._exit(code)


_WORKS = {
    Work.INGEST: work.ingest,
    Work.PRODUCE: work.produce_chunks,
    Work.RECONCILE: work.reconcile_all,
    Work.REPAIR: work.put_right,
    Work.FOLLOW_UP: work.follow_up_later,
}
