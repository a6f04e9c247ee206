"""Passes in processes of their own, ours or a peer's: a peer reads its job from one line of JSON and answers in lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sluice.cli.output import log
from sluice.services.environment import environment
from sluice.services.java import find_java
from sluice.services.process import clean_environment, running
from sluice.services.spark import spark_home
from sluice.services.state import LOOPBACK, State
from tools.benchmarks.errors import BenchmarkFailed
from tools.benchmarks.table import Row, stages
from tools.benchmarks.usage import MB, Usage, watched

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from tools.benchmarks.world import World

PEER = "peer"
COMMAND = "ingest"
Summary = dict[str, Any]
_SHARED = ("postgres", "s3")
Job = TypeVar("Job")
_ITS_END_SECONDS = 120


@contextmanager
def started(state: State, module: str, job: DataclassInstance) -> Iterator[subprocess.Popen[str]]:
    """A peer at its job, until the block ends: then its input does, and it has to end by itself.

    Raises:
        BenchmarkFailed: it failed; says where its log is.
    """
    log = state.log(module.rpartition(".")[2])
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(state),
            cwd=state.project,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
            yield process
            process.stdin.close()
            if process.wait(timeout=_ITS_END_SECONDS):
                raise BenchmarkFailed(f"{module} ended with {process.returncode}; see {log}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()


def read_job(kind: Callable[..., Job]) -> Job:
    """In the peer: its job."""
    return kind(**json.loads(sys.stdin.readline()))


def answer(**figures: Any) -> None:
    """In the peer: one line of its answer."""
    print(json.dumps(figures), flush=True)


def _environment(state: State) -> dict[str, str]:
    """The services that the benchmark works on, without the Spark server: a peer brings its own engine."""
    services = {name: os.environ.get(name, value) for name, value in environment(state).items() if name != "SPARK_REMOTE"}
    spark = {
        "JAVA_HOME": str(find_java(state).home),
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": LOOPBACK,
        "PYSPARK_PYTHON": sys.executable,
        "SLUICE_STATE": str(state.root),
    }
    return clean_environment() | services | spark


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
        return ", ".join(f"{name} {cpu[name]:.0f} s {peak / MB:,.0f} MB" for name, peak in self.usage.peak_of.items())

    def print_figures(self, what: str, more: str = "") -> None:
        log(f"{what}: {self.seconds:.1f} s ({stages(self.steps or self.stages)}){more}")
        log(f"{what}: CPU {self.cpu_seconds:.0f} s, memory {self.usage.peak_bytes / MB:,.0f} MB at most ({self.by_process()})")


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


def take(world: World, module: str, job: DataclassInstance) -> Taken:
    """Let a peer do a job in a process of its own.

    Raises:
        BenchmarkFailed: it failed; says where its log is.
    """
    begun = time.monotonic()
    with started(world.state, module, job) as process:
        assert process.stdout is not None
        with watched(lambda: services(world) | ({PEER: process.pid} if process.poll() is None else {})) as usage:
            lines = process.stdout.read().splitlines()
    if not lines:
        raise BenchmarkFailed(f"{module} ended without an answer; see {world.state.log(module.rpartition('.')[2])}")
    answered = json.loads(lines[-1])
    return Taken(time.monotonic() - begun, answered["seconds"], usage, counts=answered["counts"])


def usage_rows(what: str, what_of_processes: str, taken: Mapping[str, Taken]) -> Iterator[Row]:
    """CPU and memory of what each way took, in all and by kind of process."""
    yield Row.of_ways(f"{what}: CPU", "s", {way: one.cpu_seconds for way, one in taken.items()}, "with PostgreSQL and S3")
    peaks = {way: one.usage.peak_bytes / MB for way, one in taken.items()}
    yield Row.of_ways(f"{what}: peak memory", "MB", peaks, "sum of high-water marks, with PostgreSQL and S3")
    for name in sorted({name for one in taken.values() for name in one.usage.peak_of}):
        peaks = {way: one.usage.peak_of[name] / MB for way, one in taken.items() if name in one.usage.peak_of}
        yield Row.of_ways(f"{what_of_processes} of {name}", "MB", peaks)


def services(world: World, names: Iterable[str] = _SHARED) -> dict[str, int]:
    """The processes of those services that run."""
    found = {name: running(world.state, name) for name in names}
    return {name: process.pid for name, process in found.items() if process is not None}


def ingest(world: World, feeds: Sequence[str], stage_of: Mapping[str, str]) -> tuple[Taken, list[Summary]]:
    """Everything of these feeds that has landed, by `sluice ingest`: what it took, and the command's summary of each feed.

    Args:
        stage_of: which stage of the peers does what each of our five steps does.

    Raises:
        BenchmarkFailed: it failed, quarantined a file or left one waiting.
    """
    begun = time.monotonic()
    alive: dict[str, int] = {}
    with (
        watched(lambda: {**services(world, ("postgres", "s3", "spark")), **alive}) as usage,
        subprocess.Popen(
            world.command("ingest", *feeds, "--until-empty", "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        alive[COMMAND] = process.pid
        output, errors = process.communicate()
        alive.clear()
    if process.returncode:
        raise BenchmarkFailed(f"sluice ingest {' '.join(feeds)} ended with {process.returncode}: {errors.strip()[-800:]}")
    answer = json.loads(output)
    summaries: list[Summary] = answer if isinstance(answer, list) else [answer]
    for one in summaries:
        if one["quarantined"] or one["waiting"]:
            raise BenchmarkFailed(f"sluice ingest {one['feed']} quarantined {one['quarantined']} files and left {one['waiting']} waiting")
    by_stage: dict[str, float] = {}
    steps: dict[str, float] = {}
    for step, seconds in (item for one in summaries for item in one["step_seconds"].items()):
        steps[step] = steps.get(step, 0.0) + seconds
        by_stage[stage_of[step]] = by_stage.get(stage_of[step], 0.0) + seconds
    return Taken(time.monotonic() - begun, by_stage, usage, steps), summaries
