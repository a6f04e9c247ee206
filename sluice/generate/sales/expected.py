"""What must come of a set: per file, per month, and who earns an incentive, after the first wave and after the second."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from include.files.keys import landing, landing_file
from sluice.generate.sales.dimension_file import DimensionFile
from sluice.generate.sales.fact_file import Planted, Written
from sluice.generate.sales.faults import About
from sluice.generate.sales.plan import FactFile
from sluice.generate.sales.population import NEW_PRICE, PRICES, STRANGE_PRICE, Numbers, Population
from sluice.generate.sales.sums import Month, MonthSums, Sums

FIRST_WAVE = 1
_MOST_LISTED = 10_000  # rejected rows that are named one by one; of a file with more they are counted by kind


@dataclass(frozen=True)
class Outcome:
    """What is known of a written file, without its sums."""

    file: FactFile | DimensionFile
    rows: int
    bytes: int
    sha256: str
    planted: Sequence[Planted] = ()

    @property
    def key(self) -> str:
        return landing_file(landing(self.file.feed), self.file.day, self.file.name)


@dataclass
class Book:
    """All sums in force after each wave. The order in which files are entered makes no difference."""

    people: Population
    waves: Sequence[int]
    after: dict[int, Sums] = field(init=False)

    def __post_init__(self) -> None:
        self.after = {wave: Sums.of(self.people) for wave in self.waves}

    def enter(self, file: FactFile, written: Written) -> None:
        """Put a file's good rows where they count: not if it is refused or a copy; what is replaced counts until it is."""
        if file.about.quarantined or file.about is About.COPY:
            return
        for wave in self.waves[self.waves.index(file.wave) :]:
            if not (file.about is About.REPLACED and wave > file.wave):
                self.after[wave].add(written.sums)


def incentive_cents(total_cents: int) -> int:
    """One percent, rounded half up.

    >>> incentive_cents(149), incentive_cents(150), incentive_cents(50)
    (1, 2, 1)
    """
    return (total_cents + 50) // 100


def described(outcome: Outcome) -> dict[str, Any]:
    """One file of `expected.json`."""
    file = outcome.file
    about = file.about if isinstance(file, FactFile) else About.NOTHING
    document: dict[str, Any] = {
        "wave": file.wave,
        "feed": file.feed,
        "dt": file.day.isoformat(),
        "name": file.name,
        "key": outcome.key,
        "format": str(file.format),
        "bytes": outcome.bytes,
        "sha256": outcome.sha256,
        "about": about.value,
        "of": file.of if isinstance(file, FactFile) else None,
        "rows": outcome.rows,
    }
    bad = len(outcome.planted)
    verdict = "quarantined" if about.quarantined else "duplicate" if about is About.COPY else "accepted"
    read = not about.lacks_column  # a file without a mandatory column is condemned by its header
    document |= {
        "verdict": verdict,
        "lines": outcome.rows if read else None,
        "accepted": outcome.rows - bad if read else None,
        "rejected": bad if read else None,
        "planted": dict(sorted(Counter(one.kind for one in outcome.planted).items())),
    }
    if 0 < bad <= _MOST_LISTED:
        document["rejects"] = [asdict(one) for one in outcome.planted]
    return document


def after_wave(people: Population, sums: Sums, wave: int) -> dict[str, Any]:
    """What the marts hold once the files up to this wave were ingested."""
    return {
        "wave": wave,
        "lines": sum(int(month.pair_lines.sum()) for month in sums.months.values()),
        "total_cents": sum(int(month.pair_cents.sum()) for month in sums.months.values()),
        "unresolved": _unresolved(people, sums, wave),
        "price_warnings": _price_warnings(people, sums, wave),
        "months": [_month(people, name, month) for name, month in sums.months.items()],
    }


def _month(people: Population, name: Month, sums: MonthSums) -> dict[str, Any]:
    by_store: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for store, seller, lines, cents in team(people, sums):
        by_store[store].append((seller, lines, cents))
    return {
        "month": name,
        "lines": int(sums.pair_lines.sum()),
        "total_cents": int(sums.pair_cents.sum()),
        "customers": int(np.count_nonzero(sums.customer_lines)),
        "stores": [_store(store, sellers) for store, sellers in sorted(by_store.items())],
    }


def _store(store: int, sellers: list[tuple[int, int, int]]) -> dict[str, Any]:
    top = max(cents for _, _, cents in sellers)
    return {
        "store_id": store,
        "lines": sum(lines for _, lines, _ in sellers),
        "total_cents": sum(cents for _, _, cents in sellers),
        "winners": [
            {"sales_person_id": seller, "total_cents": cents, "incentive_cents": incentive_cents(cents)}
            for seller, _, cents in sellers
            if cents == top
        ],
    }


def team(people: Population, sums: MonthSums) -> list[tuple[int, int, int, int]]:
    """(store, seller, lines, cents) of a month, by store and seller; a seller may have met a store as home and as guest."""
    cells: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for pair in np.nonzero(sums.pair_lines)[0].tolist():
        cell = cells[int(people.pair_store[pair]), int(people.pair_seller[pair])]
        cell[0] += int(sums.pair_lines[pair])
        cell[1] += int(sums.pair_cents[pair])
    return [(store, seller, lines, cents) for (store, seller), (lines, cents) in sorted(cells.items())]


def _unresolved(people: Population, sums: Sums, wave: int) -> dict[str, int]:
    by_customer = _over(sums, "customer_lines", people.customers.size)
    by_pair = _over(sums, "pair_lines", people.pairs)
    late = int(by_customer[people.late_customers].sum()) if wave == FIRST_WAVE else 0
    return {
        "customer_id": int(by_customer[people.unknown_customer]) + late,
        "store_id": int(by_pair[people.unknown_store]),
        "sales_person_id": int(by_pair[people.unknown_seller]),
        "product_name": int(sums.product_lines[people.unknown_product * PRICES :].sum()),
    }


def _price_warnings(people: Population, sums: Sums, wave: int) -> int:
    """Strange prices, and in the first wave the new prices that no product file has told of yet."""
    lines = sums.product_lines.reshape(-1, PRICES)[: people.unknown_product]
    untold = int(lines[people.late_changes[:-1], NEW_PRICE].sum()) if wave == FIRST_WAVE else 0
    return int(lines[:, STRANGE_PRICE].sum()) + untold


def _over(sums: Sums, what: str, size: int) -> Numbers:
    total: Numbers = sum((getattr(month, what) for month in sums.months.values()), start=np.zeros(size, np.int64))
    return total


def winners_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The (store, month) pairs whose winners the second wave made others."""
    was, now = _winners(before), _winners(after)
    return [
        {"month": month, "store_id": store, "before": was.get((month, store), []), "after": now.get((month, store), [])}
        for month, store in sorted(was.keys() | now.keys())
        if was.get((month, store)) != now.get((month, store))
    ]


def _winners(document: Mapping[str, Any]) -> dict[tuple[Month, int], list[int]]:
    return {
        (month["month"], store["store_id"]): [winner["sales_person_id"] for winner in store["winners"]]
        for month in document["months"]
        for store in month["stores"]
    }


def customer_cells(people: Population, after: Mapping[int, Sums]) -> Any:
    """Every cell of the customers' mart, after each wave."""
    pieces = []
    for wave, name, sums in _months(after):
        (here,) = np.nonzero(sums.customer_lines)
        columns = {"customer_id": people.customers[here], "lines": sums.customer_lines[here], "total_cents": sums.customer_cents[here]}
        pieces.append(_cells(wave, name, columns))
    return pa.concat_tables(pieces)


def team_cells(people: Population, after: Mapping[int, Sums]) -> Any:
    """Every cell of the sales team's mart, after each wave, with its incentive."""
    pieces = []
    for wave, name, sums in _months(after):
        cells = team(people, sums)
        top: dict[int, int] = defaultdict(int)
        for store, _, _, cents in cells:
            top[store] = max(top[store], cents)
        columns = dict(zip(("store_id", "sales_person_id", "lines", "total_cents"), zip(*cells, strict=True), strict=True))
        columns["incentive_cents"] = tuple(incentive_cents(cents) if cents == top[store] else 0 for store, _, _, cents in cells)
        pieces.append(_cells(wave, name, columns))
    return pa.concat_tables(pieces)


def _months(after: Mapping[int, Sums]) -> Iterable[tuple[int, Month, MonthSums]]:
    return ((wave, name, sums) for wave, of_wave in after.items() for name, sums in of_wave.months.items())


def _cells(wave: int, month: Month, columns: Mapping[str, Any]) -> Any:
    size = len(next(iter(columns.values())))
    return pa.table({"wave": pa.array([wave] * size, pa.int64()), "month": pa.array([month] * size, pa.string()), **columns})
