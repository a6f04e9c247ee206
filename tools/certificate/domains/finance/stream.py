"""A small stream of stocks and mutual funds, the same for the same seed: all formats and faults, many ties, instants out of order."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from include.domains.finance.feeds import FORMATS
from tools.certificate.stream import DAY, After, Fix, Replay, Stream, Wave, as_csv, as_named

STOCKS, FUNDS = "stocks", "mutual_funds"
CHUNK_ROWS = 5
LATE_DAY = "dt=2026-09-03"
NEXT_DAY = "dt=2026-11-02"
COLUMNS = {
    STOCKS: ("stock_id", "company_id", "symbol", "price", "volume", "timestamp", "exchange", "sector"),
    FUNDS: ("fund_id", "name", "company_id", "holdings", "timestamp"),
}
BROKEN_LINE = '{"stock_id": 1, "company_id"'
_NESTED = ("exchange", "sector")
_NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
_OFFSET = dt.timezone(dt.timedelta(hours=5, minutes=30))

Row = Mapping[str, Any]
Landed = tuple[str, bytes]


def finance(seed: int) -> Stream:
    """The stream for a seed, with another output format for each of four."""
    return _stream(seed, FORMATS[seed % len(FORMATS)])


def as_scheduled(seed: int) -> Stream:
    """The stream for runs that the schedule makes: they have the feeds' own format."""
    return _stream(seed, FORMATS[0])


def _stream(seed: int, output_format: str) -> Stream:
    made = _Files(random.Random(f"stream of finance {seed}"))
    waves = (_first(made), _of_known_keys(made), _before_publication(made), _put_right(made))
    return Stream(waves, STOCKS, CHUNK_ROWS, {"output_format": output_format})


class _Files:
    """Makes files, and remembers those that later waves come back to."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._ways = itertools.cycle((_zoned, _with_offset, _seconds, _without_zone, _milliseconds))
        self.bodies: dict[str, bytes] = {}

    def rows(self, feed: str, count: int = CHUNK_ROWS, **columns: Any) -> list[Row]:
        make = self._stock if feed == STOCKS else self._fund
        return [make() | columns for _ in range(count)]

    def landed(self, feed: str, name: str, rows: Sequence[Row] | None = None, day: str = DAY) -> Landed:
        """Rows, drawn where none are given, under a key whose ending says how."""
        return self.bytes_landed(feed, name, _body(feed, name, self.rows(feed) if rows is None else rows), day)

    def bytes_landed(self, feed: str, name: str, body: bytes, day: str = DAY) -> Landed:
        self.bodies[name] = body
        return f"landing/{feed}/{day}/{name}", body

    def lines(self, count: int, broken: Sequence[int] = ()) -> bytes:
        """JSON lines of stocks, some of them broken off."""
        lines = _body(STOCKS, ".jsonl", self.rows(STOCKS, count)).decode().splitlines()
        return "".join(f"{BROKEN_LINE if number in broken else line}\n" for number, line in enumerate(lines, 1)).encode()

    def source(self, count: int) -> bytes:
        return _body(STOCKS, ".csv", self.rows(STOCKS, count))

    def _stock(self) -> dict[str, Any]:
        key = self._chance.randint(1, 7)
        return {
            "stock_id": key,
            "company_id": self._chance.randint(1, 3),
            "symbol": self._chance.choice((f"S{key}", 'é "q", s', None)),
            "price": Decimal(self._chance.randrange(10**8)) / 10 ** self._chance.randrange(7),
            "volume": self._chance.choice((0, self._chance.randrange(10**6), 2**62)),
            "timestamp": self._instant(),
            "exchange": self._chance.choice(("XETRA", "NYSE", None)),
            "sector": self._chance.choice(("tech", "oil")),
        }

    def _fund(self) -> dict[str, Any]:
        key = self._chance.randint(1, 5)
        holdings = Decimal(self._chance.randrange(10**9)) / 10**6
        return {
            "fund_id": key,
            "name": f"F{key}",
            "company_id": self._chance.randint(2, 4),
            "holdings": holdings,
            "timestamp": self._instant(),
        }

    def _instant(self) -> Any:
        """One of few, so that many tie, written in one of all ways."""
        return next(self._ways)(_NOON + dt.timedelta(hours=self._chance.choice((-20, -13, 0, 0, 5, 13))))


def _first(made: _Files) -> Wave:
    twice = [{**row, "volume": volume} for volume, row in enumerate(made.rows(STOCKS, 2, stock_id=1, timestamp=_zoned(_NOON)), 1)]
    array = _body(STOCKS, ".json", made.rows(STOCKS))
    return Wave(
        "both feeds in all formats, an id in several files and lines; broken lines and arrays",
        After.NOTHING,
        (
            made.landed(STOCKS, "a_array.json", [*twice, *made.rows(STOCKS, 3)]),
            made.bytes_landed(STOCKS, "a_broken.json", array[:-2] + b", {]"),
            made.landed(STOCKS, "a_csv.csv", [*twice[::-1], *made.rows(STOCKS, 3)]),
            made.bytes_landed(STOCKS, "a_empty.json", b"[]"),
            made.landed(STOCKS, "a_lines.jsonl"),
            made.bytes_landed(STOCKS, "a_rejects.jsonl", made.lines(12, broken=(7,))),
            made.bytes_landed(STOCKS, "a_too_many.jsonl", made.lines(9, broken=(2, 5))),
            made.landed(STOCKS, "a_zipped.jsonl.gz"),
            (f"landing/{STOCKS}/{DAY}/notes.txt", b"not a file of the feed"),
            made.landed(FUNDS, "a_array.json.gz"),
            made.landed(FUNDS, "b_csv.csv.gz"),
            made.bytes_landed(FUNDS, "c_cut_off.json.gz", gzip.compress(_body(FUNDS, ".json", made.rows(FUNDS)), mtime=0)[:-9]),
            made.landed(FUNDS, "d_lines.ndjson"),
        ),
        made.source(9),
    )


def _of_known_keys(made: _Files) -> Wave:
    return Wave(
        "other bytes under published keys, the same bytes again, a corrected array, a file of an earlier date, later rows of known ids",
        After.FINISHED,
        (
            made.landed(STOCKS, "late.json", day=LATE_DAY),
            made.landed(STOCKS, "a_broken.json"),
            made.landed(STOCKS, "a_lines.jsonl"),
            made.landed(STOCKS, "k.csv", day=NEXT_DAY),
            made.bytes_landed(STOCKS, "zz_copy.jsonl.gz", made.bodies["a_zipped.jsonl.gz"], NEXT_DAY),
            made.bytes_landed(FUNDS, "a_array.json.gz", made.bodies["a_array.json.gz"]),
            made.landed(FUNDS, "b_csv.csv.gz"),
            made.landed(FUNDS, "k.jsonl", day=NEXT_DAY),
        ),
    )


def _before_publication(made: _Files) -> Wave:
    return Wave(
        "keys overwritten that may not be published yet, and one that was refused; more chunks",
        After.DECIDED,
        (
            made.landed(STOCKS, "k.csv", day=NEXT_DAY),
            made.landed(FUNDS, "k.jsonl", day=NEXT_DAY),
            made.landed(FUNDS, "l.json", day=NEXT_DAY),
        ),
        made.source(6),
    )


def _put_right(made: _Files) -> Wave:
    (fixed,) = _body(STOCKS, ".jsonl", made.rows(STOCKS, 1, timestamp=_zoned(_NOON + dt.timedelta(days=1)))).decode().splitlines()
    return Wave(
        "a refused file replayed with other bytes, a refused overwrite as it is, a rejected line corrected; the last files",
        After.FINISHED,
        (made.landed(FUNDS, "last.json", day=NEXT_DAY),),
        repairs=(
            Replay(f"landing/{STOCKS}/{DAY}/a_too_many.jsonl", made.lines(9)),
            Replay(f"landing/{STOCKS}/{DAY}/a_lines.jsonl"),
            Fix(f"landing/{STOCKS}/{DAY}/a_rejects.jsonl", "fixed.csv", {7: fixed}),
        ),
    )


def _body(feed: str, name: str, rows: Sequence[Row]) -> bytes:
    """Rows as the ending of a name tells."""
    plain = name.removesuffix(".gz")
    if plain.endswith(".csv"):
        return as_named(name, as_csv(COLUMNS[feed], rows))
    records = map(_as_json, rows)
    return as_named(name, b"[" + b",\n".join(records) + b"]\n" if plain.endswith(".json") else b"".join(one + b"\n" for one in records))


def _as_json(row: Row) -> bytes:
    """A record, nested as the feed's are, with amounts as text and a key that the contract does not have."""
    flat = {name: value for name, value in row.items() if name not in _NESTED}
    nested = {"details": {name: row[name] for name in _NESTED}} if _NESTED[0] in row else {}
    return json.dumps({**flat, **nested, "source": "feed é"}, default=str, ensure_ascii=False).encode()


def _zoned(at: dt.datetime) -> Any:
    return at.isoformat().replace("+00:00", "Z")


def _with_offset(at: dt.datetime) -> Any:
    return at.astimezone(_OFFSET).isoformat(sep=" ")


def _seconds(at: dt.datetime) -> Any:
    return int(at.timestamp())


def _milliseconds(at: dt.datetime) -> Any:
    return int(at.timestamp()) * 1000


def _without_zone(at: dt.datetime) -> Any:
    return at.replace(tzinfo=None).isoformat()
