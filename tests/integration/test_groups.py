"""Several feeds of one group: one lease, one sequence of batches, seqs of each feed's own."""

from __future__ import annotations

import dataclasses

import pytest

from include.domains import feed_named
from include.errors import EnvironmentFailure, FeedBusy, FeedPaused, UsageError
from include.pipeline.run import Progress, until_empty
from include.run import Run
from sluice.runtime import now
from tests.integration.shop import Shop
from tests.integration.trade import Killed, Trade, dies


def left_open(trade: Trade, feed: str) -> None:
    """A run of the feed ends in its job, and leaves its batch unfinished."""
    trade.job.before = dies
    with pytest.raises(Killed):
        trade.ingest(feed)
    trade.job.before = lambda _: None


def test_batches_are_numbered_across_the_group_and_seqs_within_a_feed(trade: Trade) -> None:
    trade.land("orders", "1.csv", "a 1.00 b 2.00")
    trade.land("parties", "1.csv", "a 5.00")
    trade.ingest("orders")
    trade.ingest("parties")
    trade.land("orders", "2.csv", "a 0.50")
    trade.ingest("orders")
    assert trade.batches() == [(1, "orders", "published", 1, 1), (2, "parties", "published", 1, 1), (3, "orders", "published", 2, 2)]
    assert (trade.sums("orders"), trade.sums("parties")) == ({"a": (2, 150), "b": (1, 200)}, {"a": (1, 500)})


def test_a_run_finishes_the_open_batch_of_another_feed_with_that_feeds_results_then_its_own(trade: Trade) -> None:
    trade.land("orders", "1.csv", "a 1.00")
    left_open(trade, "orders")
    assert trade.batches() == [(1, "orders", "open", 1, 1)]
    trade.land("parties", "1.csv", "p 7.00")
    progress = trade.ingest("parties")
    assert trade.batches() == [(1, "orders", "published", 1, 1), (2, "parties", "published", 1, 1)]
    assert (trade.sums("orders"), trade.sums("parties")) == ({"a": (1, 100)}, {"p": (1, 700)})
    assert (progress.runs, progress.published["files"]) == (2, 1)
    assert "batch 1 of orders (seq 1-1) was left unfinished: it goes before anything new" in trade.said
    attempts = trade.ledger.rows("select batch, attempt, outcome from batch_attempt order by batch, attempt")
    assert [tuple(row.values()) for row in attempts] == [(1, 1, None), (1, 2, "published"), (2, 1, "published")]


def test_the_outbox_is_the_groups_and_delivered_in_the_order_of_its_batches(trade: Trade) -> None:
    for feed in ("orders", "parties"):
        trade.land(feed, "1.csv", "a 1.00")
        trade.land(feed, "bad.csv", "")
    delivers, order = [], []
    for results in trade.results.values():
        delivers.append(results.export)
        results.export = dies  # type: ignore[method-assign]
    for feed in ("orders", "parties"):
        with pytest.raises(Killed):
            trade.ingest(feed)
    for results, deliver in zip(trade.results.values(), delivers, strict=True):
        results.export = lambda batch, by, deliver=deliver: (order.append((batch.number, batch.feed)), deliver(batch, by))[1]  # type: ignore[method-assign,misc]
    trade.ingest("parties")
    assert order == [(1, "orders"), (2, "parties")]
    undelivered = trade.ledger.rows("select feed, seq from file where delivered_at is null")
    assert undelivered == []
    kept = [stamp.key.split("/")[1] for stamp in trade.store.objects(trade.bucket, "error/") if stamp.key.endswith("bad.csv")]
    assert kept == ["orders", "parties"]


def test_while_one_feed_is_worked_on_another_of_its_group_leaves_it_to_that_run_and_the_command_waits(trade: Trade) -> None:
    token = trade.ledger.leases.acquire(trade.specs["orders"], trade.run(run_id="orders-run"))
    trade.land("parties", "1.csv", "p 7.00")
    with pytest.raises(FeedBusy, match=r"^parties waits for its turn: orders-run works on the group trade \(its lease runs out in "):
        trade.ingest("parties")
    assert trade.states("parties") == []

    def ends(line: str) -> None:
        trade.said.append(line)
        if line.startswith("waiting: parties waits for its turn: orders-run"):
            trade.ledger.leases.release(trade.specs["orders"], token)

    until_empty(dataclasses.replace(trade.ports("parties"), log=ends), trade.specs["parties"], trade.run(), Progress())
    assert trade.sums("parties") == {"p": (1, 700)}
    assert sum(line.startswith("waiting: ") for line in trade.said) == 1


def test_the_feed_that_a_group_is_named_after_waits_for_its_sisters_turn_too(shop: Shop) -> None:
    token = shop.ledger.leases.acquire(feed_named("customer"), Run("customers-run", now()))
    with pytest.raises(
        FeedBusy, match=r"^sales waits for its turn: customers-run works on the group sales \(its lease runs out in \d+ s unless"
    ):
        shop.ingest("sales")
    shop.ledger.leases.release(feed_named("customer"), token)


def test_an_open_batch_of_a_paused_feed_stops_its_group_and_says_whose_it_is(trade: Trade) -> None:
    trade.land("orders", "1.csv", "a 1.00")
    left_open(trade, "orders")
    trade.ledger.admin.pause("orders", "me")
    trade.land("parties", "1.csv", "p 7.00")
    with pytest.raises(FeedPaused, match=r"^orders was paused by me"):
        trade.ingest("parties")
    assert trade.batches() == [(1, "orders", "open", 1, 1)]
    with pytest.raises(UsageError, match=r"^parties has no open batch"):
        trade.ledger.batches.abandon(trade.specs["parties"], trade.run(), "no reason")
    trade.ledger.batches.abandon(trade.specs["orders"], trade.run(), "it is in the way")
    trade.ingest("parties")
    assert trade.sums("parties") == {"p": (1, 700)}
    trade.ledger.admin.resume("orders")
    trade.ingest("orders")
    assert trade.batches()[1:] == [(2, "parties", "published", 1, 1), (3, "orders", "published", 1, 1)]


def test_a_batch_of_another_feed_that_fails_is_narrowed_by_that_feeds_rules_and_the_own_work_goes_on(trade: Trade) -> None:
    trade.change("orders", max_failures=1)
    trade.land("orders", "1.csv", "a 1.00")
    left_open(trade, "orders")
    trade.land("parties", "1.csv", "p 7.00")

    def fails(request: object) -> None:
        if "state/orders/" in request["output"]:  # type: ignore[index]
            raise RuntimeError("cannot")

    trade.job.before = fails
    trade.ingest("parties")
    assert trade.sums("parties") == {"p": (1, 700)}
    assert (trade.states("orders"), trade.states("parties")) == ([(1, "quarantined")], [(1, "published")])
    assert trade.reason(1) is not None
    assert trade.reason(1).startswith("it failed alone 1 times while every service answered")


def test_an_outage_leaves_the_other_feeds_batch_open(trade: Trade) -> None:
    trade.land("orders", "1.csv", "a 1.00")
    left_open(trade, "orders")

    def down(_: object) -> None:
        raise EnvironmentFailure("S3", "no answer")

    trade.job.before = down
    trade.land("parties", "1.csv", "p 7.00")
    with pytest.raises(EnvironmentFailure):
        trade.ingest("parties")
    assert trade.batches() == [(1, "orders", "open", 1, 1)]


def test_reconcile_of_each_feed_of_a_group_finds_nothing_amiss(trade: Trade) -> None:
    for number, feed in enumerate(("orders", "parties", "orders", "parties")):
        trade.land(feed, f"{number}.csv", f"a {number}.00")
        trade.ingest(feed)
    for feed in ("orders", "parties"):
        found = trade.reconcile(feed, verify=True)
        assert (found.ok, [str(finding) for finding in found.findings], [tally.files for tally in found.daily_totals]) == (True, [], [2])
