"""Growth: what a batch of one file costs on an empty state, on a full one, and on one of ten times the customers."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence

from sluice.cli.output import log
from tools.benchmarks.inputs import Input, Scale, synthetic
from tools.benchmarks.table import Row, figure, median_of, stages
from tools.benchmarks.world import TransactionsWorld

TIMES = 10


def growth(world: TransactionsWorld, _dataset: Input, scale: Scale) -> Iterator[Row]:
    """The median of some batches of one file each, at the default thresholds. Ten times the customers come with ten times the rows."""
    for times in (1, TIMES):
        filling = scale.growth_files * scale.rows * times
        dataset = synthetic(world.data, filling + (2 * scale.growth_batches + 1) * scale.rows, scale.customers * times)
        world.begin(dataset.importance)
        chunks = dataset.chunks(scale.rows)
        number = 1 + world.land([next(chunks)])
        world.drain()
        if times == 1:
            yield _batches(world, chunks, number, scale.growth_batches, "an almost empty state")
            number += scale.growth_batches
        for _ in range(scale.growth_files):
            number += world.land([merged(list(itertools.islice(chunks, times)))], number)
        world.drain()
        # the objects that together hold the state, merged ones instead of what they cover
        state_rows = world.count("select sum(rows) as n from state_object where not covered")
        state = f"{scale.customers * times:,} customers, {state_rows:,} rows of state"
        yield _batches(world, chunks, number, scale.growth_batches, state)


def _batches(world: TransactionsWorld, chunks: Iterator[bytes], first: int, count: int, state: str) -> Row:
    runs: list[dict[str, float]] = []
    for number in range(first, first + count):
        world.land([next(chunks)], number)
        runs.append(world.ingest().seconds)
    total = [sum(run.values()) for run in runs]
    log(f"growth, {state}: {figure(statistics.median(total))} s")
    note = f"{stages(median_of(runs))}; slowest of {count} {figure(max(total))}"
    return Row(f"a batch of one file, {state}", statistics.median(total), "s", note=note)


def merged(files: Sequence[bytes]) -> bytes:
    r"""Several files as one, with the header once.

    >>> merged([b"a,b\n1,2\n", b"a,b\n3,4\n"])
    b'a,b\n1,2\n3,4\n'
    """
    header = files[0][: files[0].index(b"\n") + 1]
    return header + b"".join(file.removeprefix(header) for file in files)
