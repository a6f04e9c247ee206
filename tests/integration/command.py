"""The command `sluice`, forked from a process that has imported it: real processes with arguments, exit code and streams of their own.

A cold process spends seconds on imports; what those cost, and that a cold one works too, other tests say.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.certificate import worker

PRELOADED = (*worker.PRELOADED, "tests.integration.preloaded")
_LONGEST_SECONDS = 300


def run_sluice(*words: str, check: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, in the environment of the test; with other values of some variables where a test says so."""
    with TemporaryDirectory() as folder:
        running = Running(words, environment, Path(folder))
        code = running.ended()
        done = subprocess.CompletedProcess(["sluice", *words], code, running.stdout(), running.stderr())
    assert check is None or done.returncode == check, done.stdout + done.stderr
    return done


@contextmanager
def started(*words: str, **environment: str) -> Iterator[Running]:
    """The command at work; killed with the block if it still runs then."""
    with TemporaryDirectory() as folder:
        running = Running(words, environment, Path(folder))
        try:
            yield running
        finally:
            running.process.kill()
            running.process.join()


class Running:
    """A command at work."""

    def __init__(self, words: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        self._folder = folder
        self.process: ForkServerProcess = context.Process(
            target=_be_sluice, args=(words, {**os.environ, **environment}, os.fspath(folder), os.fspath(Path.cwd()))
        )
        self.process.start()

    def ended(self, seconds: float = _LONGEST_SECONDS) -> int:
        """Its exit code, negative the signal that killed it."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"it did not end within {seconds:.0f} s; it said: {self.stderr()}")
        return self.process.exitcode

    def stdout(self) -> str:
        return self._told("stdout")

    def stderr(self) -> str:
        return self._told("stderr")

    def says(self, words: str, seconds: float = 120) -> None:
        """Wait until these words are on stderr."""
        deadline = time.monotonic() + seconds
        while words not in self.stderr():
            assert self.process.is_alive(), f"it ended and never said {words!r}: {self.stderr()}"
            assert time.monotonic() < deadline, f"{seconds:.0f} s passed and it did not say {words!r}: {self.stderr()}"
            time.sleep(0.005)

    def _told(self, stream: str) -> str:
        path = self._folder / stream
        return path.read_text(errors="replace") if path.exists() else ""


def _be_sluice(words: tuple[str, ...], environment: Mapping[str, str], folder: str, here: str) -> None:
    """In the forked process: become what `python -m sluice` would be."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        opened = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(here)
    sys.argv = ["sluice", *words]
    from sluice.cli import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # a forked process of multiprocessing leaves them out, a cold one does not
