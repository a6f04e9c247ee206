"""A lost ledger of a group, put back from the bucket: what was published, what was decided, what superseded what."""

from __future__ import annotations

import pytest

from include.clients import ledger_connection
from include.domains.transactions.feeds import TRANSACTIONS
from include.errors import LedgerBehind
from include.files import keys
from include.ledger.migrate import extra_schemas
from include.pipeline.deliver import deliver
from include.pipeline.journal import refuse_if_behind
from include.provision import prepare_ledger
from tests.integration.trade import BAD, Killed, Trade, add_trade, adds_up, dies, log


def test_a_lost_ledger_is_put_back_with_what_superseded_what(trade: Trade) -> None:
    for amount in ("1.00", "2.00"):
        for feed in ("orders", "parties"):
            trade.land(feed, "x.csv", f"a {amount} b 1.00")
            trade.ingest(feed)
    trade.land("orders", "y.csv", BAD)
    trade.ingest()
    before = [(trade.states(feed), trade.sums(feed)) for feed in ("orders", "parties")], trade.batches(), log(trade)
    lose_the_ledger(trade)
    assert trade.states() == []
    trade.reconcile("parties")
    assert ([(trade.states(feed), trade.sums(feed)) for feed in ("orders", "parties")], trade.batches(), log(trade)) == before
    trade.land("orders", "x.csv", "a 3.00")
    trade.drain()
    assert trade.sums() == {"a": (1, 300)}
    adds_up(trade)


def test_a_lost_ledger_is_put_back_although_a_name_holds_other_bytes_by_now(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    trade.land("orders", "x.csv", BAD)
    trade.ingest()
    asked = "select seq, state, latest, location from file order by seq"
    before = trade.ledger.rows(asked)
    lose_the_ledger(trade)
    trade.reconcile()
    trade.drain()
    assert trade.ledger.rows(asked) == before
    assert [(row["latest"], row["location"]) for row in before] == [(False, "overwritten"), (True, "error")]


def test_a_decision_is_put_back_with_the_files_that_it_supersedes(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    trade.land("orders", "x.csv", "a 2.00")
    trade.land("orders", "z.csv", BAD)
    trade.job.before = dies
    with pytest.raises(Killed):
        trade.ingest()  # decided: seq 2 accepted, seq 3 quarantined
    trade.job.before = lambda _: None
    trade.ledger.batches.abandon(trade.specs["orders"], trade.run(), "so that the outbox is drained before it is published")
    deliver(trade.ports("orders"), trade.specs["orders"], trade.run())
    lose_the_ledger(trade)
    trade.reconcile()
    assert trade.states() == [(1, "published"), (2, "accepted"), (3, "quarantined")]
    trade.drain()
    assert (trade.states(), trade.sums()) == ([(1, "superseded"), (2, "published"), (3, "quarantined")], {"a": (1, 200)})
    adds_up(trade)


def test_how_far_a_journal_goes_is_read_as_a_release_of_one_feed_a_group_left_it(trade: Trade) -> None:
    newest = keys.journal_newest("transactions")
    trade.store.put(trade.bucket, newest, b'{"seq": 0, "state_version": 0}')
    refuse_if_behind(trade.ports("orders"), TRANSACTIONS)
    trade.store.put(trade.bucket, newest, b'{"seq": 3, "state_version": 1}')
    with pytest.raises(LedgerBehind, match="has delivered results up to seq 3, and this ledger knows seq 0"):
        refuse_if_behind(trade.ports("orders"), TRANSACTIONS)


def test_a_ledger_that_lacks_what_another_feed_of_the_group_delivered_takes_nothing_in(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.land("parties", "bad.csv", BAD)
    trade.ingest("orders")
    trade.ingest("parties")
    lose_the_ledger(trade)
    with pytest.raises(LedgerBehind, match=r"^orders: .* has delivered results up to seq 1, and this ledger knows seq 0"):
        trade.ingest("parties")
    trade.reconcile("parties")
    assert (trade.states("orders"), trade.states("parties")) == ([(1, "published")], [(1, "quarantined")])


def lose_the_ledger(trade: Trade) -> None:
    schema = trade.ledger.rows("select current_schema() as name")[0]["name"]
    with trade.ledger.transaction() as cursor:
        cursor.execute(f"drop schema {schema} cascade".encode())
        for beside in extra_schemas():
            cursor.execute(f"drop schema if exists {beside} cascade".encode())
        cursor.execute(f"create schema {schema}".encode())
    with ledger_connection(trade.where.ledger) as connection:
        prepare_ledger(connection, trade.bucket)
    add_trade(trade.where)
