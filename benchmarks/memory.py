"""Memory of each service: idle, and the most it had while a catch-up ran through Airflow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.dag_runs import INGEST
from benchmarks.inputs import Input
from benchmarks.scale import Scale
from benchmarks.table import Row
from benchmarks.world import World
from sluice.services import process
from sluice.services.catalogue import all_services

_MB = 1_000_000
_LOOK_EVERY_SECONDS = 0.5


def memory(world: World, given: Input, scale: Scale) -> Iterator[Row]:
    """PSS: a page that processes share is counted once among them. The sum at work is of one moment, so below the sum of the peaks."""
    idle = look(world)
    world.clear(given.importance)
    world.land(given.chunks(scale.rows, scale.files))
    with _peaks(world) as peaks:
        world.dags.unpause(INGEST)
        world.dags.settle(INGEST)
        world.dags.measured(INGEST, scale.thresholds)
    world.dags.rest(INGEST)
    for service, at_work in peaks.items():
        note = f"idle {idle.get(service, sum(idle.values())) / _MB:.0f}"
        yield Row(f"memory, {service}: most at work", at_work / _MB, "MB", note=note)


def look(world: World) -> dict[str, int]:
    """Bytes of each service with all its children, as they are now."""
    return {service.name: process.memory(process.family(world.state, service.name)) for service in all_services(world.state)}


@contextmanager
def _peaks(world: World) -> Iterator[dict[str, int]]:
    """The most each service has while the block runs, and the most they have together."""
    peaks: dict[str, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY_SECONDS):
            now = look(world)
            for name, size in {**now, "all together": sum(now.values())}.items():
                peaks[name] = max(peaks.get(name, 0), size)

    watcher = threading.Thread(target=watch, name="memory")
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()
