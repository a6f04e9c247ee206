"""What processes cost with all their children: peak memory by the kernel's own high-water marks, and CPU seconds."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

Leaders = Callable[[], Mapping[str, int]]

MB = 1_000_000
_SAMPLE_EVERY_SECONDS = 0.2
_KB = 1024
_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Seen:
    """A process of the machine as it is now: its parent and the CPU seconds it has used."""

    parent: int
    cpu_seconds: float


@dataclass
class Usage:
    """What some kinds of processes have used, each kind under a name of its own.

    Attributes:
        peak_bytes: the most that all processes alive at one moment have had: the sum of their own marks, so never below what they had
            together then.
        peak_of: the same of the processes of one kind.
    """

    peak_bytes: int = 0
    peak_of: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _at_first: dict[int, float] = field(default_factory=dict)
    _at_last: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))

    def begin(self, leaders: Mapping[str, int]) -> None:
        """Leave out what those that live already have used, where the kernel allows it."""
        there = processes()
        for leader in leaders.values():
            for pid in family(leader, there):
                self._at_first[pid] = there[pid].cpu_seconds
                with suppress(OSError):
                    Path(f"/proc/{pid}/clear_refs").write_text("5")

    def sample(self, leaders: Mapping[str, int]) -> None:
        """Read what these processes and their children have used up to now."""
        there, total = processes(), 0
        for name, leader in leaders.items():
            members = family(leader, there)
            self._at_last[name].update({pid: there[pid].cpu_seconds for pid in members})
            peak = sum(map(peak_bytes, members))
            self.peak_of[name] = max(self.peak_of[name], peak)
            total += peak
        self.peak_bytes = max(self.peak_bytes, total)

    @property
    def cpu_seconds(self) -> dict[str, float]:
        """Of each kind; what a process used after it was last looked at is missing."""
        return {name: sum(used - self._at_first.get(pid, 0.0) for pid, used in last.items()) for name, last in self._at_last.items()}


def processes() -> dict[int, Seen]:
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            found[int(entry.name)] = Seen(int(fields[1]), (int(fields[11]) + int(fields[12])) * _TICK)
    return found


def family(leader: int, there: Mapping[int, Seen]) -> list[int]:
    """A process and all its descendants.

    >>> family(1, {1: Seen(0, 0.0), 2: Seen(1, 0.0), 3: Seen(2, 0.0), 4: Seen(9, 0.0)})
    [1, 2, 3]
    """
    children = defaultdict(list)
    for pid, seen in there.items():
        children[seen.parent].append(pid)
    members = [leader] if leader in there else []
    for pid in members:
        members += children[pid]
    return members


def peak_bytes(pid: int | str) -> int:
    """The high-water mark of a process, `self` for this one; 0 if it has ended."""
    with suppress(OSError, ValueError, StopIteration):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * _KB
    return 0


@contextmanager
def repeated(sample: Callable[[], None], every: float) -> Iterator[None]:
    """Take a sample again and again while the block runs, in a thread."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(every):
            sample()

    watcher = threading.Thread(target=watch, name="watch")
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@contextmanager
def watched(leaders: Leaders) -> Iterator[Usage]:
    """What processes use while the block runs; `leaders` names the process of each kind that there is now."""
    usage = Usage()
    usage.begin(leaders())
    with repeated(lambda: usage.sample(leaders()), _SAMPLE_EVERY_SECONDS):
        yield usage
