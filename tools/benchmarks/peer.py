"""The job of the peers of transactions, and what they answer of each pass."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from tools.benchmarks.errors import BenchmarkFailed
from tools.benchmarks.passes import started

if TYPE_CHECKING:
    from tools.benchmarks.world import Detections, TransactionsWorld

MODULES = {"streaming": "tools.benchmarks.peer_streaming", "DuckDB": "tools.benchmarks.peer_duckdb"}


@dataclass(frozen=True)
class PeerJob:
    """What a peer is to do.

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


def catch_up(world: TransactionsWorld, module: str, thresholds: Mapping[str, int], passes: Sequence[str]) -> list[Pass]:
    """Let a peer take everything that has landed, once for each pass."""
    with _started(world, module, thresholds, passes, follow=False) as process:
        return [_pass(process) for _ in passes]


@contextmanager
def following(world: TransactionsWorld, module: str) -> Iterator[subprocess.Popen[str]]:
    """Let a peer take files as they come, until the block ends."""
    with _started(world, module, {}, ["paced"], follow=True) as process:
        yield process


@contextmanager
def _started(
    world: TransactionsWorld, module: str, thresholds: Mapping[str, int], passes: Sequence[str], *, follow: bool
) -> Iterator[subprocess.Popen[str]]:
    folder = world.state.folder("peer")
    weights = folder / "weights.parquet"
    pq.write_table(world.weights(), weights)
    job = PeerJob(
        str(folder), world.bucket, world.prefix, str(weights), world.spec.parameters_from(thresholds), list(passes), follow, time.time()
    )
    with started(world.state, module, job) as process:
        yield process


def _pass(process: subprocess.Popen[str]) -> Pass:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise BenchmarkFailed(f"a peer ended with {process.wait()} and without an answer; see its log")
    answer = json.loads(line)
    return Pass(answer["name"], answer["seconds"], answer["files"], frozenset(tuple(row) for row in answer["detections"]))


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
