"""A day of sales through `sluice ingest`, as a person runs it: the dimensions, then the facts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.errors import BenchmarkFailed
from benchmarks.sales.peer import CHECK, LAKE, MARTS, Taken, services
from benchmarks.sales.usage import watched
from benchmarks.sales.world import DIMENSION_FEEDS, FACTS, SalesWorld

# Which of the five steps does what the peers' stages do: the marts are part of publish, the lake of deliver.
_STAGE = {"discover": CHECK, "gate": CHECK, "process": MARTS, "publish": MARTS, "deliver": LAKE}


def ingest(world: SalesWorld, *, dimensions: bool) -> Taken:
    """Everything that has landed, by the command, the Spark server it works with, and the services behind both."""
    feeds = (*(DIMENSION_FEEDS if dimensions else ()), FACTS)
    begun = time.monotonic()
    command: dict[str, int] = {}
    with watched(lambda: {**services(world, ("postgres", "s3", "spark")), **command}) as usage:
        told = _ingest(feeds, command)
    steps: dict[str, float] = {}
    stages: dict[str, float] = {}
    for step, seconds in (item for one in told for item in one["step_seconds"].items()):
        steps[step] = steps.get(step, 0.0) + seconds
        stages[_STAGE[step]] = stages.get(_STAGE[step], 0.0) + seconds
    return Taken(time.monotonic() - begun, stages, usage, steps)


def _ingest(feeds: Sequence[str], command: dict[str, int]) -> list[dict[str, Any]]:
    """What the command says of each feed; its process is in `command` meanwhile."""
    with subprocess.Popen(
        [sys.executable, "-m", "sluice", "ingest", *feeds, "--until-empty", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        command["ingest"] = process.pid
        said, complained = process.communicate()
    command.clear()
    if process.returncode:
        raise BenchmarkFailed(f"sluice ingest {' '.join(feeds)} ended with {process.returncode}: {complained.strip()[-800:]}")
    answer = json.loads(said)
    told: list[dict[str, Any]] = answer if isinstance(answer, list) else [answer]
    for one in told:
        if one["quarantined"] or one["waiting"]:
            raise BenchmarkFailed(f"sluice ingest {one['feed']} quarantined {one['quarantined']} files and left {one['waiting']} waiting")
    return told
