"""Synthetic events of stocks and mutual funds: one row after another, so that memory does not follow how many there are."""

from __future__ import annotations

import datetime as dt
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from include.files import keys

if TYPE_CHECKING:
    from include.storage.object_store import ObjectStore

FEEDS = ("stocks", "mutual_funds")
_EXCHANGES = ("XETRA", "NYSE", "LSE", "NASDAQ")
_SECTORS = ("tech", "oil", "food", "banks", "health")
_DAY_SECONDS = 86_400
_LATE = 20  # one event in so many is of the day before
_FAULTY = 100  # after so many good events comes a bad one


@dataclass(frozen=True)
class Wish:
    """How many events of both feeds together, over how many days from the first, and in files of how many rows at most.

    `companies`: half of the ids of each feed are of companies that both feeds know. `faults`: bad events come on top.
    """

    rows: int
    days: int
    file_rows: int
    companies: int
    first: dt.date
    seed: int
    faults: bool = False


@dataclass(frozen=True)
class Made:
    """What was written."""

    files: int = 0
    rows: int = 0
    bad: int = 0
    bytes: int = 0

    def __add__(self, other: Made) -> Made:
        return Made(self.files + other.files, self.rows + other.rows, self.bad + other.bad, self.bytes + other.bytes)


@dataclass(frozen=True)
class EventFile:
    """One file: an array in every third, JSON lines in the others; `rows` good events, and `bad` ones among them."""

    feed: str
    day: dt.date
    number: int
    rows: int
    bad: int

    @property
    def is_array(self) -> bool:
        return self.number % 3 == 0

    @property
    def name(self) -> str:
        return f"events_{self.number}.{'json' if self.is_array else 'jsonl'}"

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
                rows = min(count - first, wish.file_rows)
                yield EventFile(feed, wish.first + dt.timedelta(days=place), number, rows, rows // _FAULTY if wish.faults else 0)


def write(wish: Wish, file: EventFile, out: BinaryIO) -> None:
    """Write a file; the same wish makes the same bytes, in whatever order files are written."""
    before, between, after = (b"[\n", b",\n", b"\n]\n") if file.is_array else (b"", b"\n", b"\n")
    out.write(before)
    out.writelines((between if place else b"") + event for place, event in enumerate(_events(wish, file)))
    out.write(after)


def to_folder(wish: Wish, folder: Path) -> Made:
    """Write every file of a wish as `<feed>/dt=.../<name>`."""
    made = Made()
    for file in files(wish):
        path = folder / file.feed / f"dt={file.day.isoformat()}" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            write(wish, file, out)
            made += Made(1, file.rows, file.bad, out.tell())
    return made


def to_landing(wish: Wish, store: ObjectStore, bucket: str) -> Made:
    """Put every file of a wish where its feed's files land."""
    made = Made()
    for file in files(wish):
        with tempfile.TemporaryFile() as out:
            write(wish, file, out)
            made += Made(1, file.rows, file.bad, out.tell())
            out.seek(0)
            store.put(bucket, file.key, out)
    return made


def _events(wish: Wish, file: EventFile) -> Iterator[bytes]:
    dice = random.Random(f"{wish.seed} {file.number}")  # noqa: S311 (made to be the same again)
    event = _stock if file.feed == FEEDS[0] else _fund
    for row in range(1, file.rows + 1):
        good = event(dice, wish, file.day)
        yield good
        if wish.faults and row % _FAULTY == 0:
            yield _spoilt(good, row // _FAULTY, is_array=file.is_array)


def _spoilt(good: bytes, number: int, *, is_array: bool) -> bytes:
    """An event that must be refused, each in another way; in an array it can be read, for a broken one condemns its file."""
    record = json.loads(good)
    key, amount = ("stock_id", "price") if "stock_id" in record else ("fund_id", "holdings")
    ways: list[dict[str, object]] = [{"company_id": None}, {amount: -1}, {"timestamp": "soon"}, {key: "none"}]
    way = number % (len(ways) + (not is_array))
    return json.dumps({**record, **ways[way]}).encode() if way < len(ways) else good[:-3]


def _stock(dice: random.Random, wish: Wish, day: dt.date) -> bytes:
    stock_id, company = _ids(dice, wish, 0)
    record = {"stock_id": stock_id, "company_id": company, "symbol": f"S{stock_id}", "price": "?", "volume": dice.randrange(1_000_000)}
    details = {"exchange": dice.choice(_EXCHANGES), "sector": _SECTORS[company % len(_SECTORS)]}
    return _shaped({**record, "timestamp": _at(dice, day), "details": details}, dice.randrange(1, 10**9))


def _fund(dice: random.Random, wish: Wish, day: dt.date) -> bytes:
    fund_id, company = _ids(dice, wish, wish.companies // 2)
    record = {"fund_id": fund_id, "name": f"fund {fund_id}", "company_id": company, "holdings": "?", "timestamp": _at(dice, day)}
    return _shaped(record, dice.randrange(10**11))


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


def _shaped(record: dict[str, object], millionths: int) -> bytes:
    """A record with its amount by its digits, which a float would change."""
    return json.dumps(record).replace('"?"', f"{millionths // 10**6}.{millionths % 10**6:06d}").encode()
