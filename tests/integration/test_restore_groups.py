"""A restored ledger of several groups of feeds: ids are shared by all of them, journals are one a group."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.errors import JournalIncomplete, LeaseLost, LedgerBehind, LedgerMixed
from include.feed import FeedSpec
from include.files import keys
from include.files.journal import Position, Rows
from include.ledger import journal as stored
from include.ledger.session import Cursor
from include.pipeline import journal
from include.pipeline.deliver import deliver
from include.pipeline.journal import catch_up
from include.pipeline.ports import Ports
from include.replay.replay import discard, replay
from include.run import Run
from sluice.ledger import backup
from sluice.ledger.renumber import renumber
from sluice.runtime import Settings, now
from sluice.services.state import State
from tests.integration.command import run_sluice
from tests.integration.market import Market, stock
from tests.integration.shop import Shop
from tests.integration.trade import BAD, ORDERS, PARTIES, Killed, Trade, add_trade, adds_up, dies
from tests.integration.world import HEADER, World, fresh, row

LOANS = dataclasses.replace(ORDERS, name="loans", group="loans")
VISITS = dataclasses.replace(ORDERS, name="visits", group="visits")
SPECS = (ORDERS, PARTIES, LOANS, VISITS)
FEEDS = tuple(spec.name for spec in SPECS)
_RESULTS = {
    "detection": "number",
    "detection_file": "first_number",
    "merchant_transaction_counts": "merchant_id",
    "state_object": "feed, first_seq",
    "sales.customer_month": "customer_id",
    "sales.seller_month": "store_id",
    "sales.unresolved": 'file_id, "column"',
    "finance.stock": "stock_id",
    "finance.published_file": "file_id",
}


@pytest.fixture
def bazaar(where: Settings) -> Iterator[Trade]:
    """A fresh ledger with three groups, of which one has two feeds, and a fresh bucket."""
    with ExitStack() as stack:
        add_trade(where, SPECS)
        yield Trade(where, stack, SPECS)


def wave(bazaar: Trade, number: int) -> None:
    """A good file and a bad one in every feed, ingested in turn: so the groups' ids of one wave lie between each other's of two."""
    for feed in FEEDS:
        bazaar.land(feed, f"x{number}.csv", f"{feed} {number}.00 x 1.00")
        bazaar.land(feed, f"bad{number}.csv", f"{BAD}{number}")
        bazaar.ingest(feed)


def remembered(bazaar: Trade) -> dict[str, Any]:
    """Everything that the ledger says of what came before, with its ids; apart from when it was delivered."""
    asked = {
        "files": "select to_jsonb(f) - 'delivered_at' as row from file f order by file_id",
        "events": "select to_jsonb(e) as row from file_event e where kind <> 'relocated' order by event_id",
        "batches": "select to_jsonb(b) - 'delivered_at' as row from batch b order by group_name, batch",
        "sums": "select to_jsonb(s) as row from trade_sum s order by feed, name",
        "log": "select to_jsonb(l) as row from trade_log l order by feed, batch, file_id",
    }
    return {name: [found["row"] for found in bazaar.ledger.rows(query)] for name, query in asked.items()}


def restore(bazaar: Trade, file: Path) -> None:
    backup.restore(bazaar.where.ledger, file, bazaar.bucket, now())
    bazaar.ledger.close()


def a_second_wave_after_the_backup(bazaar: Trade, file: Path) -> dict[str, Any]:
    """A ledger that is restored while new files wait in every feed; what it has to say again."""
    wave(bazaar, 1)
    backup.backup(bazaar.where.ledger, file)
    wave(bazaar, 2)
    before = remembered(bazaar)
    for feed in FEEDS:
        bazaar.land(feed, "new.csv", f"{feed} 3.00")
        bazaar.land(feed, "newer.csv", f"{feed} 4.00")
    restore(bazaar, file)
    return before


def whole(bazaar: Trade, before: Mapping[str, Any]) -> None:
    """All that was there is there again under its own ids, and what waited came in after it."""
    for feed in FEEDS:
        bazaar.drain(feed)
    after = remembered(bazaar)
    for name in ("files", "events", "batches", "log"):
        ids = "event_id" if name == "events" else "file_id"
        known = [row for row in after[name] if row in before[name]]
        assert known == before[name], name
        if name in {"files", "events"}:
            assert min(row[ids] for row in after[name] if row not in known) > max(row[ids] for row in known)
    for feed in FEEDS:
        assert [seq for seq, _ in bazaar.states(feed)] == [1, 2, 3, 4, 5, 6]
        assert bazaar.sums(feed) == {feed: (4, 1000), "x": (2, 200)}
    adds_up(bazaar, "loans")


@pytest.mark.parametrize("order", [("loans", "parties", "visits"), ("visits", "loans", "orders")], ids="-".join)
def test_all_groups_are_put_back_whichever_is_reconciled_first(bazaar: Trade, tmp_path: Path, order: tuple[str, ...]) -> None:
    before = a_second_wave_after_the_backup(bazaar, tmp_path / "ledger.dump")
    for feed in order:
        bazaar.reconcile(feed)
    whole(bazaar, before)


def test_nothing_is_written_of_any_group_before_all_are_put_back(bazaar: Trade, tmp_path: Path) -> None:
    before = a_second_wave_after_the_backup(bazaar, tmp_path / "ledger.dump")
    known = remembered(bazaar)
    for feed in FEEDS:
        with pytest.raises(LedgerBehind, match="brings it up to date with all groups of feeds"):
            bazaar.ingest(feed)
        spec, ports = bazaar.specs[feed], bazaar.ports(feed)
        with pytest.raises(LedgerBehind):
            replay(ports, spec, bazaar.run(), bazaar.file_id(1, feed), "ann", "too early")
        with pytest.raises(LedgerBehind):
            discard(ports, spec, bazaar.run(), bazaar.file_id(1, feed), "ann", "too early")
    bazaar.ledger.rows("update file set delivered_at = null where feed = 'visits' returning 1")
    with pytest.raises(LedgerBehind):
        deliver(bazaar.ports("visits"), bazaar.specs["visits"], bazaar.run())
    (tmp_path / "importance.csv").write_text("Source,Target,Weight,typeTrans,fraud\n'C1','M1',1,'x',0\n")
    assert "brings it up to date" in run_sluice("reference", "load", str(tmp_path / "importance.csv"), check=1).stderr
    assert remembered(bazaar) == known
    bazaar.ledger.admin.pause("loans", "ann")
    bazaar.reconcile("visits")
    bazaar.ledger.admin.resume("loans")
    whole(bazaar, before)


def test_a_put_back_that_is_killed_anywhere_goes_on_and_lets_nothing_in_before(
    bazaar: Trade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = a_second_wave_after_the_backup(bazaar, tmp_path / "ledger.dump")
    restore = bazaar.ledger.journal.restore
    for lived in count():
        left = iter(range(lived))
        monkeypatch.setattr(
            bazaar.ledger.journal, "restore", lambda *given, left=left: dies() if next(left, None) is None else restore(*given)
        )
        try:
            bazaar.reconcile(FEEDS[lived % len(FEEDS)])
            break
        except Killed:
            with pytest.raises(LedgerBehind):
                bazaar.ingest(FEEDS[lived % len(FEEDS)])
    assert lived > 2
    whole(bazaar, before)


def test_what_a_person_did_last_is_put_back_although_no_file_followed(bazaar: Trade, tmp_path: Path) -> None:
    wave(bazaar, 1)
    backup.backup(bazaar.where.ledger, tmp_path / "ledger.dump")
    discard(bazaar.ports("loans"), bazaar.specs["loans"], bazaar.run(), bazaar.file_id(1, "loans"), "ann", "the bank says: a trial")
    before = remembered(bazaar)
    restore(bazaar, tmp_path / "ledger.dump")
    with pytest.raises(LedgerBehind, match=r"^loans: .* something that happened after seq 2, and this ledger does not know it"):
        bazaar.ingest("orders")
    bazaar.reconcile("orders")
    assert remembered(bazaar) == before
    assert bazaar.states("loans")[0] == (1, "discarded")


def test_ids_in_the_journal_of_a_group_that_is_not_here_are_given_to_nothing(bazaar: Trade, tmp_path: Path) -> None:
    a_second_wave_after_the_backup(bazaar, tmp_path / "ledger.dump")
    rows = {"file": [{"file_id": 500}], "file_event": [{"event_id": 700}]}
    body = json.dumps({"format": 1, "group": "later", "rows": rows}).encode()
    bazaar.store.put(bazaar.bucket, keys.journal_entry("later", now(), "t"), body)
    bazaar.reconcile()
    assert min(bazaar.file_id(seq) for seq, _ in bazaar.states()[-2:]) == 501


def test_a_run_from_before_a_restore_can_write_nothing(bazaar: Trade, tmp_path: Path) -> None:
    spec = bazaar.specs["orders"]
    delivery = bazaar.ledger.leases.acquire_delivery(spec, bazaar.run())
    backup.backup(bazaar.where.ledger, tmp_path / "ledger.dump")
    bazaar.ledger.leases.release(spec, bazaar.ledger.leases.acquire(spec, bazaar.run()))
    token = bazaar.ledger.leases.acquire(spec, bazaar.run())
    restore(bazaar, tmp_path / "ledger.dump")
    with pytest.raises(LeaseLost):
        bazaar.ledger.outbox.refuse_lost(spec, delivery)
    bazaar.ingest()
    with pytest.raises(LeaseLost):
        bazaar.ledger.files.mark_swept(spec, token)


def test_a_violated_rule_of_the_ledger_ends_in_one_sentence(bazaar: Trade) -> None:
    bazaar.store.put(bazaar.bucket, "landing/transactions/dt=2026-11-01/a.csv", b"nothing\n")
    bazaar.ledger.rows("update feed set last_seq = 7 where feed = 'transactions' returning 1")
    said = run_sluice("ingest", "transactions", check=1).stderr
    assert "seq 8 has no seq before it: seqs are dense (CheckViolation)" in said
    assert "Traceback" not in said
    said = run_sluice("reconcile", "transactions", check=1).stderr
    assert "do not fit together: no file has seq 1 of transactions" in said
    assert "Traceback" not in said


# Ledgers that a release before this one put back, a group at a time -----------------------------------------------------------------


@pytest.fixture
def before_all_groups(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Catching up as it was: of the one group only, whatever else has the ids of its files and events."""

    def refuse(ports: Ports, spec: FeedSpec) -> None:
        if spec.group in journal._behind(ports.store, ports.ledger, ports.bucket):
            raise LedgerBehind(spec.name, ports.bucket, 0, 0)

    def catch_up(ports: Ports, spec: FeedSpec, run: Run) -> None:
        behind = journal._behind(ports.store, ports.ledger, ports.bucket)
        if spec.group in behind:
            journal._restore(ports, spec, run, behind[spec.group][1])

    def move_on(cursor: Cursor, rows: Rows) -> None:
        for file in rows["file"]:
            cursor.execute("update feed set last_seq = greatest(last_seq, %s) where feed = %s", (file["seq"], file["feed"]))
        spared(cursor, rows)

    spared = stored._move_on
    with monkeypatch.context() as patch:
        for step in ("discover", "deliver"):
            patch.setattr(f"include.pipeline.{step}.refuse_if_behind", refuse)
        patch.setattr("include.reconcile.reconcile.catch_up", catch_up)
        patch.setattr(stored, "_refuse_given_to_another", lambda *_: None)
        patch.setattr(stored, "_move_on", move_on)
        patch.setattr(
            stored, "_take_events", lambda cursor, rows, _: stored._insert(cursor, "file_event", rows["file_event"], "do nothing")
        )
        patch.setattr(Position, "behind", lambda here, there: here.state_version < there.state_version or bool(here.lagging(there)))
        yield patch


def start_over(bazaar: Trade) -> None:
    """`sluice restore --journals`, with the feeds of the test."""

    def restore() -> None:
        add_trade(bazaar.where, SPECS)
        catch_up(bazaar.ports("orders"), bazaar.specs["orders"], bazaar.run())

    backup.start_over(bazaar.where.ledger, bazaar.bucket, now(), restore)


@pytest.mark.parametrize("by", ["backup", "journals"])
def test_a_ledger_in_which_groups_took_each_others_ids_is_put_right(
    bazaar: Trade, tmp_path: Path, before_all_groups: pytest.MonkeyPatch, by: str
) -> None:
    before = a_second_wave_after_the_backup(bazaar, tmp_path / "ledger.dump")
    for feed in ("orders", "loans", "visits"):
        bazaar.reconcile(feed)
    with pytest.raises(psycopg.errors.CheckViolation, match="seqs are dense"):
        bazaar.drain("loans")
    bazaar.drain("visits")
    before_all_groups.undo()
    with pytest.raises(LedgerMixed, match="no file has seq"):
        bazaar.reconcile()
    run_sluice("restore", str(tmp_path / "misspelt"), "--yes", check=2)  # leaves the journals as they are
    assert renumber(bazaar.store, bazaar.bucket, bazaar.said.append) > 0
    assert renumber(bazaar.store, bazaar.bucket, bazaar.said.append) == 0
    if by == "backup":
        restore(bazaar, tmp_path / "ledger.dump")
        bazaar.reconcile("loans")
    else:
        start_over(bazaar)
    whole(bazaar, before)


def test_ids_that_two_journals_claim_are_sorted_out(bazaar: Trade, tmp_path: Path, before_all_groups: pytest.MonkeyPatch) -> None:
    """The first group went on, and delivered, before the others were put back."""
    before = a_second_wave_after_the_backup(bazaar, tmp_path / "ledger.dump")
    for feed in ("orders", "parties"):
        bazaar.reconcile(feed)
        bazaar.drain(feed)
    bazaar.land("orders", "x2.csv", "orders 5.00")
    bazaar.drain("orders")
    for feed in ("loans", "visits"):
        with suppress(psycopg.IntegrityError, JournalIncomplete):
            bazaar.reconcile(feed)
    before_all_groups.undo()
    restore(bazaar, tmp_path / "ledger.dump")
    with pytest.raises(LedgerMixed, match="in the journal, and here it is"):
        bazaar.reconcile("visits")
    assert renumber(bazaar.store, bazaar.bucket, bazaar.said.append) > 0
    assert renumber(bazaar.store, bazaar.bucket, bazaar.said.append) == 0
    start_over(bazaar)
    for feed in FEEDS:
        bazaar.drain(feed)
    adds_up(bazaar, "orders")
    adds_up(bazaar, "loans")
    assert bazaar.sums("orders") == {"orders": (4, 1300), "x": (1, 100)}
    assert bazaar.sums("loans") == {"loans": (4, 1000), "x": (2, 200)}
    after = remembered(bazaar)
    mine = [row for row in before["files"] if row["state"] == "quarantined" or row["feed"] != "orders"]
    assert [row for row in after["files"] if row in mine] == mine
    states: dict[int, str | None] = {}
    for event in after["events"]:
        if event["kind"] == "move":
            assert event["from_state"] == states.get(event["file_id"])
            states[event["file_id"]] = event["to_state"]
    assert {file["file_id"]: file["state"] for file in after["files"]} == states


def test_transactions_sales_and_finance_of_one_ledger_come_back_together(
    state: State, services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where = fresh(state, services, database, monkeypatch)
    with ExitStack() as stack:
        world, shop, market = World(where, stack), Shop(where, stack), Market(where, stack)

        def ingest(number: int, *, good: bool) -> None:
            world.land(f"{number}.csv", HEADER + row() * 3 if good else f"nothing\n{number}\n")
            world.ingest()
            fact = {"customer_id": 1, "store_id": 1, "product_name": "a", "sales_date": dt.date(2026, 4, 1), "sales_person_id": 1}
            shop.land("sales", f"{number}.csv", {**fact, "price": "2.00", "quantity": 1, "total_cost": "2.00" if good else "x"})
            shop.ingest("sales")
            market.land_bytes("stocks", f"{number}.jsonl", b"{}") if not good else market.land("stocks", f"{number}.jsonl", stock(1, 1))
            market.ingest("stocks")

        def said() -> dict[str, list[Any]]:
            tables = {**_RESULTS, "file": "file_id", "file_event": "event_id", "batch": "group_name, batch"}
            found, later = {}, ["delivered_at", "written_at", "created_at"]
            for table, order in tables.items():
                rows = world.ledger.rows(f"select to_jsonb(t) - %s::text[] as row from {table} t order by {order}", (later,))
                found[table] = [one["row"] for one in rows if one["row"].get("kind") != "relocated"]
            return found

        ingest(1, good=False)
        backup.backup(where.ledger, tmp_path / "ledger.dump")
        ingest(2, good=True)
        before = said()
        assert all(before.values())
        backup.restore(where.ledger, tmp_path / "ledger.dump", world.bucket, now())
        for ledger in (world.ledger, shop.ledger, market.ledger):
            ledger.close()
        with pytest.raises(LedgerBehind):
            ingest(3, good=False)
        assert "stocks: bucket and ledger agree" in run_sluice("reconcile", "stocks").stdout
        assert said() == before
        ingest(4, good=False)
        for feed in ("transactions", "sales", "stocks"):
            states = [(file["seq"], file["state"]) for file in world.ledger.queries.list_files(feed)]
            assert states[:2] == [(1, "quarantined"), (2, "published")]
            assert len(states) > 2
        before = said()
        assert "the ledger is what the journals have" in run_sluice("restore", "--journals", "--yes").stdout
        for ledger in (world.ledger, shop.ledger, market.ledger):
            ledger.close()
        assert {table: len(rows) for table, rows in said().items()} == {table: len(rows) for table, rows in before.items()}
        world.ingest()
        shop.ingest("sales")
        market.ingest("stocks")
        assert said() == before
        for schema in ("sales", "finance"):
            assert all(proof["holds"] for proof in world.ledger.rows(f"select holds from {schema}.proof"))
