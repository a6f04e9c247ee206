"""The two feeds of finance on the running services, and what the tests' own evaluation says they should have published."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import io
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest

from include.domains import auditor_of, feed_named
from include.ledger import Ledger
from include.pipeline.ports import Ports
from include.pipeline.run import Progress, ingest_once, until_empty
from include.reconcile.context import Scope
from include.reconcile.reconcile import Reconciled, reconcile
from include.run import Run
from sluice.runtime import Settings, new_id, now, open_ports
from sluice.services.state import State
from tests import naive_finance as naive
from tests.integration.command import run_sluice
from tests.integration.world import fresh

DAY = dt.date(2026, 4, 1)
NOON = dt.datetime(2026, 4, 1, 12, tzinfo=dt.UTC)
FEEDS = (naive.STOCKS, naive.FUNDS)
NESTED = ("exchange", "sector")


def stock(stock_id: int, company_id: int, at: dt.datetime = NOON, **more: Any) -> naive.Row:
    row = {"stock_id": stock_id, "company_id": company_id, "symbol": f"S{stock_id}", "price": Decimal("10.5"), "volume": 100}
    return {**row, "timestamp": at, "exchange": "XETRA", "sector": "tech", **more}


def fund(fund_id: int, company_id: int, at: dt.datetime = NOON, **more: Any) -> naive.Row:
    return {"fund_id": fund_id, "name": f"F{fund_id}", "company_id": company_id, "holdings": Decimal("2.000001"), "timestamp": at, **more}


class Market:
    """What a test acts through. It remembers what it landed, so that the ledger's order alone comes from the product."""

    def __init__(self, where: Settings, stack: ExitStack) -> None:
        self.where = where
        self.bucket = where.s3.bucket
        self.said: list[str] = []
        opened = {feed: stack.enter_context(open_ports(where, feed_named(feed), self.said.append)) for feed in FEEDS}
        job = opened[naive.STOCKS].job
        self.ports: dict[str, Ports] = {feed: dataclasses.replace(ports, job=job) for feed, ports in opened.items()}
        self.store = opened[naive.STOCKS].store
        self.ledger: Ledger = opened[naive.STOCKS].ledger
        self.landed: dict[str, Mapping[int, naive.Row]] = {}
        self.choices: dict[str, str] = {}

    def land(self, feed: str, name: str, *rows: naive.Row, date: dt.date = DAY) -> str:
        """Put a file below the feed's landing prefix, in the format that its name asks for."""
        key = f"landing/{feed}/dt={date.isoformat()}/{name}"
        self.store.put(self.bucket, key, as_file(feed, name, rows))
        first = 2 if ".csv" in name else 1
        self.landed[key] = dict(enumerate(rows, start=first))
        return key

    def land_bytes(self, feed: str, name: str, body: bytes) -> str:
        key = f"landing/{feed}/dt={DAY.isoformat()}/{name}"
        self.store.put(self.bucket, key, body)
        return key

    def run(self, feed: str) -> Run:
        return Run(f"test-{new_id()}", now(), feed_named(feed).parameters_from(self.choices))

    def ingest(self, feed: str) -> Progress:
        """One round of the five steps."""
        progress = Progress()
        ingest_once(self.ports[feed], feed_named(feed), self.run(feed), progress)
        return progress

    def drain(self, *feeds: str) -> None:
        """Rounds of these feeds, or of both, until nothing is left."""
        for feed in feeds or FEEDS:
            until_empty(self.ports[feed], feed_named(feed), self.run(feed), Progress())

    def reconcile(self, feed: str, **scope: Any) -> Reconciled:
        return reconcile(self.ports[feed], auditor_of(feed_named(feed), self.ports[feed]), feed_named(feed), self.run(feed), Scope(**scope))

    def live_through(self, stream: Sequence[tuple[str, Sequence[naive.Row]]], dice: random.Random) -> None:
        """Land files, with runs of any feed in between."""
        for number, (feed, rows) in enumerate(stream, start=1):
            ending = dice.choice((".csv", ".jsonl", ".json", ".json.gz", ".ndjson", ".csv.gz"))
            self.land(feed, f"{number}{ending}", *rows)
            if dice.random() < 0.4:
                self.ingest(dice.choice(FEEDS))
        self.drain()

    def files(self) -> list[naive.File]:
        """The published files with the rows that were landed, as the ledger orders them."""
        rows = self.ledger.rows("select feed, seq, file_id, batch, key from file where state = 'published' order by file_id")
        return [naive.File(row["feed"], row["seq"], row["file_id"], row["batch"], self.landed[row["key"]]) for row in rows]

    def rows(self, relation: str, columns: str = "*", order: str = "1") -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.ledger.rows(f"select {columns} from finance.{relation} order by {order}")]

    def found(self, batch: int | None = None) -> naive.Published:
        """What is published, or was with a batch, in the shape of the tests' own evaluation."""
        as_of = "" if batch is None else f"_as_of({batch})"
        return naive.Published(
            silver=self.rows(f"silver{as_of}", order="company_id, stock_id, fund_id"),
            gold=self.rows(f"gold_business_aggregation{as_of}", order="company_id, stock_id, fund_id"),
            by_day=self.rows(f"gold_by_company_sector_exchange_day{as_of}"),
            lonely=self.rows(f"company_without_partner{as_of}", order="has desc, company_id"),
        )

    def proven(self) -> naive.Published:
        """Everything that is published, once it is, at every batch, what the files say it should be."""
        files = self.files()
        for batch in (None, *sorted({file.batch for file in files})):
            expected, found = naive.published(files, batch), self.found(batch)
            for side in (expected, found):
                side.by_day.sort(key=repr)
            assert dataclasses.asdict(found) == dataclasses.asdict(expected), f"as of batch {batch}"
        proofs = self.ledger.rows("select * from finance.proof order by feed desc")
        assert [(proof["feed"], proof["holds"], proof["published_rows"]) for proof in proofs] == [
            (feed, True, sum(len(file.rows) for file in files if file.feed == feed)) for feed in FEEDS
        ]
        return self.found()

    def keys(self, prefix: str) -> list[str]:
        return sorted(stamp.key for stamp in self.store.objects(self.bucket, prefix))

    def sluice(self, *words: str, check: int | None = 0) -> str:
        """What the command says on this ledger and bucket."""
        done = run_sluice(*words, check=check)
        return done.stdout if done.returncode == 0 else done.stderr


def as_file(feed: str, name: str, rows: Sequence[naive.Row]) -> bytes:
    """Rows as the bytes of a file of that name; instants in all the ways in which they may be written, one after another."""
    ways = itertools.cycle((zoned, eastern, seconds, without_zone, milliseconds))
    told = [{**row, "timestamp": next(ways)(row["timestamp"])} for row in rows]
    if ".csv" in name:
        body = as_csv(told)
    elif ".json" in name and ".jsonl" not in name:
        body = ("[" + ",\n".join(map(as_json, told)) + "]").encode()
    else:
        body = "".join(f"{as_json(row)}\n" for row in told).encode()
    return gzip.compress(body, mtime=0) if name.endswith(".gz") else body


def as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_json(row: Mapping[str, Any]) -> str:
    """One record, nested as the feed's are; decimals by their digits."""
    flat = {name: value for name, value in row.items() if name not in NESTED}
    if NESTED[0] in row:
        flat["details"] = {name: row[name] for name in NESTED}
    numbers = [value for value in row.values() if isinstance(value, Decimal)]
    told = json.dumps(flat, default=lambda value: f"<{value}>")
    for number in numbers:
        told = told.replace(f'"<{number}>"', str(number))
    return told


def zoned(at: dt.datetime) -> Any:
    return at.isoformat().replace("+00:00", "Z")


def eastern(at: dt.datetime) -> Any:
    return at.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30))).isoformat(sep=" ")


def seconds(at: dt.datetime) -> Any:
    return zoned(at) if at.microsecond else int(at.timestamp())


def without_zone(at: dt.datetime) -> Any:
    return at.astimezone(dt.UTC).replace(tzinfo=None).isoformat()


def milliseconds(at: dt.datetime) -> Any:
    return zoned(at) if at.microsecond % 1000 else int(at.timestamp()) * 1000 + at.microsecond // 1000


@pytest.fixture
def market(state: State, services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    """A fresh ledger and a fresh bucket."""
    with ExitStack() as stack:
        made = Market(fresh(state, services, database, monkeypatch), stack)
        yield made
        print(*made.said, sep="\n")
