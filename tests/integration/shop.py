"""The five feeds of sales on the running services, and what the tests' own evaluation says they should have published."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from include.domains import feed_named
from include.domains.sales.request import LakeDimensionRequest, LakeFactsRequest
from include.domains.sales.schema import DIMENSIONS
from include.ledger import Ledger
from include.pipeline.message import JobRequest
from include.pipeline.ports import Ports
from include.pipeline.run import Progress, ingest_once, until_empty
from include.pipeline.services import Job
from include.run import Run
from sluice.runtime import Settings, new_id, now, open_ports
from sluice.services.state import State
from tests import naive_sales as naive
from tests.integration.command import run_sluice
from tests.integration.world import fresh

DAY = dt.date(2026, 4, 1)
FEEDS = (naive.FACTS, *DIMENSIONS)
Landed = dict[str, list[Mapping[int, naive.Row]]]
"""The rows of each version of a file by their lines, by key."""


class Shop:
    """What a test acts through. It remembers what it landed, so that the ledger's order alone comes from the product."""

    def __init__(self, where: Settings, stack: ExitStack) -> None:
        self.bucket = where.s3.bucket
        self.said: list[str] = []
        opened = {feed: stack.enter_context(open_ports(where, feed_named(feed), self.said.append)) for feed in FEEDS}
        self.with_lake = False
        job = _LakeOnlyWhereAskedFor(self, opened[naive.FACTS].job)
        self.ports: dict[str, Ports] = {feed: dataclasses.replace(ports, job=job) for feed, ports in opened.items()}
        self.store = opened[naive.FACTS].store
        self.ledger: Ledger = opened[naive.FACTS].ledger
        self.landed: Landed = defaultdict(list)

    def land(self, feed: str, name: str, *rows: naive.Row, date: dt.date = DAY) -> str:
        """Put a CSV file below the feed's landing prefix; the same name again overwrites it."""
        key = f"landing/{feed}/dt={date.isoformat()}/{name}"
        self.store.put(self.bucket, key, as_csv(feed, rows))
        self.landed[key].append(dict(enumerate(rows, start=2)))
        return key

    def run(self) -> Run:
        return Run(f"test-{new_id()}", now(), {})

    def ingest(self, feed: str) -> Progress:
        """One round of the five steps."""
        progress = Progress()
        ingest_once(self.ports[feed], feed_named(feed), self.run(), progress)
        return progress

    def drain(self, *feeds: str) -> None:
        """Rounds of these feeds, or of all, until nothing is left."""
        for feed in feeds or FEEDS:
            until_empty(self.ports[feed], feed_named(feed), self.run(), Progress())

    def live_through(self, stream: Sequence[naive.File], dice: random.Random) -> None:
        """Land the files of a stream under names of their own or those they overwrite, with runs of any feed in between."""
        names: dict[tuple[str, int], str] = {}
        waiting: set[str] = set()
        for file in stream:
            replaced = names.get((file.feed, file.supersedes or 0))
            if replaced in waiting:
                self.drain(file.feed)
                waiting = {key for key in waiting if f"/{file.feed}/" not in key}
            name = f"{file.seq}.csv" if replaced is None else replaced.rsplit("/", 1)[-1]
            date = file.date if replaced is None else dt.date.fromisoformat(replaced.split("dt=")[1][:10])
            names[file.feed, file.seq] = self.land(file.feed, name, *file.rows.values(), date=date)
            waiting.add(names[file.feed, file.seq])
            if dice.random() < 0.15:
                self.ingest(file.feed)
                waiting = {key for key in waiting if f"/{file.feed}/" not in key}
        self.drain()

    def files(self) -> list[naive.File]:
        """The published files with the rows that were landed, as the ledger orders them."""
        rows = self.ledger.rows(
            """select f.feed, f.seq, f.file_id, f.date, f.key, f.version,
                      (select max(o.seq) from file o where o.file_id = any(f.supersedes)) as supersedes
               from file f where f.state in ('published', 'superseded') order by f.file_id"""
        )
        return [
            naive.File(row["feed"], row["seq"], row["file_id"], row["date"], self.landed[row["key"]][row["version"] - 1], row["supersedes"])
            for row in rows
        ]

    def sluice(self, *words: str) -> str:
        """What the command says on this ledger and bucket."""
        return run_sluice(*words).stdout

    def table(self, relation: str, columns: str) -> list[tuple[Any, ...]]:
        return table(self.ledger, relation, columns)

    def found(self) -> naive.Published:
        return what_is_published(self.ledger)

    def proven(self) -> naive.Published:
        """Everything that is published, once it is what the files say it should be, cell by cell."""
        expected, found = what_should_be(self.files()), self.found()
        for part in dataclasses.fields(naive.Published):
            assert getattr(found, part.name) == getattr(expected, part.name), part.name
        (proof,) = self.ledger.rows("select * from sales.proof")
        assert proof["holds"], proof
        assert proof["accepted_rows"] == sum(len(file.rows) for file in naive.in_force_of(self.files(), naive.FACTS))
        return found


class _LakeOnlyWhereAskedFor:
    """The real job. What it writes to the lake costs as much as all else, so a test says so whose subject that is."""

    def __init__(self, shop: Shop, job: Job) -> None:
        self._shop = shop
        self._job = job

    def answers(self) -> None:
        self._job.answers()

    def run(self, request: JobRequest) -> Mapping[str, Any]:
        if isinstance(request, LakeFactsRequest | LakeDimensionRequest) and not self._shop.with_lake:
            return {}
        return self._job.run(request)


def table(ledger: Ledger, relation: str, columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in ledger.rows(f"select {columns} from sales.{relation}")]


def what_is_published(ledger: Ledger) -> naive.Published:
    """What people see, in the shape of the tests' own evaluation."""
    made = naive.Published()
    for customer_id, name, address, phone, month, total in table(ledger, "customers_data_mart", "*"):
        made.customers[customer_id, month] = (name, address, phone, total)
    for store_id, seller, name, month, total, incentive in table(ledger, "sales_team_data_mart", "*"):
        made.team[store_id, seller, month] = (name, total, incentive)
    columns = "store_id, sales_month, sales_person_id, incentive_before, incentive_after, file_id"
    order = "join file f using (file_id) order by f.seq, store_id, sales_month, sales_person_id"
    made.changes = [naive.Change(*row) for row in table(ledger, f"incentive_changes {order}", columns)]
    made.unresolved = set(table(ledger, "unresolved", 'file_id, line, "column", value'))
    made.warnings = set(table(ledger, "price_warning", "file_id, line, product_id, valid_from"))
    for feed, dimension in DIMENSIONS.items():
        versions: dict[int, list[naive.Version]] = defaultdict(list)
        for row in ledger.rows(f"select * from sales.{dimension.table} order by valid_from"):
            said = {name: row[name] for name in dimension.attributes.names}
            versions[row[dimension.key]].append(naive.Version(row["valid_from"], row["valid_to"], said))
        made.versions[feed] = dict(versions)
    return made


def what_should_be(files: Sequence[naive.File]) -> naive.Published:
    """What these files should have published; of a dimension's rows what its table shows."""
    expected = naive.published(files)
    for feed, dimension in DIMENSIONS.items():
        expected.versions[feed] = {
            key: [one._replace(row={name: one.row.get(name) for name in dimension.attributes.names}) for one in versions]
            for key, versions in expected.versions[feed].items()
        }
    return expected


def as_csv(feed: str, rows: Sequence[naive.Row]) -> bytes:
    names = [column.name for column in feed_named(feed).contract.columns]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = [row.get(name) for name in names]
        writer.writerow(["" if value is None else value.isoformat() if isinstance(value, dt.date) else value for value in values])
    return text.getvalue().encode()


@pytest.fixture
def shop(state: State, services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A fresh ledger and a fresh bucket."""
    with ExitStack() as stack:
        made = Shop(fresh(state, services, database, monkeypatch), stack)
        yield made
        print(*made.said, sep="\n")
