"""Peak memory of processes with all their children, by the kernel's own high-water marks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_LOOK_EVERY_SECONDS = 0.2
_KB = 1024


class HighWater:
    """The most that processes alive at one moment have had: the sum of their own marks, so never below what they had together then."""

    def __init__(self) -> None:
        self.bytes = 0

    def look(self, leaders: Sequence[psutil.Process]) -> None:
        """Read the marks of these processes and of their children, as they are now."""
        self.bytes = max(self.bytes, sum(map(_mark, _families(leaders))))


def _mark(process: psutil.Process) -> int:
    with suppress(OSError, ValueError, StopIteration):
        status = Path(f"/proc/{process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * _KB
    return 0  # it has ended


@contextmanager
def watched(leaders: Callable[[], Sequence[psutil.Process]]) -> Iterator[HighWater]:
    """The high water of processes while the block runs; those that live already begin anew where the kernel allows it."""
    for process in _families(leaders()):
        with suppress(OSError):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    marks, done = HighWater(), threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY_SECONDS):
            marks.look(leaders())

    watcher = threading.Thread(target=watch, name="high-water")
    watcher.start()
    try:
        yield marks
    finally:
        done.set()
        watcher.join()


def _families(leaders: Sequence[psutil.Process]) -> Iterator[psutil.Process]:
    for leader in leaders:
        with suppress(psutil.NoSuchProcess):
            yield leader
            yield from leader.children(recursive=True)
