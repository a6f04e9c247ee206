"""Two small feeds of one group, `orders` and `parties`: what their files add up to by name, kept in PostgreSQL by a job in plain Python."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

import psycopg
import pytest

from include.clients import ledger_connection, s3_client
from include.contract import MONEY, Column, Contract, Stored
from include.domains.transactions.feeds import TRANSACTIONS
from include.feed import FeedSpec, OverwritePolicy
from include.files import keys
from include.files.batch import Batch
from include.ledger import Ledger
from include.ledger.batches import Publish
from include.ledger.session import Cursor
from include.pipeline.delivering import Delivering
from include.pipeline.message import JobFile, JobRequest
from include.pipeline.ports import FeedParts, Ports
from include.pipeline.run import Progress, ingest_once, until_empty
from include.provision import add_feed
from include.reconcile.context import Auditor, Scope
from include.reconcile.reconcile import Reconciled, reconcile
from include.run import Run
from include.storage.object_store import ObjectStore
from include.storage.parquet import parquet_table
from include.storage.s3 import S3Store
from sluice.runtime import Settings, new_id, now, open_ports

CONTRACT = Contract(1, (Column("name"), Column("amount", matches=MONEY, stored=Stored.CENTS, stored_as="cents")))
ORDERS = FeedSpec("orders", "trade", CONTRACT, (".csv",), overwrite=OverwritePolicy.SUPERSEDE, touch_column="name")
PARTIES = FeedSpec("parties", "trade", CONTRACT, (".csv",), overwrite=OverwritePolicy.SUPERSEDE)
DAY = "dt=2026-11-01"
BAD = "a x"  # rows of a file that is quarantined
TABLES = """
create table if not exists trade_sum (
    feed text, name text, n bigint check (n > 0), cents bigint, primary key (feed, name)
);
create table if not exists trade_log (feed text, batch bigint, file_id bigint, seq bigint, sign int, n bigint);
"""


class Killed(BaseException):
    """What a killed process looks like from inside."""


def dies(*_: object) -> None:
    raise Killed


@dataclasses.dataclass(frozen=True, kw_only=True)
class SumRequest(JobRequest):
    job: ClassVar[str] = "sums"
    files: tuple[JobFile, ...]
    superseded: tuple[JobFile, ...]


class SummingJob:
    """Reads bronze from S3 and leaves, under its attempt, what each file adds and what each superseded one takes away."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.before: Callable[[Mapping[str, Any]], None] = lambda _: None

    def answers(self) -> None:
        """It needs no service of its own."""

    def run(self, request: JobRequest) -> Mapping[str, Any]:
        assert isinstance(request, SumRequest)
        self.before(request.to_json())
        sums = [self._summed(request.bucket, one, sign) for sign, files in ((1, request.files), (-1, request.superseded)) for one in files]
        body = json.dumps(sums).encode()
        ref = self._store.put(request.bucket, keys.in_attempt(request.output, "sums.json"), body, rows=len(sums))
        manifest = {"objects": {"sums": dataclasses.asdict(ref)}, "job": request.job}
        self._store.put(request.bucket, keys.in_attempt(request.output, "manifest.json"), json.dumps(manifest).encode())
        return manifest

    def _summed(self, bucket: str, one: JobFile, sign: int) -> dict[str, Any]:
        sums: dict[str, list[int]] = {}
        for key in one.objects:
            for row in parquet_table(self._store.read_bytes(bucket, key)).to_pylist():
                assert row["_file_id"] == one.file_id
                n, cents = sums.get(row["name"], (0, 0))
                sums[row["name"]] = [n + 1, cents + row["cents"]]
        return {"file_id": one.file_id, "seq": one.seq, "sign": sign, "sums": sums}


class TradeResults:
    """What is both feeds' own, publisher and exporter in one: signed sums by name."""

    def __init__(self, feed: str, ledger: Ledger, store: ObjectStore, bucket: str) -> None:
        self._feed = feed
        self._ledger = ledger
        self._store = store
        self._bucket = bucket
        self.delivered: list[tuple[int, str]] = []

    @property
    def parts(self) -> FeedParts:
        return FeedParts(publisher=lambda: self, exporter=lambda: self)

    def request(self, batch: Batch, attempt: int, output: str) -> SumRequest:
        return SumRequest(
            feed=batch.feed,
            batch=batch.number,
            attempt=attempt,
            bucket=self._bucket,
            files=tuple(map(JobFile.of, batch.files)),
            superseded=tuple(map(JobFile.of, batch.superseded)),
            output=output,
        )

    def prepare(self, manifest: Mapping[str, Any]) -> Publish:
        ref = manifest["objects"]["sums"]
        sums = json.loads(self._store.read_bytes(self._bucket, ref["key"], ref["etag"]))
        return lambda cursor, batch: self.publish(cursor, batch, sums)

    def publish(self, transaction: Cursor, batch: Batch, sums: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        assert batch.feed == self._feed
        for one in sums:
            for name, (n, cents) in one["sums"].items():
                _add(transaction, self._feed, name, one["sign"] * n, one["sign"] * cents)
            transaction.execute(
                "insert into trade_log values (%s, %s, %s, %s, %s, %s)",
                (self._feed, batch.number, one["file_id"], one["seq"], one["sign"], sum(n for n, _ in one["sums"].values())),
            )
        return {"names": len({name for one in sums for name in one["sums"]})}

    def export(self, batch: Batch, delivering: Delivering) -> None:  # noqa: ARG002 (the port's)
        assert batch.feed == self._feed
        self.delivered.append((batch.number, batch.feed))


def _add(transaction: Cursor, feed: str, name: str, n: int, cents: int) -> None:
    transaction.execute("select n, cents from trade_sum where feed = %s and name = %s", (feed, name))
    row = transaction.fetchone() or {"n": 0, "cents": 0}
    transaction.execute("delete from trade_sum where feed = %s and name = %s", (feed, name))
    if row["n"] + n or row["cents"] + cents:
        transaction.execute("insert into trade_sum values (%s, %s, %s, %s)", (feed, name, row["n"] + n, row["cents"] + cents))


class Trade:
    """What a test acts through: both feeds on real services."""

    def __init__(self, where: Settings, stack: ExitStack, specs: Sequence[FeedSpec] = (ORDERS, PARTIES)) -> None:
        self.where = where
        self.bucket = where.s3.bucket
        self.store = S3Store(s3_client(where.s3))
        self.specs = {spec.name: spec for spec in specs}
        self.said: list[str] = []
        opened = stack.enter_context(open_ports(where, TRANSACTIONS, self.said.append))
        self.ledger: Ledger = opened.ledger
        self.job = SummingJob(self.store)
        self.results = {name: TradeResults(name, self.ledger, self.store, self.bucket) for name in self.specs}
        self._ports = dataclasses.replace(opened, job=self.job, peer_feed=lambda name: (self.specs[name], self.results[name].parts))

    def ports(self, feed: str) -> Ports:
        return dataclasses.replace(self._ports, parts=self.results[feed].parts)

    def change(self, feed: str, **changes: Any) -> None:
        self.specs[feed] = dataclasses.replace(self.specs[feed], **changes)

    def land(self, feed: str, name: str, rows: str, bucket: str = "", prefix: str = "") -> str:
        """Put a file of `name amount` pairs such as "a 1.00 b 2.50"."""
        words = rows.split()
        lines = [f"{words[at]},{words[at + 1]}\n" for at in range(0, len(words), 2)]
        key = f"{prefix or keys.landing(feed)}{DAY}/{name}"
        self.store.put(bucket or self.bucket, key, ("name,amount\n" + "".join(lines)).encode())
        return key

    def run(self, **changes: Any) -> Run:
        return dataclasses.replace(Run(f"test-{new_id()}", now()), **changes)

    def ingest(self, feed: str = "orders", **changes: Any) -> Progress:
        progress = Progress()
        ingest_once(self.ports(feed), self.specs[feed], self.run(**changes), progress)
        return progress

    def drain(self, feed: str = "orders", **changes: Any) -> Progress:
        progress = Progress()
        until_empty(self.ports(feed), self.specs[feed], self.run(**changes), progress)
        return progress

    def reconcile(self, feed: str = "orders", **scope: Any) -> Reconciled:
        return reconcile(self.ports(feed), Auditor(), self.specs[feed], self.run(), Scope(**scope))

    def states(self, feed: str = "orders") -> list[tuple[int, str]]:
        """Seq and state of every file."""
        return [(file["seq"], file["state"]) for file in self.ledger.queries.list_files(feed)]

    def reason(self, seq: int, feed: str = "orders") -> str | None:
        return {file["seq"]: file["reason"] for file in self.ledger.queries.list_files(feed)}[seq]

    def sums(self, feed: str = "orders") -> dict[str, tuple[int, int]]:
        """Rows and cents by name, as people see them."""
        rows = self.ledger.rows("select name, n, cents from trade_sum where feed = %s", (feed,))
        return {row["name"]: (row["n"], row["cents"]) for row in rows}

    def batches(self) -> list[tuple[int, str, str, int, int]]:
        """The group's: number, feed, state, first and last seq."""
        rows = self.ledger.rows("select batch, feed, state, first_seq, last_seq from batch where group_name = 'trade' order by batch")
        return [tuple(row.values()) for row in rows]  # type: ignore[misc]

    def file_id(self, seq: int, feed: str = "orders") -> int:
        row = self.ledger.row("select file_id from file where feed = %s and seq = %s", (feed, seq))
        assert row is not None
        return int(row["file_id"])

    def moves(self, seq: int, feed: str = "orders") -> list[tuple[str | None, str, str | None]]:
        """From, to and reason of each change of a file's state."""
        events = self.ledger.queries.file_story(str(self.file_id(seq, feed)))["events"]
        return [(event["from_state"], event["to_state"], event["reason"]) for event in events if event["kind"] == "move"]


def log(trade: Trade) -> list[tuple[int, int, int, int]]:
    """What was put in and taken out: batch, seq, sign, rows."""
    rows = trade.ledger.rows("select batch, seq, sign, n from trade_log order by batch, sign desc, seq")
    return [tuple(row.values()) for row in rows]  # type: ignore[misc]


def adds_up(trade: Trade, feed: str = "orders") -> None:
    """What people see is what the published files say, and reconcile finds nothing."""
    published = trade.ledger.row("select coalesce(sum(accepted), 0) as n from file where feed = %s and state = 'published'", (feed,))
    assert published is not None
    assert sum(n for n, _ in trade.sums(feed).values()) == published["n"]
    found = trade.reconcile(feed, verify=True)
    assert [str(one) for one in found.findings if one.fails] == []
    for tally in found.daily_totals:
        assert tally.amount_in is None or tally.amount_in == (tally.amount_out or 0) + (tally.amount_rejected or 0)
        assert tally.lines == tally.lines_accepted + tally.rejected


def add_trade(where: Settings, specs: Sequence[FeedSpec] = (ORDERS, PARTIES)) -> None:
    """The group in the ledger, and the tables of its results."""
    with ledger_connection(where.ledger) as connection:
        _add_all(connection, where.s3.bucket, specs)


def _add_all(connection: psycopg.Connection, bucket: str, specs: Sequence[FeedSpec]) -> None:
    for spec in specs:
        add_feed(connection, spec, bucket)
    connection.execute(TABLES.encode())


@pytest.fixture
def trade(where: Settings) -> Iterator[Trade]:
    """A fresh ledger with the group, and a fresh bucket."""
    with ExitStack() as stack:
        add_trade(where)
        yield Trade(where, stack)
