"""A day of sales through `sluice ingest`: the dimensions, then the facts."""

from __future__ import annotations

from benchmarks import command
from benchmarks.sales.peer import CHECK, LAKE, MARTS
from benchmarks.sales.world import DIMENSION_FEEDS, FACTS, SalesWorld
from benchmarks.staged import Taken

# Which of the five steps does what the peers' stages do: the marts are part of publish, the lake of deliver.
_STAGE = {"discover": CHECK, "gate": CHECK, "process": MARTS, "publish": MARTS, "deliver": LAKE}


def ingest(world: SalesWorld, *, dimensions: bool) -> Taken:
    """Everything that has landed."""
    taken, _ = command.ingest(world, (*(DIMENSION_FEEDS if dimensions else ()), FACTS), _STAGE)
    return taken
