"""Growth: what a batch of one file costs on an empty state, on a full one, and on one of ten times the customers."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence

from benchmarks.inputs import Input, synthetic
from benchmarks.scale import Scale
from benchmarks.table import Row, figure, median_of, stages
from benchmarks.world import World
from sluice.cli.output import say
from sluice.generate.transactions import CUSTOMERS

BATCHES = 8  # state objects are merged in eights, so one of the batches pays for that
TIMES = 10


def growth(world: World, _given: Input, scale: Scale) -> Iterator[Row]:
    """The median of some batches of one file each, at the default thresholds. Ten times the customers come with ten times the rows."""
    for times in (1, TIMES):
        filling = scale.growth_files * scale.rows * times
        given = synthetic(world.data, filling + (2 * BATCHES + 1) * scale.rows, CUSTOMERS * times)
        world.clear(given.importance)
        chunks = given.chunks(scale.rows)
        number = 1 + world.land([next(chunks)])
        world.drain()
        if times == 1:
            yield _batches(world, chunks, number, "an almost empty state")
            number += BATCHES
        for _ in range(scale.growth_files):
            number += world.land([merged(list(itertools.islice(chunks, times)))], number)
        world.drain()
        yield _batches(world, chunks, number, f"{CUSTOMERS * times:,} customers, {_state_rows(world):,} rows of state")


def _batches(world: World, chunks: Iterator[bytes], first: int, state: str) -> Row:
    runs: list[dict[str, float]] = []
    for number in range(first, first + BATCHES):
        world.land([next(chunks)], number)
        runs.append(world.ingest().seconds)
    total = [sum(run.values()) for run in runs]
    say(f"growth, {state}: {figure(statistics.median(total))} s")
    note = f"{stages(median_of(runs))}; slowest of {BATCHES} {figure(max(total))}"
    return Row(f"a batch of one file, {state}", statistics.median(total), "s", note=note)


def merged(files: Sequence[bytes]) -> bytes:
    r"""Several files as one, with the header once.

    >>> merged([b"a,b\n1,2\n", b"a,b\n3,4\n"])
    b'a,b\n1,2\n3,4\n'
    """
    header = files[0][: files[0].index(b"\n") + 1]
    return header + b"".join(file.removeprefix(header) for file in files)


def _state_rows(world: World) -> int:
    """Rows of the objects that together hold the state, merged ones instead of what they cover."""
    found = world.ledger.row("select sum(rows) as n from state_object where not covered")
    return int(found["n"]) if found else 0
