"""How a peer is run: a process of its own that is told its job as JSON, and answers in lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from benchmarks.errors import BenchmarkFailed
from sluice.services.java import find_java
from sluice.services.process import clean_environment
from sluice.services.spark import spark_home
from sluice.services.state import LOOPBACK, State

if TYPE_CHECKING:
    from benchmarks.world import Detections, World

STREAMING, DUCKDB = "benchmarks.peer_streaming", "benchmarks.peer_duckdb"


@dataclass(frozen=True)
class PeerJob:
    """What a peer is asked.

    Attributes:
        folder: it may write here.
        bucket, prefix: the files, which it takes in the order of their keys.
        weights: a Parquet file with customer, merchant, weight_nano.
        thresholds: of the three rules.
        passes: names; in each it begins with nothing and takes all files, the first is cold.
        follow: it takes files as they come, until its input ends; one pass.
        started: when it was started (seconds since the epoch).
    """

    folder: str
    bucket: str
    prefix: str
    weights: str
    thresholds: Mapping[str, int]
    passes: Sequence[str]
    follow: bool
    started: float


@dataclass(frozen=True)
class Pass:
    """One pass of a peer over all files. Seconds of a cold one count from the start of its process."""

    name: str
    seconds: float
    files: int
    detections: Detections


def read_job() -> PeerJob:
    """In the peer: its job, the first line of its input."""
    return PeerJob(**json.loads(sys.stdin.readline()))


def answer(**said: Any) -> None:
    """In the peer: one line of its answer."""
    print(json.dumps(said), flush=True)


def catch_up(world: World, module: str, thresholds: Mapping[str, int], passes: Sequence[str]) -> list[Pass]:
    """Let a peer take everything that has landed, once for each pass."""
    with _started(world, module, thresholds, passes, follow=False) as process:
        return [_pass(process) for _ in passes]


@contextmanager
def following(world: World, module: str, thresholds: Mapping[str, int]) -> Iterator[subprocess.Popen[str]]:
    """Let a peer take files as they come, until the block ends."""
    with _started(world, module, thresholds, ["paced"], follow=True) as process:
        yield process


@contextmanager
def _started(
    world: World, module: str, thresholds: Mapping[str, int], passes: Sequence[str], *, follow: bool
) -> Iterator[subprocess.Popen[str]]:
    folder = world.state.folder("peer")
    weights = folder / "weights.parquet"
    pq.write_table(world.weights(), weights)
    told = {**world.spec.parameters_from(thresholds)}
    log = world.state.log(module.rpartition(".")[2])
    with log.open("a") as errors:
        job = PeerJob(str(folder), world.bucket, world.prefix, str(weights), told, list(passes), follow, time.time())
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=peer_environment(world.state),
            cwd=world.state.project,
        )
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
            yield process
            process.stdin.close()
            if process.wait(timeout=120):
                raise BenchmarkFailed(f"{module} ended with {process.returncode}; see {log}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _pass(process: subprocess.Popen[str]) -> Pass:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise BenchmarkFailed(f"a peer ended with {process.wait()} and without an answer; see its log")
    said = json.loads(line)
    return Pass(said["name"], said["seconds"], said["files"], frozenset(tuple(row) for row in said["detections"]))


def peer_environment(state: State) -> dict[str, str]:
    """The services as `sluice env` names them, without the Spark server: a peer brings its own engine."""
    from sluice.services.environment import environment

    told = {name: value for name, value in environment(state).items() if name != "SPARK_REMOTE"}
    spark = {
        "JAVA_HOME": str(find_java(state).home),
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": LOOPBACK,
        "PYSPARK_PYTHON": sys.executable,
        "SLUICE_STATE": str(state.root),
    }
    return clean_environment() | told | spark


def write_detections(client: Any, job: PeerJob, name: str, seq: int, rows: Sequence[tuple[str, str, str]]) -> None:
    """In the peer: one file's detections as CSV objects of at most 50, which is how ours are delivered."""
    for first in range(0, len(rows), 50):
        lines = "".join(f"{pattern},{customer},{merchant}\n" for pattern, merchant, customer in rows[first : first + 50])
        key = f"peer/{name}/detections_{seq:05d}_{first:05d}.csv"
        client.put_object(Bucket=job.bucket, Key=key, Body=f"patternId,customerName,MerchantId\n{lines}".encode())


def folder_of(job: PeerJob, name: str) -> Path:
    """In the peer: a new folder for a pass."""
    import shutil

    folder = Path(job.folder) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
