"""The sets of sales that the benchmark lands."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.plain import PlainWorld
from include.ingestion.keys import landing, landing_file
from sluice.cli.output import say
from sluice.generate.sales.command import Wish, request, to_folder
from sluice.generate.sales.dimension_file import DIMENSIONS
from sluice.generate.sales.formats import Format
from sluice.generate.sales.population import Sizes

DIMENSION_FEEDS = tuple(DIMENSIONS)
FACTS = "sales"
_MB = 1_000_000


@dataclass(frozen=True)
class SalesSet:
    """A generated set in its folder."""

    folder: Path

    @property
    def fact_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob(f"{FACTS}/*/*"))

    def files(self, feed: str) -> list[Path]:
        return sorted(self.folder.glob(f"{feed}/dt=*/*"))


class SalesWorld(PlainWorld):
    """With the sets of sales."""

    def generated(self, name: str, wish: Wish, seed: int, sizes: Sizes, kind: Format, start: str) -> SalesSet:
        """A set of these arguments, made once and kept."""
        asked = request(wish, seed, dt.date.fromisoformat(start), [kind], sizes, faults=False)
        folder = self.state.folder("data") / f"sales-{name}-{asked.rows}-{asked.days}-{seed}-{kind}-{sizes.customers}-{sizes.stores}"
        if not (folder / "expected.json").is_file():
            made = to_folder(asked, folder, os.cpu_count() or 1, say)
            say(f"generated {made.bytes / _MB:,.0f} MB in {made.seconds:.1f} s, {made.mb_a_core_second:.0f} MB/s a core")
        return SalesSet(folder)

    def land(self, given: SalesSet, feeds: Sequence[str]) -> int:
        """Put a set's files of these feeds; how many they were."""
        files = [(feed, path) for feed in feeds for path in given.files(feed)]
        for feed, path in files:
            day = dt.date.fromisoformat(path.parent.name.removeprefix("dt="))
            self.put(path, landing_file(landing(feed), day, path.name))
        return len(files)
