"""The sets of finance that the benchmark lands."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from benchmarks.plain import PlainWorld
from include.ingestion.keys import landing, landing_file, natural_order
from sluice.cli.output import say
from sluice.generate.finance import FEEDS, Wish, files, to_folder

_FIRST = dt.date(2026, 1, 1)
_SEED = 1
_MB = 1_000_000


@dataclass(frozen=True)
class FinanceSet:
    """A generated set in its folder."""

    folder: Path
    wish: Wish

    def events(self, feed: str) -> int:
        """Good and bad ones."""
        return sum(file.rows + file.bad for file in files(self.wish) if file.feed == feed)

    @property
    def all_events(self) -> int:
        return sum(map(self.events, FEEDS))

    @property
    def bad(self) -> int:
        return sum(file.bad for file in files(self.wish))

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("events_*"))


class FinanceWorld(PlainWorld):
    """With the sets of finance."""

    def generated(self, rows: int, companies: int) -> FinanceSet:
        """A set of these arguments, made once and kept."""
        wish = Wish(rows, 3, 100_000, companies, _FIRST, _SEED, faults=True)
        kept = self.state.folder("data") / f"finance-{rows}-{companies}-{_SEED}"
        if not kept.is_dir():
            draft = kept.with_name(f"{kept.name}.new")
            made = to_folder(wish, draft)
            draft.rename(kept)
            say(f"generated {made.rows:,} events and {made.bad:,} bad ones, {made.bytes / _MB:,.0f} MB")
        return FinanceSet(kept, wish)

    def land(self, given: FinanceSet) -> None:
        for feed in FEEDS:
            for path in sorted(given.folder.glob(f"{feed}/dt=*/*")):
                day = dt.date.fromisoformat(path.parent.name.removeprefix("dt="))
                self.put(path, landing_file(landing(feed), day, path.name))

    def landed(self) -> dict[str, list[str]]:
        """What lies there of each feed, in its order."""
        return {feed: sorted(self.keys(landing(feed)), key=natural_order) for feed in FEEDS}
