"""Paced: one file a second, and how long each takes from landing to its delivered detections; ours in two ways, and the streaming peer."""

from __future__ import annotations

import bisect
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import peer
from benchmarks.dag_runs import INGEST
from benchmarks.errors import BenchmarkFailed
from benchmarks.inputs import Input, synthetic
from benchmarks.scale import Scale
from benchmarks.table import Row, figure
from benchmarks.world import Detections, World, same_detections
from sluice.cli.output import say

_STILL_SECONDS = 120
_IDLE_SECONDS = 20
_OURS = """
select f.key as file, extract(epoch from b.delivered_at)::float8 as at
from file f join batch b using (group_name, batch) where f.state = 'published' and b.delivered_at is not null
"""
_PEERS = """
select %s || file as file, extract(epoch from delivered_at)::float8 as at from peer_paced.done where delivered_at is not null
"""

Delivered = Mapping[str, float]


@dataclass(frozen=True)
class Pace:
    """Latencies (seconds, sorted), and how many files had landed and were not delivered: when the last landed, and at most."""

    seconds: list[float]
    backlog: int
    most: int

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent))


def paced(world: World, _given: Input, scale: Scale) -> Iterator[Row]:
    """Latency and backlog of a stream of synthetic files, after one to warm up, at the default thresholds.

    Raises:
        BenchmarkFailed: files were lost, or two ways detected different things.
    """
    given = synthetic(world.data, (scale.seconds + 1) * scale.rows)
    delivered = partial(_delivered, world, _OURS)
    ways: dict[str, tuple[Callable[[World], AbstractContextManager[object]], Callable[[], Delivered]]] = {
        "five-task DAG": (_dag, delivered),
        "follow": (_follow, delivered),
        "streaming": (_streaming, partial(_delivered, world, _PEERS, world.prefix)),
    }
    paces: dict[str, Pace] = {}
    found: dict[str, Detections] = {}
    for way, (at_work, look) in ways.items():
        world.clear(given.importance)
        with at_work(world):
            paces[way] = _measure(world, given, scale, look)
        found[way] = _peers_detections(world) if way == "streaming" else world.detections()
        say(f"paced, {way}: p50 {figure(paces[way].percentile(50))} s, p95 {figure(paces[way].percentile(95))} s")
    count = same_detections(found)
    streaming = paces.pop("streaming")
    for way, pace in paces.items():
        for name, percent in (("p50", 50.0), ("p95", 95.0), ("max", 100.0)):
            peers = {"streaming": streaming.percentile(percent)}
            yield Row(f"paced, {way}: {name}", pace.percentile(percent), "s", peers, "from the PUT's answer to all of it delivered")
        note = f"when the last file landed; at most {pace.most} (streaming {streaming.most})"
        yield Row(f"paced, {way}: backlog", pace.backlog, "files", {"streaming": streaming.backlog}, note)
    yield Row("paced: detections", count, "detections", {"streaming": count}, f"of {scale.seconds + 1} files, the same in all three")


def _measure(world: World, given: Input, scale: Scale, look: Callable[[], Delivered]) -> Pace:
    """Land a file to warm up, then one a second; wait until all are delivered."""
    chunks = given.chunks(scale.rows, scale.seconds + 1)
    world.land([next(chunks)])
    _until(look, 1)
    landed: dict[str, float] = {}
    begun = time.time()
    for number, chunk in enumerate(chunks):
        time.sleep(max(0.0, begun + number - time.time()))
        world.land([chunk], first=number + 2)
        landed[world.key(number + 2)] = time.time()
    return pace_of(landed, _until(look, len(landed) + 1))


def pace_of(landed: Mapping[str, float], delivered: Delivered) -> Pace:
    """Latencies and backlog of what landed when, and was delivered when.

    >>> pace_of({"a": 10.0, "b": 11.0}, {"a": 11.5, "b": 11.75})
    Pace(seconds=[0.75, 1.5], backlog=2, most=2)
    """
    seconds = sorted(delivered[key] - at for key, at in landed.items())
    ends = sorted(delivered[key] for key in landed)
    waiting = [number - bisect.bisect_right(ends, at) for number, at in enumerate(sorted(landed.values()), start=1)]
    return Pace(seconds, waiting[-1], max(waiting))


def _until(look: Callable[[], Delivered], files: int) -> Delivered:
    """What was delivered when, once it is everything."""
    found: Delivered = {}
    changed = time.monotonic()
    while len(found) < files:
        time.sleep(0.2)
        before, found = len(found), look()
        if len(found) != before:
            changed = time.monotonic()
        elif time.monotonic() - changed > _STILL_SECONDS:
            raise BenchmarkFailed(f"{len(found)} of {files} files are delivered, and nothing has moved for {_STILL_SECONDS} s")
    return found


def _delivered(world: World, query: str, *values: str) -> Delivered:
    there = world.ledger.row("select to_regclass('peer_paced.done') is not null as there") if values else {"there": True}
    if not there or not there["there"]:
        return {}
    return {row["file"]: row["at"] for row in world.ledger.rows(query, values)}


@contextmanager
def _dag(world: World) -> Iterator[None]:
    """The DAG as people have it: awake, on its schedule and woken by what lands."""
    world.dags.unpause(INGEST)
    yield
    world.dags.rest(INGEST)


@contextmanager
def _follow(world: World) -> Iterator[None]:
    """`sluice ingest transactions --follow`, which ends by itself when nothing comes any more."""
    log = world.state.log("bench-follow")
    with log.open("a") as said:
        command = world.command("ingest", world.spec.name, "--follow", "--idle", str(_IDLE_SECONDS))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            yield
            if process.wait(timeout=_IDLE_SECONDS + 60):
                raise BenchmarkFailed(f"sluice ingest --follow ended with {process.returncode}; see {log}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


@contextmanager
def _streaming(world: World) -> Iterator[None]:
    with world.ledger.transaction() as cursor:
        cursor.execute("drop schema if exists peer_paced cascade")
    with peer.following(world, peer.STREAMING, {}):
        yield


def _peers_detections(world: World) -> Detections:
    found = world.ledger.rows("select seq, pattern, merchant, customer from peer_paced.detection")
    return frozenset((row["seq"], row["pattern"], row["merchant"], row["customer"]) for row in found)
