"""`sluice ingest` as a person runs it: the command, the Spark server it works with, and the services behind both, watched."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.errors import BenchmarkFailed
from benchmarks.plain import PlainWorld
from benchmarks.staged import Taken, services
from benchmarks.usage import watched

COMMAND = "ingest"
Told = dict[str, Any]


def ingest(world: PlainWorld, feeds: Sequence[str], stage_of: Mapping[str, str]) -> tuple[Taken, list[Told]]:
    """Everything of these feeds that has landed: what it took, and what the command says of each feed.

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
            [sys.executable, "-m", "sluice", "ingest", *feeds, "--until-empty", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        alive[COMMAND] = process.pid
        said, complained = process.communicate()
        alive.clear()
    if process.returncode:
        raise BenchmarkFailed(f"sluice ingest {' '.join(feeds)} ended with {process.returncode}: {complained.strip()[-800:]}")
    answer = json.loads(said)
    told: list[Told] = answer if isinstance(answer, list) else [answer]
    for one in told:
        if one["quarantined"] or one["waiting"]:
            raise BenchmarkFailed(f"sluice ingest {one['feed']} quarantined {one['quarantined']} files and left {one['waiting']} waiting")
    stages: dict[str, float] = {}
    steps: dict[str, float] = {}
    for step, seconds in (item for one in told for item in one["step_seconds"].items()):
        steps[step] = steps.get(step, 0.0) + seconds
        stages[stage_of[step]] = stages.get(stage_of[step], 0.0) + seconds
    return Taken(time.monotonic() - begun, stages, usage, steps), told
