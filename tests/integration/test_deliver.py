"""Deliver: item by item, under a lease of its own, fenced, and never in the way of a publication."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from include.clients import ledger_connection, s3_client
from include.domains.sales.lake_auditor import rebuild
from include.domains.transactions.compactor import StateCompactor
from include.domains.transactions.feeds import TRANSACTIONS
from include.domains.transactions.schema import PARTIALS
from include.errors import EnvironmentFailure, FeedBusy, LeaseLost
from include.files import keys
from include.files.batch import Attempt, Batch
from include.ledger import Ledger, leases
from include.pipeline.deliver import Delivered
from include.pipeline.delivering import Delivering
from include.pipeline.ports import Ports
from include.pipeline.run import Progress, ingest_once, not_delivered, until_empty
from include.storage.parquet import parquet_bytes
from include.storage.s3 import S3Store
from sluice.runtime import now
from sluice.services.state import State
from tests.integration.choosy_s3 import Choosy, before
from tests.integration.conftest import ANOTHER_S3
from tests.integration.trade import BAD, DAY, Killed, Trade, dies

REJECTS = " ".join(f"a {number}.00" for number in range(1, 20)) + " a x"


class Clock:
    """A test's own."""

    def __init__(self) -> None:
        self.at = now()

    def __call__(self) -> dt.datetime:
        return self.at

    def goes_on(self, **by: float) -> None:
        self.at += dt.timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def choosy(trade: Trade) -> Iterator[Choosy]:
    """The way of the ports to S3."""
    assert trade.where.s3.endpoint
    with before(trade.where.s3.endpoint) as choosy:
        yield choosy


def through(choosy: Choosy, trade: Trade, clock: Clock, feed: str = "orders") -> Ports:
    store = S3Store(s3_client(dataclasses.replace(trade.where.s3, endpoint=choosy.url)))
    return dataclasses.replace(trade.ports(feed), store=store, clock=clock)


def ingest(ports: Ports, trade: Trade, feed: str = "orders", **changes: Any) -> Delivered:
    return ingest_once(ports, trade.specs[feed], trade.run(**changes), Progress())


def without_delete(method: str, key: str, _: object) -> tuple[int, str] | None:
    return (403, "AccessDenied") if method == "DELETE" and "/landing/" in key and "stays" in key else None


def test_a_file_that_cannot_be_moved_rests_and_holds_up_no_other(trade: Trade, choosy: Choosy, clock: Clock) -> None:
    ports = through(choosy, trade, clock)
    choosy.refuses = without_delete
    stays, moves = trade.land("orders", "1_stays.csv", BAD), trade.land("orders", "2_moves.csv", BAD)
    trade.land("orders", "3.csv", "a 1.00")
    delivered = ingest(ports, trade)
    assert (delivered.batches, delivered.files, delivered.tried, delivered.done) == (1, 2, 4, 3)
    (undone,) = delivered.undone
    assert (undone.item, undone.failures) == (f"file {trade.file_id(1)}", 1)
    assert stays in undone.what
    assert "AccessDenied" in undone.what
    assert "disk-full" not in undone.what
    assert [stamp.key for stamp in trade.store.objects(trade.bucket, "landing/orders/") if stamp.key in {stays, moves}] == [stays]
    (kept,) = trade.ledger.files.records([trade.file_id(1)])
    assert (kept.location, kept.delivered) == ("landing", False)

    asked = len(choosy.asked)
    clock.goes_on(seconds=4)
    assert (ingest(ports, trade).tried, [key for method, key in choosy.asked[asked:] if method == "DELETE"]) == (0, [])
    clock.goes_on(seconds=1)
    asked = len(choosy.asked)
    again = ingest(ports, trade)
    assert (again.tried, again.done, again.undone[0].failures) == (1, 0, 2)
    assert not [key for method, key in choosy.asked[asked:] if method == "PUT" and key.endswith("stays.csv")], "copied already"

    choosy.refuses = lambda *_: None
    clock.goes_on(seconds=10)
    assert (ingest(ports, trade).undone, trade.ledger.outbox.undone(trade.specs["orders"])) == ((), {})
    (kept,) = trade.ledger.files.records([trade.file_id(1)])
    assert (kept.location, kept.delivered) == ("error", True)
    assert trade.store.head(trade.bucket, stays) is None
    assert trade.reconcile(verify=True).ok


def test_a_run_fails_where_nothing_could_be_delivered_or_something_has_failed_for_an_hour(
    trade: Trade, choosy: Choosy, clock: Clock
) -> None:
    ports = through(choosy, trade, clock)
    choosy.refuses = without_delete
    spec = trade.specs["orders"]
    trade.land("orders", "1_stays.csv", BAD)
    progress = Progress()
    delivered = ingest_once(ports, spec, trade.run(), progress)
    failed = not_delivered(ports, spec, progress, delivered)
    assert failed is not None
    assert str(failed).startswith(f"trade: not delivered: file {trade.file_id(1)} failed 1 times since {clock():%F %T} UTC: ")
    for minutes, fails in ((59, False), (1, True)):
        clock.goes_on(minutes=minutes)
        trade.land("orders", f"{minutes}.csv", f"a {minutes}.00")
        progress = Progress()
        delivered = ingest_once(ports, spec, trade.run(), progress)
        assert (delivered.batches, len(delivered.undone)) == (1, 1)
        assert (not_delivered(ports, spec, progress, delivered) is not None) == fails
    assert ingest(ports, trade, "parties").undone == delivered.undone, "they are the group's"


def test_lost_rejects_are_told_and_everything_else_is_delivered(trade: Trade, clock: Clock) -> None:
    deliver_batch, trade.results["orders"].export = trade.results["orders"].export, dies  # type: ignore[method-assign]
    trade.land("orders", "1.csv", REJECTS)
    trade.land("orders", "2.csv", REJECTS.replace("a ", "b "))
    with pytest.raises(Killed):
        trade.ingest()
    trade.results["orders"].export = deliver_batch  # type: ignore[method-assign]
    (kept,) = trade.ledger.files.records([trade.file_id(1)])
    assert kept.rejects is not None
    trade.store.delete(trade.bucket, kept.rejects.key)
    delivered = ingest(dataclasses.replace(trade.ports("orders"), clock=clock), trade)
    (undone,) = delivered.undone
    assert undone.what == (
        f"S3: s3://{trade.bucket}/{kept.rejects.key}, the rejected rows of {kept.file.key}, is gone; "
        "`sluice reconcile orders --all` makes it again"
    )
    told = {stamp.key.removeprefix("error/orders/") for stamp in trade.store.objects(trade.bucket, "error/orders/")}
    assert told == {f"{DAY}/1.csv.{trade.file_id(1)}/report.json"} | {
        f"{DAY}/2.csv.{trade.file_id(2)}/{name}" for name in ("report.json", "rejects.csv")
    }


def test_whatever_fails_in_one_batch_the_others_are_delivered_unless_they_need_their_order(trade: Trade, clock: Clock) -> None:
    results = trade.results["orders"]
    deliver_batch = results.export

    def first_fails(batch: Batch, delivering: Delivering) -> None:
        if batch.number == 1:
            raise RuntimeError("a value of a row")
        deliver_batch(batch, delivering)

    results.export = first_fails  # type: ignore[method-assign]
    ports = dataclasses.replace(trade.ports("orders"), clock=clock)
    for in_order, expected in ((True, []), (False, [(2, "orders")])):
        trade.change("orders", delivers_in_order=in_order)
        if in_order:
            trade.land("orders", "1.csv", "a 1.00")
            ingest(ports, trade)
            trade.land("orders", "2.csv", "a 2.00")
        (undone,) = ingest(ports, trade).undone
        assert results.delivered == expected
        assert undone.what.startswith("RuntimeError at ")
        assert "value of a row" not in undone.what
    assert trade.sums() == {"a": (2, 300)}


def test_no_publication_waits_for_a_delivery_that_hangs_even_in_a_write(trade: Trade) -> None:
    results, told = trade.results["orders"], []
    deliver_batch = results.export

    def hangs(batch: Batch, delivering: Delivering) -> None:
        results.export = deliver_batch  # type: ignore[method-assign]
        other = Ledger(lambda: ledger_connection(trade.where.ledger))
        try:
            with leases.fenced_delivery(trade.ledger.session, "trade", delivering.token):
                trade.land("orders", "2.csv", "a 2.00")
                ports = dataclasses.replace(trade.ports("orders"), ledger=other)
                told.append(ingest(ports, trade, run_id="another"))
        finally:
            other.close()
        deliver_batch(batch, delivering)

    results.export = hangs  # type: ignore[method-assign]
    trade.land("orders", "1.csv", "a 1.00")
    trade.ingest(run_id="slow")
    assert (told[0].batches, trade.sums()) == (0, {"a": (2, 300)})
    assert [state for _, _, state, *_ in trade.batches()] == ["published", "published"]
    assert trade.ledger.rows("select from batch where delivered_at is null") == []
    assert any(line.endswith(" delivers what was published before it ends; the next run delivers the rest") for line in trade.said)
    assert results.delivered == [(1, "orders"), (2, "orders")], "what was published meanwhile is delivered by the one that hung"


def test_a_delivery_that_wakes_after_a_rebuild_calls_nothing_delivered(trade: Trade) -> None:
    results = trade.results["orders"]
    deliver_batch = results.export

    def stalls(batch: Batch, delivering: Delivering) -> None:
        deliver_batch(batch, delivering)
        trade.ledger.rows("update delivery set lease_until = clock_timestamp() - interval '1 s' returning 1")
        assert rebuild(trade.ports("orders"), trade.specs["orders"], trade.run(run_id="rebuild")) == 1

    results.export = stalls  # type: ignore[method-assign]
    trade.land("orders", "1.csv", "a 1.00")
    with pytest.raises(LeaseLost):
        trade.ingest(run_id="stalled")
    assert trade.ledger.rows("select batch from batch where delivered_at is null") == [{"batch": 1}]
    results.export = deliver_batch  # type: ignore[method-assign]
    trade.ingest()
    assert (results.delivered, trade.ledger.rows("select from batch where delivered_at is null")) == ([(1, "orders"), (1, "orders")], [])


def test_a_rebuild_waits_for_a_delivery_at_work(trade: Trade) -> None:
    token = trade.ledger.leases.acquire_delivery(trade.specs["orders"], trade.run(run_id="one"))
    with pytest.raises(FeedBusy, match="one works on the group trade"):
        trade.ledger.leases.acquire_delivery(trade.specs["parties"], trade.run(run_id="another"))
    again = trade.ledger.leases.acquire_delivery(trade.specs["parties"], trade.run(run_id="one"))
    with pytest.raises(LeaseLost):
        trade.ledger.outbox.refuse_lost(trade.specs["orders"], token)
    trade.ledger.leases.acquire(trade.specs["orders"], trade.run(run_id="another"))
    trade.ledger.leases.release_run(trade.specs["orders"], "one")
    with pytest.raises(LeaseLost):
        trade.ledger.outbox.refuse_lost(trade.specs["orders"], again)


def test_every_write_of_a_delivery_checks_its_token(trade: Trade) -> None:
    trade.land("orders", "1.csv", "a 1.00")
    trade.land("orders", "bad.csv", BAD)
    trade.drain()
    spec, run, file_id = trade.specs["orders"], trade.run(), trade.file_id(2)
    trade.ledger.rows("update file set delivered_at = null returning 1")
    trade.ledger.rows("update batch set delivered_at = null returning 1")
    stale = trade.ledger.leases.acquire_delivery(spec, run)
    trade.ledger.leases.acquire_delivery(spec, run)
    delivering = Delivering(trade.ports("orders"), spec, run, stale)
    tables = "file", "file_event", "batch", "delivery_failure", "state_object"
    earlier = [trade.ledger.rows(f"select * from {table}") for table in tables]
    (batch,) = trade.ledger.outbox.batches(spec)
    transactions = merging(trade)
    for write in (
        lambda: trade.ledger.outbox.batch_delivered(spec, stale, batch),
        lambda: trade.ledger.outbox.file_delivered(spec, stale, file_id),
        lambda: trade.ledger.outbox.relocated(spec, stale, run, file_id, "gone", None),
        lambda: trade.ledger.outbox.compacted(spec, stale),
        lambda: trade.ledger.outbox.deliver_again(spec, stale),
        lambda: delivering.item("file 1", dies),
        lambda: transactions.compact(delivering),
    ):
        with pytest.raises(LeaseLost):
            write()
    trade.ledger.rows("delete from state_object where level = 0 returning 1")
    assert [trade.ledger.rows(f"select * from {table}") for table in tables] == earlier


def merging(trade: Trade) -> StateCompactor:
    """The compactor of transactions with as many state objects as are merged together."""
    for seq in range(1, 9):
        table = pa.Table.from_pylist([dict(zip(PARTIALS.names, (seq, "m", "c", 1, 10, "F"), strict=True))], schema=PARTIALS)
        ref = trade.store.put(trade.bucket, f"state/transactions/{seq}.parquet", parquet_bytes(table), rows=1)
        trade.ledger.rows(
            """insert into state_object (feed, level, first_seq, last_seq, bucket, key, size, etag, rows)
               values ('transactions', 0, %s, %s, %s, %s, %s, %s, 1) returning 1""",
            (seq, seq, trade.bucket, ref.key, ref.size, ref.etag),
        )
    compactor = StateCompactor(TRANSACTIONS, trade.ledger.session, trade.store, trade.bucket, lambda: "merged")
    assert compactor.due()
    return compactor


def test_merged_state_is_pointed_at_under_the_lease(trade: Trade) -> None:
    compactor, run = merging(trade), trade.run()
    token = trade.ledger.leases.acquire_delivery(TRANSACTIONS, run)
    compactor.compact(Delivering(trade.ports("orders"), TRANSACTIONS, run, token))
    found = trade.ledger.rows("select level, first_seq, last_seq, covered from state_object where not covered")
    assert (found, compactor.due()) == ([{"level": 1, "first_seq": 1, "last_seq": 8, "covered": False}], False)


def test_a_publication_whose_answer_is_lost_is_an_outage_and_counts_once(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    publishing = trade.ledger.batches.publishing

    @contextmanager
    def unheard(*given: Any) -> Iterator[Any]:
        with publishing(*given) as transaction:
            yield transaction
        raise EnvironmentFailure("PostgreSQL", "the connection was lost")

    trade.land("orders", "1.csv", "a 1.00")
    with monkeypatch.context() as patch:
        patch.setattr(trade.ledger.batches, "publishing", unheard)
        with pytest.raises(EnvironmentFailure, match="the connection was lost"):
            trade.ingest()
    trade.ingest()
    assert trade.batches() == [(1, "orders", "published", 1, 1)]
    assert trade.sums() == {"a": (1, 100)}


def test_an_attempt_is_ended_by_nobody_who_lost_the_lease(trade: Trade) -> None:
    trade.land("orders", "1.csv", "a 1.00")
    trade.job.before = dies
    with pytest.raises(Killed):
        trade.ingest(run_id="one")
    spec = trade.specs["orders"]
    lost = trade.ledger.leases.acquire(spec, trade.run(run_id="two"))
    trade.ledger.leases.release_run(spec, "two")
    with pytest.raises(LeaseLost):
        trade.ledger.batches.end_attempt(spec, lost, Attempt(1, 1, 0), "failed", "late")
    assert trade.ledger.rows("select outcome from batch_attempt") == [{"outcome": None}]


def long_name(trade: Trade, state: State, name: str, rows: str) -> str:
    """A file whose name the embedded store keeps, and does not take in an upload."""
    key = trade.land("orders", "short.csv", rows)
    if ANOTHER_S3:
        trade.store.copy(trade.bucket, key, trade.bucket, key.replace("short.csv", name), etag=trade.store.head(trade.bucket, key).etag)  # type: ignore[union-attr]
        trade.store.delete(trade.bucket, key)
    else:
        there = next(state.folder("s3").rglob(f"{trade.bucket}/{key}"))
        there.rename(there.with_name(name))
    return key.replace("short.csv", name)


@pytest.mark.parametrize("name", ["n" * 251 + ".csv", "ü" * 125 + ".csv"])
def test_a_name_as_long_as_may_be_is_refused_told_moved_and_tried_again(trade: Trade, state: State, name: str) -> None:
    key = long_name(trade, state, name, BAD)
    trade.drain()
    (kept,) = trade.ledger.files.records([trade.file_id(1)])
    assert (kept.file.key, kept.location, kept.delivered) == (key, "error", True)
    told = sorted(stamp.key for stamp in trade.store.objects(trade.bucket, "error/"))
    assert told == sorted([kept.location_key, f"{kept.report_folder()}rejects.csv", f"{kept.report_folder()}report.json"])
    assert kept.location_key.endswith(".csv")  # type: ignore[union-attr]
    assert kept.report_folder().endswith(f".csv.{trade.file_id(1)}/")
    assert max(len(segment.encode()) for one in told for segment in one.split("/")) <= 255
    assert trade.reconcile(verify=True).ok


def test_an_archived_name_fits_too(trade: Trade) -> None:
    trade.change("orders", archive=True)
    key = trade.land("orders", "n" * 214 + ".csv", "a 1.00")
    trade.drain()
    (kept,) = trade.ledger.files.records([trade.file_id(1)])
    assert (kept.location, trade.store.head(trade.bucket, key)) == ("archive", None)
    assert trade.reconcile(verify=True).ok


def test_what_an_older_release_put_aside_is_told_of_where_it_lies(trade: Trade) -> None:
    trade.land("orders", "bad.csv", BAD)
    trade.drain()
    older = f"error/orders/{DAY}/named otherwise.{trade.file_id(1)}/"
    for stamp in [*trade.store.objects(trade.bucket, "error/")]:
        trade.store.copy(trade.bucket, stamp.key, trade.bucket, f"{older}{keys.base_name(stamp.key)}", etag=stamp.etag)
        trade.store.delete(trade.bucket, stamp.key)
    trade.ledger.rows("update file set location_key = %s returning 1", (f"{older}bad.csv",))
    found = trade.reconcile(verify=True)
    assert (found.ok, [str(finding) for finding in found.findings]) == (True, [])
    trade.ledger.rows("update file set delivered_at = null returning 1")
    trade.store.delete(trade.bucket, f"{older}report.json")
    trade.drain()
    assert {stamp.key for stamp in trade.store.objects(trade.bucket, "error/")} == {
        f"{older}{name}" for name in ("bad.csv", "rejects.csv", "report.json")
    }


def test_an_upload_between_the_look_and_the_deletion_stays(trade: Trade, choosy: Choosy, clock: Clock) -> None:
    ports = through(choosy, trade, clock)
    key = trade.land("orders", "bad.csv", BAD)

    def upload(method: str, asked: str) -> None:
        if method == "DELETE" and asked.endswith("/bad.csv"):
            trade.land("orders", "bad.csv", "a 5.00")

    choosy.before = upload
    ingest(ports, trade)
    there = trade.store.head(trade.bucket, key)
    assert there is not None
    trade.drain()
    assert (trade.states(), trade.sums()) == ([(1, "quarantined"), (2, "published")], {"a": (1, 500)})
    assert trade.reconcile(verify=True).ok


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (400, "InvalidArgument")])
def test_a_store_that_cannot_delete_on_condition_is_asked_once_and_told_without(
    trade: Trade, choosy: Choosy, status: int, code: str
) -> None:
    choosy.refuses = lambda method, _, headers: (status, code) if method == "DELETE" and headers.get("If-Match") else None
    store = S3Store(s3_client(dataclasses.replace(trade.where.s3, endpoint=choosy.url)))
    old, new = (store.put(trade.bucket, "landing/x.csv", body) for body in (b"1", b"2"))
    assert not store.delete(trade.bucket, "landing/x.csv", old.etag)
    assert store.delete(trade.bucket, "landing/x.csv", new.etag)
    assert store.delete(trade.bucket, "landing/x.csv", new.etag), "it is gone already"
    again = store.put(trade.bucket, "landing/x.csv", b"3")
    assert store.delete(trade.bucket, "landing/x.csv", again.etag)
    assert [method for method, _ in choosy.asked].count("DELETE") == 3
    assert trade.store.head(trade.bucket, "landing/x.csv") is None


def test_until_empty_waits_a_little_for_what_cannot_be_delivered(
    trade: Trade, choosy: Choosy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds))
        clock.goes_on(seconds=seconds)

    monkeypatch.setattr("include.pipeline.run.time", SimpleNamespace(**vars(time) | {"sleep": sleep}))  # the others' time goes on
    choosy.refuses = without_delete
    trade.land("orders", "1_stays.csv", BAD)
    trade.land("orders", "2.csv", "a 1.00")
    ports, spec, progress = through(choosy, trade, clock), trade.specs["orders"], Progress()
    delivered = until_empty(ports, spec, trade.run(), progress)
    assert ([one.failures for one in delivered.undone], slept) == ([3], [5, 10])
    assert not_delivered(ports, spec, progress, delivered) is None, "the batch was delivered"
