"""Other bytes under a known name: what a feed whose files supersede each other takes out and puts in, and what it leaves alone."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from include.errors import UsageError
from include.feed import OverwritePolicy
from include.files import keys
from include.pipeline.discover import discover
from include.pipeline.gate import gate
from include.replay.replay import plan, replay
from tests.integration.command import run_sluice
from tests.integration.trade import BAD, DAY, Killed, Trade, adds_up, dies, log

TEN = " ".join(f"n{number} 1.00" for number in range(10))


def test_a_new_version_takes_the_old_ones_effects_out_and_puts_its_own_in(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00 b 2.00")
    trade.land("orders", "y.csv", "b 5.00")
    trade.ingest()
    trade.land("orders", "x.csv", "b 3.00 c 4.00 c 0.50")
    progress = trade.ingest()
    assert trade.sums() == {"b": (2, 800), "c": (2, 450)}
    assert trade.states() == [(1, "superseded"), (2, "published"), (3, "published")]
    assert (trade.reason(1), progress.published["superseded"]) == (f"superseded by file {trade.file_id(3)}, seq 3", 1)
    assert trade.moves(1) == [
        (None, "registered", None),
        ("registered", "accepted", None),
        ("accepted", "published", None),
        ("published", "superseded", trade.reason(1)),
    ]
    assert log(trade) == [(1, 1, 1, 2), (1, 2, 1, 1), (2, 3, 1, 3), (2, 1, -1, 2)]
    moved = trade.ledger.rows("select e.at, b.published_at from file_event e, batch b where to_state = 'superseded' and batch = 2")
    assert len(moved) == 1
    adds_up(trade)


def test_show_says_whose_place_a_file_takes_and_which_takes_its(trade: Trade) -> None:
    key = trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    trade.land("orders", "x.csv", "a 2.00")
    trade.ingest()
    old, new = trade.file_id(1), trade.file_id(2)
    assert f"  takes the place of file {old} (seq 1, {key}, superseded)\n" in run_sluice("show", str(new)).stdout
    assert f"  file {new} (seq 2, {key}, published) takes its place\n" in run_sluice("show", str(old)).stdout


@pytest.mark.parametrize("row", [BAD, ""])
def test_a_new_version_that_is_refused_leaves_the_old_one_in_force(trade: Trade, row: str) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    trade.land("orders", "x.csv", row)
    trade.ingest()
    assert (trade.states(), trade.sums()) == ([(1, "published"), (2, "quarantined")], {"a": (1, 100)})
    trade.land("orders", "x.csv", "a 2.00")
    trade.ingest()
    assert (trade.states(), trade.sums()) == ([(1, "superseded"), (2, "quarantined"), (3, "published")], {"a": (1, 200)})
    adds_up(trade)


def test_a_new_version_with_the_bytes_of_another_file_is_a_duplicate_and_leaves_the_old_one_in_force(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.land("orders", "y.csv", "b 2.00")
    trade.ingest()
    trade.land("orders", "x.csv", "b 2.00")
    trade.ingest()
    assert (trade.states(), trade.sums()) == ([(1, "published"), (2, "published"), (3, "duplicate")], {"a": (1, 100), "b": (1, 200)})


def test_the_bytes_of_a_superseded_file_are_a_new_file_under_another_name_and_under_its_own(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    trade.land("orders", "x.csv", "a 2.00")
    trade.ingest()
    trade.land("orders", "elsewhere.csv", "a 1.00")
    trade.ingest()
    assert trade.sums() == {"a": (2, 300)}
    trade.land("orders", "elsewhere.csv", "c 9.00")
    trade.ingest()
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    states = [(1, "superseded"), (2, "superseded"), (3, "superseded"), (4, "published"), (5, "published")]
    assert (trade.states(), trade.sums()) == (states, {"a": (1, 100), "c": (1, 900)})
    adds_up(trade)


def test_versions_that_wait_together_never_share_a_batch_and_each_counts_after_the_one_before(trade: Trade) -> None:
    for amount in ("1.00", "2.00", "1.00"):  # the third is an older version put back
        trade.land("orders", "x.csv", f"a {amount}")
        trade.land("orders", f"beside{amount}.csv", f"b {amount}")
        run = trade.run()
        found = discover(trade.ports("orders"), trade.specs["orders"], run)
        assert found.token is not None
        gate(trade.ports("orders"), trade.specs["orders"], run, found.token, [one for group in found.groups for one in group.file_ids])
        trade.ledger.leases.release(trade.specs["orders"], found.token)
    trade.drain()
    assert trade.states() == [(1, "published"), (2, "superseded"), (3, "published"), (4, "superseded"), (5, "published")]
    assert trade.batches() == [(1, "orders", "published", 1, 3), (2, "orders", "published", 4, 4), (3, "orders", "published", 5, 5)]
    assert trade.sums() == {"a": (1, 100), "b": (2, 300)}
    adds_up(trade)


def test_an_old_version_that_is_accepted_and_not_published_is_published_first(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.job.before = dies
    with pytest.raises(Killed):
        trade.ingest()
    trade.job.before = lambda _: None
    trade.land("orders", "x.csv", "a 2.00")
    trade.drain()
    assert (trade.states(), trade.sums()) == ([(1, "superseded"), (2, "published")], {"a": (1, 200)})
    assert log(trade) == [(1, 1, 1, 1), (2, 2, 1, 1), (2, 1, -1, 1)]


def test_a_batch_that_ends_anywhere_before_its_publication_leaves_the_old_version_in_force(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    trade.land("orders", "x.csv", "a 2.00")
    trade.job.before = dies
    with pytest.raises(Killed):
        trade.ingest()
    trade.job.before = lambda _: None
    with monkeypatch.context() as patch:
        publish = trade.results["orders"].publish
        patch.setattr(trade.results["orders"], "publish", lambda *a: (publish(*a), dies())[0])  # the whole transaction, but its end
        with pytest.raises(Killed):
            trade.ingest()
    assert (trade.states(), trade.sums()) == ([(1, "published"), (2, "accepted")], {"a": (1, 100)})
    trade.ledger.batches.abandon(trade.specs["orders"], trade.run(), "to see that the next one does the same")
    trade.drain()
    assert (trade.states(), trade.sums()) == ([(1, "superseded"), (2, "published")], {"a": (1, 200)})
    assert [row[1:] for row in log(trade)] == [(1, 1, 1), (2, 1, 1), (1, -1, 1)]
    adds_up(trade)


def test_a_new_version_that_fails_alone_again_and_again_leaves_the_old_one_in_force(trade: Trade) -> None:
    trade.change("orders", max_failures=1)
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    trade.land("orders", "x.csv", "a 2.00")

    def fails(request: Any) -> None:
        if any(file["seq"] == 2 for file in request["files"]):
            raise RuntimeError("cannot")

    trade.job.before = fails
    trade.drain()
    assert (trade.states(), trade.sums()) == ([(1, "published"), (2, "quarantined")], {"a": (1, 100)})
    assert trade.ledger.row("select supersedes from file where seq = 2") == {"supersedes": None}
    trade.land("orders", "z.csv", "a 1.00")
    trade.land("orders", "x.csv", "a 3.00")
    trade.drain()
    states = [(1, "superseded"), (2, "quarantined"), (3, "published"), (4, "published")]
    assert (trade.states(), trade.sums()) == (states, {"a": (2, 400)})


def test_with_the_policy_append_every_version_counts(trade: Trade) -> None:
    trade.change("orders", overwrite=OverwritePolicy.APPEND)
    for amount in ("1.00", "2.00", "1.00"):
        trade.land("orders", "x.csv", f"a {amount}")
        trade.ingest()
    assert (trade.states(), trade.sums()) == ([(1, "published"), (2, "published"), (3, "duplicate")], {"a": (2, 300)})
    adds_up(trade)


def test_the_same_name_in_the_other_feed_of_the_group_is_another_file(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.land("parties", "x.csv", "a 1.00")
    trade.ingest("orders")
    trade.ingest("parties")
    trade.land("parties", "x.csv", "a 2.00")
    trade.ingest("parties")
    assert (trade.sums("orders"), trade.sums("parties")) == ({"a": (1, 100)}, {"a": (1, 200)})
    assert (trade.states("orders"), trade.states("parties")) == ([(1, "published")], [(1, "superseded"), (2, "published")])


def with_rejects(trade: Trade, name: str = "x.csv") -> int:
    """A published file of eleven rows, one of them rejected; its id."""
    trade.land("orders", name, f"{TEN} bad oops")
    trade.ingest()
    return trade.file_id(1)


def fixed(trade: Trade, file_id: int, name: str, amount: str) -> None:
    """Correct the rejected row of a file."""
    (key,) = [
        stamp.key
        for stamp in trade.store.objects(trade.bucket, "error/")
        if stamp.key.endswith("/rejects.csv") and f".{file_id}/" in stamp.key
    ]
    (row,) = csv.DictReader(io.StringIO(trade.store.read_bytes(trade.bucket, key).decode(), newline=""))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, tuple(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row | {"original": row["original"].replace("oops", amount)})
    trade.store.put(trade.bucket, keys.fixes("orders") + name, text.getvalue().encode())


def test_corrected_rows_of_a_file_go_with_it_and_its_report_says_what_became_of_it(trade: Trade) -> None:
    parent = with_rejects(trade)
    fixed(trade, parent, "1.csv", "7.00")
    trade.ingest()
    assert trade.sums()["bad"] == (1, 700)
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    assert (trade.states(), trade.sums()) == ([(1, "superseded"), (2, "superseded"), (3, "published")], {"a": (1, 100)})
    folder = keys.error_folder("orders", trade.ledger.files.by_id([parent])[0].date, f"landing/orders/{DAY}/x.csv", parent)
    report = trade.store.read_bytes(trade.bucket, keys.in_error(folder, "report.json")).decode()
    assert '"state": "superseded"' in report
    adds_up(trade)


def test_corrected_rows_of_a_superseded_file_are_refused_with_the_reason(trade: Trade) -> None:
    parent = with_rejects(trade)
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    fixed(trade, parent, "1.csv", "7.00")
    trade.ingest()
    assert trade.states()[-1] == (3, "quarantined")
    assert f"file {parent} was superseded by a newer version of landing/orders/{DAY}/x.csv" in (trade.reason(3) or "")
    assert trade.sums() == {"a": (1, 100)}


def test_corrected_rows_that_arrive_behind_the_new_version_are_refused_although_they_were_judged_before_it_was_published(
    trade: Trade,
) -> None:
    parent = with_rejects(trade)
    trade.land("orders", "x.csv", "a 1.00")
    fixed(trade, parent, "1.csv", "7.00")
    trade.drain()  # one run judges both: the parent is still published then
    assert trade.states() == [(1, "superseded"), (2, "published"), (3, "quarantined")]
    said = f"file {parent}, whose rows it corrects, was superseded by file {trade.file_id(2)}, seq 2: correct the rows of that one"
    assert trade.reason(3) == said
    assert trade.sums() == {"a": (1, 100)}
    adds_up(trade)


def test_a_replayed_version_takes_the_place_of_what_its_name_holds(trade: Trade) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.ingest()
    trade.land("orders", "x.csv", BAD)
    trade.ingest()
    trade.store.put(trade.bucket, "put/right.csv", b"name,amount\na,2.00\n")
    ports, spec, bad = trade.ports("orders"), trade.specs["orders"], trade.file_id(2)
    planned = plan(ports, spec, bad, f"s3://{trade.bucket}/put/right.csv")
    assert (planned.passes, planned.as_json()["supersedes"]) == (True, [trade.file_id(1)])
    assert f"  it would supersede file {trade.file_id(1)}, seq 1" in [*planned.lines()]
    replay(ports, spec, trade.run(), bad, "me", "it was torn", f"s3://{trade.bucket}/put/right.csv")
    trade.ingest()
    assert (trade.states(), trade.sums()) == ([(1, "superseded"), (2, "discarded"), (3, "published")], {"a": (1, 200)})
    trade.land("orders", "x.csv", "a 3.00")
    trade.ingest()
    assert (trade.states()[2:], trade.sums()) == ([(3, "superseded"), (4, "published")], {"a": (1, 300)})
    adds_up(trade)


def test_an_old_version_is_not_replayed_over_a_newer_one(trade: Trade) -> None:
    trade.land("orders", "x.csv", BAD)
    trade.ingest()
    ports, spec, bad = trade.ports("orders"), trade.specs["orders"], trade.file_id(1)
    trade.store.put(trade.bucket, "put/right.csv", b"name,amount\na,2.00\n")
    trade.land("orders", "x.csv", "a 1.00")
    discover(ports, spec, trade.run(run_id="one"))
    trade.ledger.leases.release_run(spec, "one")
    replay(ports, spec, trade.run(), bad, "me", "it was torn", f"s3://{trade.bucket}/put/right.csv")
    trade.drain()  # the version that landed has the lower seq, and is newer than the one that was replayed
    assert (trade.states(), trade.sums()) == ([(1, "quarantined"), (2, "published"), (3, "quarantined")], {"a": (1, 100)})
    assert trade.reason(3) == (
        f"it would take the place of seq 1, and file {trade.file_id(2)}, seq 2, a newer version of the same name, is in force: "
        "land the corrected content under that name"
    )
    with pytest.raises(UsageError, match="a newer version of the same name is in force"):
        replay(ports, spec, trade.run(), bad, "me", "again", f"s3://{trade.bucket}/put/right.csv")
    adds_up(trade)
