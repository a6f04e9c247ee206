"""A day of sales through `sluice ingest`, feed by feed, as a person or a schedule runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil

from benchmarks.errors import BenchmarkFailed
from benchmarks.sales.high_water import watched
from benchmarks.sales.peer import CHECK, LAKE, MARTS, Taken
from benchmarks.sales.world import DIMENSION_FEEDS, FACTS, SalesWorld
from sluice.services.process import running

# Which of the five steps does what the peers' stages do: the marts are part of publish, the lake of deliver.
_STAGE = {"discover": CHECK, "gate": CHECK, "process": MARTS, "publish": MARTS, "deliver": LAKE}


def ingest(world: SalesWorld, *, dimensions: bool) -> Taken:
    """Everything that has landed. The memory is the command's with its children, and that of the Spark server it works with."""
    stages: dict[str, float] = {}
    begun = time.monotonic()
    command: list[psutil.Process] = []
    with watched(lambda: [*command, *_spark(world)]) as marks:
        for feed in (*(DIMENSION_FEEDS if dimensions else ()), FACTS):
            for step, seconds in _ingest_one(feed, command).items():
                stages[_STAGE.get(step, step)] = stages.get(_STAGE.get(step, step), 0.0) + seconds
    return Taken(time.monotonic() - begun, stages, marks.bytes)


def _ingest_one(feed: str, command: list[psutil.Process]) -> dict[str, float]:
    with subprocess.Popen(
        [sys.executable, "-m", "sluice", "ingest", feed, "--until-empty", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        command[:] = [psutil.Process(process.pid)]
        said, complained = process.communicate()
    command.clear()
    if process.returncode:
        raise BenchmarkFailed(f"sluice ingest {feed} ended with {process.returncode}: {complained.strip()[-800:]}")
    told = json.loads(said)
    if told["quarantined"] or told["waiting"]:
        raise BenchmarkFailed(f"sluice ingest {feed} quarantined {told['quarantined']} files and left {told['waiting']} waiting")
    steps: dict[str, float] = told["step_seconds"]
    return steps


def _spark(world: SalesWorld) -> list[psutil.Process]:
    leader = running(world.state, "spark")
    return [leader] if leader else []
