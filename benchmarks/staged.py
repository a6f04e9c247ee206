"""A pass that goes stage by stage, ours or a peer's: what it is told to say, and what it took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkFailed
from benchmarks.peer_process import answer, started
from benchmarks.usage import Usage, watched
from sluice.services.process import running

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from benchmarks.plain import PlainWorld

PEER = "peer"
_SHARED = ("postgres", "s3")
_MB = 1_000_000


@dataclass(frozen=True)
class Taken:
    """What a pass took: seconds in all, from the start of the process to its end, and by stage; memory and CPU by kind of process.

    `steps`: the stages of ours, once more by its own steps. `counts`: what a peer says it counted.
    """

    seconds: float
    stages: Mapping[str, float]
    usage: Usage
    steps: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        return sum(self.usage.cpu_seconds.values())

    def by_process(self) -> str:
        """CPU seconds and peak memory of each kind of process, in words."""
        cpu = self.usage.cpu_seconds
        return ", ".join(f"{name} {cpu[name]:.0f} s {peak / _MB:,.0f} MB" for name, peak in self.usage.peak_of.items())


@dataclass
class Stages:
    """In the peer: a clock that says which stage time belongs to."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begun

    def answer(self, **counts: int) -> None:
        answer(seconds=self.seconds, counts=counts)


def take(world: PlainWorld, module: str, job: DataclassInstance) -> Taken:
    """Let a peer do a job in a process of its own.

    Raises:
        BenchmarkFailed: it failed; says where its log is.
    """
    begun = time.monotonic()
    with started(world.state, module, job) as process:
        assert process.stdout is not None
        with watched(lambda: services(world) | ({PEER: process.pid} if process.poll() is None else {})) as usage:
            said = process.stdout.read().splitlines()
    if not said:
        raise BenchmarkFailed(f"{module} ended without an answer; see {world.state.log(module.rpartition('.')[2])}")
    answered = json.loads(said[-1])
    return Taken(time.monotonic() - begun, answered["seconds"], usage, counts=answered["counts"])


def services(world: PlainWorld, names: Iterable[str] = _SHARED) -> dict[str, int]:
    """The processes of those services that run."""
    found = {name: running(world.state, name) for name in names}
    return {name: process.pid for name, process in found.items() if process is not None}
