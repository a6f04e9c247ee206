"""A run in a process of its own, forked from one that has imported everything, so that a death costs milliseconds.

`WorkerProcess` is the conductor's end of it; `_live` is what happens in the process, `work` what it does there.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn

from include.errors import SluiceError
from tools.certificate.places import Effect, Fault, Target, When
from tools.certificate.task import Ending, Task

PRELOADED = ("tools.certificate.preloaded",)
_LONGEST_SECONDS = 180.0
"""Of each feed of a run: more is a run that hangs."""
_THEMSELVES = {Target.INGEST, Target.PRODUCER, Target.RECONCILE}


class WorkerProcess:
    """A process at work on a task. The conductor injects the task's fault when the process has reached its place."""

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

    def end(self, inject: Callable[[Fault], None] | None = None) -> Ending:
        """Wait for the end; `inject` is called when the place of a fault is reached that hits something else than the process."""
        ending = Ending()
        longest = _LONGEST_SECONDS * len(self.task.feeds)
        deadline = time.monotonic() + longest
        while True:
            if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                self.kill()
                ending.crash = f"it did not end within {longest:.0f} s"
                break
            try:
                kind, value = self._pipe.recv()
            except (EOFError, ConnectionResetError):
                break
            if kind == "place":
                self._inject(inject, ending)
            else:
                setattr(ending, kind, value)
        self._process.join()
        ending.killed = self._process.exitcode == -signal.SIGKILL and not ending.crash
        ending.injected = ending.injected or ending.killed
        ending.code = self._process.exitcode or 0
        self._pipe.close()
        return ending

    def _inject(self, inject: Callable[[Fault], None] | None, ending: Ending) -> None:
        fault = self.task.fault
        assert fault is not None
        if fault.when is When.DURING:
            time.sleep(fault.delay)
        if fault.target in _THEMSELVES:
            self.kill()
        elif inject is not None:
            inject(fault)
            ending.injected = True
        if fault.when is not When.DURING:
            with contextlib.suppress(OSError):
                self._pipe.send("go")

    def kill(self) -> None:
        self._process.kill()


class _Injector:
    """In the process: counts the effects it reaches; at the place of its fault it dies, or has the conductor act."""

    def __init__(self, fault: Fault | None, pipe: Connection) -> None:
        self._fault = fault
        self._pipe = pipe
        self._reached = 0
        self._is_working = False

    def at(self, when: When, effect: Effect) -> None:
        if effect in {Effect.LEASE, Effect.CHUNK} and when is When.AFTER and not self._is_working:
            self._is_working = True
            self._pipe.send(("working_after", time.monotonic()))
        fault = self._fault
        if fault is None or (when, effect) != (When.BEFORE if fault.when is When.DURING else fault.when, fault.effect):
            return
        self._reached += 1
        if self._reached != fault.nth:
            return
        if fault.target in _THEMSELVES and fault.when is not When.DURING:
            _die()
        self._pipe.send(("place", None))
        if fault.when is not When.DURING:
            self._pipe.recv()


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _live(task: Task, pipe: Connection) -> None:
    """Do the task on the real ports; send how it ended through the pipe."""
    from tools.certificate.work import WORKS

    os.environ.update(task.environment)
    if task.prepare is not None:
        task.prepare()
    code = 0
    try:
        pipe.send(("counts", WORKS[task.work](task, _Injector(task.fault, pipe).at)))
    except SluiceError as failed:
        pipe.send(("sentence", f"{type(failed).__name__}: {failed}"))
        code = failed.exit_code
    except Exception:  # noqa: BLE001 - whatever it is, the conductor reports it as a failure without a clear sentence
        pipe.send(("crash", traceback.format_exc()))
        code = 1
    pipe.close()
    os._exit(code)
