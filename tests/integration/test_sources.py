"""Files of one feed from two buckets: a second place is a row."""

from __future__ import annotations

import json

import pytest

from include.backfill.backfill import ingest_date, verify_date
from include.backfill.history import History
from include.clients import s3_client
from include.domains.transactions.feeds import TRANSACTIONS
from include.errors import EnvironmentFailure, UsageError
from include.files import keys
from include.files.file import Source
from include.files.sources import source_named
from include.pipeline.run import Progress
from include.reconcile.context import Auditor
from tests.integration.command import run_sluice
from tests.integration.trade import BAD, DAY, Trade, adds_up

IN = "in/shop/"


@pytest.fixture
def second(trade: Trade) -> str:
    """Another bucket, where orders arrive too."""
    bucket = f"{trade.bucket}-two"
    s3_client(trade.where.s3).create_bucket(Bucket=bucket)
    trade.ledger.sources.add(trade.specs["orders"], Source(bucket, IN), trade.bucket)
    return bucket


def test_a_second_bucket_is_read_by_discover_and_the_same_key_there_is_another_file(trade: Trade, second: str) -> None:
    trade.ledger.sources.add(trade.specs["orders"], Source(second, keys.landing("orders")), trade.bucket)
    key = trade.land("orders", "x.csv", "a 1.00")
    assert trade.land("orders", "x.csv", "a 2.00", second) == key
    trade.land("orders", "y.csv", "b 3.00", second, IN)
    trade.ingest()
    files = trade.ledger.rows("select seq, bucket, key, version, state from file order by seq")
    assert [tuple(row.values()) for row in files] == [
        (1, second, f"{IN}{DAY}/y.csv", 1, "published"),
        (2, trade.bucket, key, 1, "published"),
        (3, second, key, 1, "published"),
    ]
    assert trade.sums() == {"a": (2, 300), "b": (1, 300)}
    trade.land("orders", "x.csv", "a 5.00", second)
    trade.ingest()
    assert trade.states() == [(1, "published"), (2, "published"), (3, "superseded"), (4, "published")]
    assert trade.sums() == {"a": (2, 600), "b": (1, 300)}
    adds_up(trade)


def test_what_follows_a_file_of_a_second_bucket_lies_in_our_own(trade: Trade, second: str) -> None:
    trade.change("orders", archive=True)
    trade.land("orders", "good.csv", "a 1.00", second, IN)
    trade.land("orders", "bad.csv", BAD, second, IN)
    trade.ingest()
    assert [*trade.store.objects(second, "")] == []
    day = trade.ledger.files.by_id([trade.file_id(1)])[0].date
    bad, good = trade.file_id(1), trade.file_id(2)
    kept = keys.original_in_error(keys.error_folder("orders", day, "bad.csv", bad), "bad.csv")
    archived = keys.archived("orders", day, "good.csv", good)
    assert trade.store.read_bytes(trade.bucket, kept) == b"name,amount\na,x\n"
    assert trade.store.read_bytes(trade.bucket, archived) == b"name,amount\na,1.00\n"
    places = trade.ledger.rows("select seq, bucket, location, location_key from file order by seq")
    assert [tuple(row.values()) for row in places] == [(1, second, "error", kept), (2, second, "archive", archived)]
    adds_up(trade)
    trade.land("orders", "good.csv", "a 2.00", second, IN)  # the archived one is in force until this one is
    trade.ingest()
    assert (trade.states()[1:], trade.sums()) == ([(2, "superseded"), (3, "published")], {"a": (1, 200)})
    adds_up(trade)


def test_reconcile_finds_what_a_run_has_not_seen_in_either_bucket_and_what_is_gone_from_it(trade: Trade, second: str) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.land("orders", "y.csv", "b 2.00", second, IN)
    found = trade.reconcile()
    assert found.counts == {"unknown_object": 2}
    trade.drain()
    trade.store.delete(second, f"{IN}{DAY}/y.csv")
    gone = trade.reconcile()
    assert [(one.code, one.where) for one in gone.findings] == [("object_gone", f"s3://{second}/{IN}{DAY}/y.csv")]
    assert trade.sums() == {"a": (1, 100), "b": (1, 200)}


def test_a_backfill_ingests_a_date_from_both_buckets(trade: Trade, second: str) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    trade.land("orders", "y.csv", "b 2.00", second, IN)
    trade.store.put(second, f"{IN}dt=2026-11-02/z.csv", b"name,amount\nc,1.00\n")
    date = History(trade.ledger.session).requested_dates(trade.specs["orders"])
    assert date == []
    day = keys.date_in(f"{DAY}/x.csv")
    assert day is not None
    ports, spec = trade.ports("orders"), trade.specs["orders"]
    files = ingest_date(ports, spec, trade.run(), day, Progress())
    assert [kept.file.bucket for kept in files] == [second, trade.bucket]
    assert trade.sums() == {"a": (1, 100), "b": (1, 200)}
    assert verify_date(ports, Auditor(), spec, trade.run(), day) == (
        "orders dt=2026-11-01: 2 files (2 published); 2 lines = 2 accepted + 0 rejected"
    )


def test_a_disabled_place_is_not_listed_and_its_files_stay_what_they_are(trade: Trade, second: str) -> None:
    trade.land("orders", "x.csv", "a 1.00", second, IN)
    trade.ingest()
    trade.ledger.sources.disable(trade.specs["orders"], Source(second, IN))
    trade.land("orders", "y.csv", "b 2.00", second, IN)
    trade.ingest()
    assert trade.states() == [(1, "published")]
    adds_up(trade)
    with pytest.raises(UsageError, match="is no active place of orders"):
        trade.ledger.sources.disable(trade.specs["orders"], Source(second, IN))
    assert trade.ledger.sources.add(trade.specs["orders"], Source(second, IN), trade.bucket)
    trade.ingest()
    assert trade.sums() == {"a": (1, 100), "b": (1, 200)}


def test_places_that_overlap_by_a_row_of_somebodys_hand_give_no_file_twice(trade: Trade, second: str) -> None:
    with trade.ledger.transaction() as cursor:
        cursor.execute("insert into feed_source (feed, bucket, prefix) values ('orders', %s, 'in/')", (second,))
    trade.land("orders", "x.csv", "a 1.00", second, IN)
    trade.ingest()
    assert (trade.states(), trade.sums()) == ([(1, "published")], {"a": (1, 100)})
    adds_up(trade)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("two:in/shop/deeper/", "of orders hold the same objects"),
        ("two:in/", "of orders hold the same objects"),
        ("own:landing/parties/", "of parties hold the same objects"),
        ("own:error/", "is where Sluice itself writes"),
        ("own:bronze/orders/", "is where Sluice itself writes"),
    ],
)
def test_a_place_that_is_taken_is_refused(trade: Trade, second: str, uri: str, why: str) -> None:
    bucket, _, prefix = uri.partition(":")
    with pytest.raises(UsageError, match=why):
        trade.ledger.sources.add(trade.specs["orders"], Source({"two": second, "own": trade.bucket}[bucket], prefix), trade.bucket)


@pytest.mark.parametrize("uri", ["in/shop/", "s3://", "s3://b", "s3://b/", "s3://b/in", "s3://b//in/", "s3://b/../in/"])
def test_what_is_no_folder_of_a_bucket_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="give s3://bucket/prefix/"):
        source_named(uri)


def test_the_command_lists_adds_and_disables_places(trade: Trade, second: str) -> None:
    place = f"s3://{second}/more/"
    assert run_sluice("source", "add", "transactions", place).stderr == f"{place} is a place of transactions; 0 objects lie there now\n"
    assert "was a place already" in run_sluice("source", "add", "transactions", place).stderr
    rows = json.loads(run_sluice("source", "list", "transactions", "--json").stdout)
    assert [(row["bucket"], row["prefix"], row["active"], row["files"]) for row in rows] == [
        (trade.bucket, "landing/transactions/", True, 0),
        (second, "more/", True, 0),
    ]
    run_sluice("source", "disable", "transactions", place)
    assert trade.ledger.sources.active(TRANSACTIONS) == [Source(trade.bucket, "landing/transactions/")]
    assert "does not exist" in run_sluice("source", "add", "transactions", "s3://no-such-bucket/in/", check=3).stderr


def test_a_bucket_that_is_gone_ends_the_run_as_an_outage_and_nothing_is_lost(trade: Trade, second: str) -> None:
    trade.land("orders", "x.csv", "a 1.00")
    s3_client(trade.where.s3).delete_bucket(Bucket=second)
    with pytest.raises(EnvironmentFailure, match=f"bucket {second} does not exist"):
        trade.ingest()
    assert trade.states() == []
    trade.ledger.sources.disable(trade.specs["orders"], Source(second, IN))
    trade.ingest()
    assert trade.sums() == {"a": (1, 100)}
