"""Catch-up: files that have landed while nobody looked, ours and the peers', and whether all detect the same."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping

from sluice.cli.output import log
from sluice.runtime import now
from tools.benchmarks import peer
from tools.benchmarks.dag_runs import INGEST
from tools.benchmarks.errors import BenchmarkFailed
from tools.benchmarks.inputs import Input, Scale
from tools.benchmarks.table import Row, median_of, spread, stages
from tools.benchmarks.world import Detections, TransactionsWorld, same_detections

Timed = tuple[float, Mapping[str, float]]


def catchup(world: TransactionsWorld, dataset: Input, scale: Scale) -> Iterator[Row]:
    """Seconds and rows a second: through the command, in one process, as one Airflow run, and by both peers.

    Raises:
        BenchmarkFailed: two of them found different detections, or a file was refused.
    """
    found: dict[str, Detections] = {}
    ways: dict[str, tuple[Callable[[TransactionsWorld, Scale], Timed], str]] = {
        "in one process": (_in_process, "warm"),
        "sluice ingest": (_by_command, "its start included"),
        "one Airflow run": (_by_airflow, "from trigger to end"),
    }
    if world.dags is None:
        del ways["one Airflow run"]
    measured: dict[str, list[Timed]] = {}
    for way, (take, _) in ways.items():
        _warm_up(world, dataset, scale, airflow=take is _by_airflow)
        measured[way] = []
        for number in range(scale.repeats):
            files = _land(world, dataset, scale)
            measured[way].append(take(world, scale))
            log(f"catch-up, {way} ({number + 1}): {measured[way][-1][0]:.1f} s")
            world.clean_history(files)
            found[f"{way} ({number + 1})"] = world.detections()
    rows = world.count("select sum(accepted) as n from file")
    peers = _peers(world, dataset, scale, found)
    count = same_detections(found)
    for way, (_, how) in ways.items():
        seconds = [timed for timed, _ in measured[way]]
        steps = stages(median_of([by_step for _, by_step in measured[way]]))
        note = f"{how}; {spread(seconds)}; {steps}"
        yield Row(f"catch-up of {rows:,} rows, {way}", statistics.median(seconds), "s", peers, note)
        yield Row(f"catch-up, {way}: rows a second", rows / statistics.median(seconds), "rows/s", {k: rows / v for k, v in peers.items()})
    yield Row("catch-up: detections", count, "detections", dict.fromkeys(peers, count), f"the same in all {len(found)} passes")


def _warm_up(world: TransactionsWorld, dataset: Input, scale: Scale, *, airflow: bool) -> None:
    """One batch of one file, so that no figure holds a first time."""
    world.begin(dataset.importance)
    world.land(dataset.chunks(scale.rows, 1))
    if airflow:
        _by_airflow(world, scale)
    else:
        world.drain(scale.thresholds)


def _land(world: TransactionsWorld, dataset: Input, scale: Scale) -> int:
    """Everything as on the first day, and the files there; how many they are."""
    world.begin(dataset.importance)
    return world.land(dataset.chunks(scale.rows, scale.files))


def _in_process(world: TransactionsWorld, scale: Scale) -> Timed:
    begun = time.perf_counter()
    progress = world.drain(scale.thresholds)
    return time.perf_counter() - begun, progress.seconds


def _by_command(world: TransactionsWorld, scale: Scale) -> Timed:
    options = [word for name, value in scale.thresholds.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    begun = time.perf_counter()
    summary = world.sluice("ingest", world.spec.name, "--until-empty", *options)
    seconds = time.perf_counter() - begun
    steps: dict[str, float] = summary["step_seconds"]
    return seconds, {"start": seconds - sum(steps.values()), **steps}


def _by_airflow(world: TransactionsWorld, scale: Scale) -> Timed:
    """One run of a DAG that is awake, from its trigger to its end. The feed is paused until then, so that no run takes the files before.

    A run that the watcher woke at the same moment may be the one that takes them; then its end counts, unless it was to have thresholds.
    """
    assert world.dags is not None
    world.ledger.admin.pause(world.spec.name, "benchmarks")
    world.dags.unpause(INGEST)
    world.dags.wait_until_idle(INGEST)
    triggered = now()
    world.ledger.admin.resume(world.spec.name)
    by_hand = world.dags.measured(INGEST, scale.thresholds)
    takers = {str(batch["run_id"]).rpartition(f":{INGEST}:")[2] for batch in world.ledger.queries.list_batches(world.spec.name)}
    if len(takers) != 1 or (scale.thresholds and takers != {by_hand.run_id}):
        raise BenchmarkFailed(f"not one run by hand took the files, but {', '.join(sorted(takers)) or 'none'}: measure again")
    run = world.dags.ended(INGEST, takers.pop(), triggered)
    world.dags.rest(INGEST)
    return run.seconds, run.tasks


def _peers(world: TransactionsWorld, dataset: Input, scale: Scale, found: dict[str, Detections]) -> dict[str, float]:
    """Seconds of each peer, cold (with the start of its process) and warm."""
    files = _land(world, dataset, scale)
    warm = [f"warm_{number + 1}" for number in range(max(scale.repeats - 1, 1))]
    seconds: dict[str, float] = {}
    for name in scale.peers:
        cold, *others = peer.catch_up(world, peer.MODULES[name], scale.thresholds, ["cold", *warm])
        for one in (cold, *others):
            if one.files != files:
                raise BenchmarkFailed(f"{name} took {one.files} of {files} files")
            found[f"{name}, {one.name}"] = one.detections
            log(f"catch-up, {name}, {one.name}: {one.seconds:.1f} s")
        seconds |= {f"{name} cold": cold.seconds, f"{name} warm": statistics.median(one.seconds for one in others)}
    return seconds
