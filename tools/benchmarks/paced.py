"""Paced: one file a second, and how long each takes from landing to delivered detections; ours in two ways, and the peers that follow."""

from __future__ import annotations

import bisect
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np

from sluice.cli.output import log
from tools.benchmarks import peer
from tools.benchmarks.dag_runs import INGEST
from tools.benchmarks.errors import BenchmarkFailed
from tools.benchmarks.inputs import Input, Scale, synthetic
from tools.benchmarks.table import Row, figure
from tools.benchmarks.world import Detections, TransactionsWorld, same_detections

_STILL_SECONDS = 120
_OURS = """
select f.key as file, extract(epoch from b.delivered_at)::float8 as at
from file f join batch b using (group_name, batch) where f.state = 'published' and b.delivered_at is not null
"""
_PEERS = """
select %s || file as file, extract(epoch from delivered_at)::float8 as at from peer_paced.done where delivered_at is not null
"""

Delivered = Mapping[str, float]


@dataclass(frozen=True)
class Way:
    """How files are taken while a block lasts, which were delivered when, and what was detected in them."""

    at_work: Callable[[TransactionsWorld, Scale], AbstractContextManager[object]]
    delivered: Callable[[TransactionsWorld], Delivered]
    detections: Callable[[TransactionsWorld], Detections]


@dataclass(frozen=True)
class Pace:
    """Latencies (seconds, sorted), and how many files had landed and were not delivered: when the last landed, and at most."""

    seconds: list[float]
    backlog: int
    most: int

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent))


def paced(world: TransactionsWorld, _dataset: Input, scale: Scale) -> Iterator[Row]:
    """Latency and backlog of a stream of synthetic files, after one to warm up, at the default thresholds.

    Raises:
        BenchmarkFailed: files were lost, or two ways detected different things.
    """
    dataset = synthetic(world.data, (scale.seconds + 1) * scale.rows, scale.customers)
    ours = {name: way for name, way in OURS.items() if name != DAG or world.dags is not None}
    peers = {name: PEERS[name] for name in scale.peers if name in PEERS}
    paces: dict[str, Pace] = {}
    found: dict[str, Detections] = {}
    for name, way in {**ours, **peers}.items():
        world.begin(dataset.importance)
        with way.at_work(world, scale):
            paces[name] = _measure(world, dataset, scale, way)
        found[name] = way.detections(world)
        log(f"paced, {name}: p50 {figure(paces[name].percentile(50))} s, p95 {figure(paces[name].percentile(95))} s")
    count = same_detections(found)
    for name in ours:
        for label, percent in (("p50", 50.0), ("p95", 95.0), ("max", 100.0)):
            theirs = {peer: paces[peer].percentile(percent) for peer in peers}
            yield Row(
                f"paced, {name}: {label}", paces[name].percentile(percent), "s", theirs, "from the PUT's answer to all of it delivered"
            )
        note = f"when the last file landed; at most {paces[name].most}" + "".join(f" ({peer} {paces[peer].most})" for peer in peers)
        yield Row(f"paced, {name}: backlog", paces[name].backlog, "files", {peer: paces[peer].backlog for peer in peers}, note)
    note = f"of {scale.seconds + 1} files, the same in all {len(found)} ways"
    yield Row("paced: detections", count, "detections", dict.fromkeys(peers, count), note)


def _measure(world: TransactionsWorld, dataset: Input, scale: Scale, way: Way) -> Pace:
    """Land a file to warm up, then one a second; wait until all are delivered."""
    chunks = dataset.chunks(scale.rows, scale.seconds + 1)
    world.land([next(chunks)])
    _all_delivered(world, way, 1)
    landed: dict[str, float] = {}
    begun = time.time()
    for number, chunk in enumerate(chunks):
        time.sleep(max(0.0, begun + number - time.time()))
        world.land([chunk], first=number + 2)
        landed[world.key(number + 2)] = time.time()
    return pace_of(landed, _all_delivered(world, way, len(landed) + 1))


def pace_of(landed: Mapping[str, float], delivered: Delivered) -> Pace:
    """Latencies and backlog of what landed when, and was delivered when.

    >>> pace_of({"a": 10.0, "b": 11.0}, {"a": 11.5, "b": 11.75})
    Pace(seconds=[0.75, 1.5], backlog=2, most=2)
    """
    seconds = sorted(delivered[key] - at for key, at in landed.items())
    ends = sorted(delivered[key] for key in landed)
    waiting = [number - bisect.bisect_right(ends, at) for number, at in enumerate(sorted(landed.values()), start=1)]
    return Pace(seconds, waiting[-1], max(waiting))


def _all_delivered(world: TransactionsWorld, way: Way, files: int) -> Delivered:
    """What was delivered when, once it is everything."""
    found: Delivered = {}
    changed = time.monotonic()
    while len(found) < files:
        time.sleep(0.2)
        before, found = len(found), way.delivered(world)
        if len(found) != before:
            changed = time.monotonic()
        elif time.monotonic() - changed > _STILL_SECONDS:
            raise BenchmarkFailed(f"{len(found)} of {files} files are delivered, and nothing has moved for {_STILL_SECONDS} s")
    return found


@contextmanager
def _dag(world: TransactionsWorld, _scale: Scale) -> Iterator[None]:
    """The DAG as people have it: awake, on its schedule and woken by what lands."""
    assert world.dags is not None
    world.dags.unpause(INGEST)
    yield
    world.dags.rest(INGEST)


@contextmanager
def _follow(world: TransactionsWorld, scale: Scale) -> Iterator[None]:
    """`sluice ingest transactions --follow`, which ends by itself when nothing comes any more."""
    log = world.state.log("bench-follow")
    with log.open("a") as output:
        command = world.command("ingest", world.spec.name, "--follow", "--idle", str(scale.idle))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            yield
            if process.wait(timeout=scale.idle + 60):
                raise BenchmarkFailed(f"sluice ingest --follow ended with {process.returncode}; see {log}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def _delivered(world: TransactionsWorld) -> Delivered:
    return {row["file"]: row["at"] for row in world.ledger.rows(_OURS)}


def _delivered_by_peer(world: TransactionsWorld) -> Delivered:
    there = world.ledger.rows("select from pg_tables where schemaname = 'peer_paced' and tablename = 'done'")
    return {row["file"]: row["at"] for row in world.ledger.rows(_PEERS, (world.prefix,))} if there else {}


def _detected_by_peer(world: TransactionsWorld) -> Detections:
    found = world.ledger.rows("select seq, pattern, merchant, customer from peer_paced.detection")
    return frozenset((row["seq"], row["pattern"], row["merchant"], row["customer"]) for row in found)


DAG = "five-task DAG"
OURS = {
    DAG: Way(_dag, _delivered, TransactionsWorld.detections),
    "follow": Way(_follow, _delivered, TransactionsWorld.detections),
}
PEERS = {"streaming": Way(lambda world, _: peer.following(world, peer.MODULES["streaming"]), _delivered_by_peer, _detected_by_peer)}
