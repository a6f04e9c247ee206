"""Synthetic events of stocks and mutual funds: one row after another, so that memory does not follow how many there are."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from include.ingestion import keys

FEEDS = ("stocks", "mutual_funds")
_EXCHANGES = ("XETRA", "NYSE", "LSE", "NASDAQ")
_SECTORS = ("tech", "oil", "food", "banks", "health")
_DAY_SECONDS = 86_400
_LATE = 20  # one event in so many is of the day before


@dataclass(frozen=True)
class Wish:
    """How many events of both feeds together, over how many days from the first, and in files of how many rows at most.

    `companies`: half of the ids of each feed are of companies that both feeds know.
    """

    rows: int
    days: int
    file_rows: int
    companies: int
    first: dt.date
    seed: int


@dataclass(frozen=True)
class EventFile:
    """One file: an array in every third, JSON lines in the others."""

    feed: str
    day: dt.date
    number: int
    rows: int

    @property
    def name(self) -> str:
        return f"events_{self.number}.{'json' if self.number % 3 == 0 else 'jsonl'}"

    @property
    def key(self) -> str:
        return keys.landing_file(keys.landing(self.feed), self.day, self.name)


def files(wish: Wish) -> Iterator[EventFile]:
    """The files of a wish, by day; two thirds of the events are of stocks."""
    number = 0
    for place in range(wish.days):
        of_day = wish.rows * (place + 1) // wish.days - wish.rows * place // wish.days
        funds = of_day // 3
        for feed, count in zip(FEEDS, (of_day - funds, funds), strict=True):
            for first in range(0, count, wish.file_rows):
                number += 1
                yield EventFile(feed, wish.first + dt.timedelta(days=place), number, min(count - first, wish.file_rows))


def write(wish: Wish, file: EventFile, out: BinaryIO) -> None:
    """Write a file; the same wish makes the same bytes, in whatever order files are written."""
    dice = random.Random(f"{wish.seed} {file.number}")  # noqa: S311 (made to be the same again)
    event = _stock if file.feed == FEEDS[0] else _fund
    before, between, after = (b"[\n", b",\n", b"\n]\n") if file.name.endswith(".json") else (b"", b"\n", b"\n")
    out.write(before)
    out.writelines((between if row else b"") + event(dice, wish, file.day) for row in range(file.rows))
    out.write(after)


def to_all(wish: Wish, opened: Callable[[EventFile], BinaryIO], done: Callable[[EventFile, BinaryIO], None]) -> tuple[int, int]:
    """Write every file of a wish where `opened` says; how many files and bytes."""
    count = size = 0
    for file in files(wish):
        with opened(file) as out:
            write(wish, file, out)
            size += out.tell()
            done(file, out)
        count += 1
    return count, size


def _stock(dice: random.Random, wish: Wish, day: dt.date) -> bytes:
    stock_id, company = _ids(dice, wish, 0)
    said = {"stock_id": stock_id, "company_id": company, "symbol": f"S{stock_id}", "price": "?", "volume": dice.randrange(1_000_000)}
    details = {"exchange": dice.choice(_EXCHANGES), "sector": _SECTORS[company % len(_SECTORS)]}
    return _told({**said, "timestamp": _at(dice, day), "details": details}, dice.randrange(1, 10**9))


def _fund(dice: random.Random, wish: Wish, day: dt.date) -> bytes:
    fund_id, company = _ids(dice, wish, wish.companies // 2)
    said = {"fund_id": fund_id, "name": f"fund {fund_id}", "company_id": company, "holdings": "?", "timestamp": _at(dice, day)}
    return _told(said, dice.randrange(10**11))


def _ids(dice: random.Random, wish: Wish, first_company: int) -> tuple[int, int]:
    """An id and its company: two ids a company, always of the same one."""
    key = dice.randrange(2 * wish.companies)
    return key, first_company + key // 2


def _at(dice: random.Random, day: dt.date) -> str | int:
    """An instant of the day, sometimes of the day before, in one of the ways in which it may be written."""
    late = dice.randrange(_LATE) == 0
    at = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC) + dt.timedelta(seconds=dice.randrange(_DAY_SECONDS) - late * _DAY_SECONDS)
    ways: tuple[str | int, ...] = (at.isoformat(), int(at.timestamp()), int(at.timestamp()) * 1000, at.strftime("%Y-%m-%d %H:%M:%SZ"))
    return dice.choice(ways)


def _told(said: dict[str, object], millionths: int) -> bytes:
    """A record with its amount by its digits, which a float would change."""
    return json.dumps(said).replace('"?"', f"{millionths // 10**6}.{millionths % 10**6:06d}").encode()
