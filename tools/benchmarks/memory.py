"""Memory of each service: idle, and the most it had while a catch-up ran through Airflow."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.services import process
from sluice.services.catalogue import all_services
from tools.benchmarks.dag_runs import INGEST
from tools.benchmarks.inputs import Input, Scale
from tools.benchmarks.table import Row
from tools.benchmarks.usage import MB, repeated
from tools.benchmarks.world import TransactionsWorld

_SAMPLE_EVERY_SECONDS = 0.5


def memory(world: TransactionsWorld, dataset: Input, scale: Scale) -> Iterator[Row]:
    """PSS: a page that processes share is counted once among them. The sum at work is of one moment, so below the sum of the peaks."""
    idle, peaks = _in_use(world), dict[str, int]()

    def sample() -> None:
        for name, size in _in_use(world).items():
            peaks[name] = max(peaks.get(name, 0), size)

    world.begin(dataset.importance)
    world.land(dataset.chunks(scale.rows, scale.files))
    with repeated(sample, _SAMPLE_EVERY_SECONDS):
        if world.dags is None:
            world.drain(scale.thresholds)
        else:
            world.dags.unpause(INGEST)
            world.dags.wait_until_idle(INGEST)
            world.dags.measured(INGEST, scale.thresholds)
        sample()  # however soon it was over
    if world.dags is not None:
        world.dags.rest(INGEST)
    for service, at_work in peaks.items():
        yield Row(f"memory, {service}: most at work", at_work / MB, "MB", note=f"idle {idle[service] / MB:.0f}")


def _in_use(world: TransactionsWorld) -> dict[str, int]:
    """Bytes of each service with all its children as they are now, and of all together."""
    found = {service.name: process.memory(process.family(world.state, service.name)) for service in all_services(world.state)}
    return {**found, "all together": sum(found.values())}
