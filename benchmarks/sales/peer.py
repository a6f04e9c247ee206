"""How a peer is run: a process of its own, told its job as JSON, that answers with the seconds of each stage."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from benchmarks.errors import BenchmarkFailed
from benchmarks.peer import peer_environment
from benchmarks.sales.usage import Usage, watched
from benchmarks.sales.world import SalesWorld
from sluice.services.process import running

CHECK, MARTS, LAKE = "read, check, keep the rows", "marts in PostgreSQL", "star in the lake"
PEER = "peer"
_SHARED = ("postgres", "s3")
_MB = 1_000_000


@dataclass(frozen=True)
class SalesJob:
    """What a peer is asked: take the files named in `facts` (keys), and the dimensions as well if they are given.

    Attributes:
        folder: it may write here, and finds what it left.
        schema: its schema in PostgreSQL, made empty when `fresh`.
        lake: the prefix in the bucket that it writes below.
    """

    folder: str
    bucket: str
    facts: list[str]
    dimensions: dict[str, list[str]]
    schema: str
    lake: str
    fresh: bool


@dataclass(frozen=True)
class Taken:
    """What a pass took: seconds in all, from the start of the process to its end, and by stage; memory and CPU by kind of process.

    `steps`: the stages of ours, once more by its own five steps.
    """

    seconds: float
    stages: Mapping[str, float]
    usage: Usage
    steps: Mapping[str, float] = field(default_factory=dict)

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


def read_job() -> SalesJob:
    return SalesJob(**json.load(sys.stdin))


def answer(stages: Stages) -> None:
    print(json.dumps(stages.seconds), flush=True)


def take(world: SalesWorld, module: str, job: SalesJob) -> Taken:
    """Let a peer do a job in a process of its own.

    Raises:
        BenchmarkFailed: it failed; says where its log is.
    """
    log = world.state.log(module.rpartition(".")[2])
    begun = time.monotonic()
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=peer_environment(world.state),
            cwd=world.state.project,
        )
        with watched(lambda: services(world) | ({PEER: process.pid} if process.poll() is None else {})) as usage:
            said, _ = process.communicate(json.dumps(asdict(job)))
    if process.returncode:
        raise BenchmarkFailed(f"{module} ended with {process.returncode}; see {log}")
    return Taken(time.monotonic() - begun, json.loads(said.splitlines()[-1]), usage)


def services(world: SalesWorld, names: Iterable[str] = _SHARED) -> dict[str, int]:
    """The processes of those services that run."""
    found = {name: running(world.state, name) for name in names}
    return {name: process.pid for name, process in found.items() if process is not None}
