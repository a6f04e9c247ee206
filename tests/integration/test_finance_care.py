"""What is put right, restored, evaluated once more and collected of stocks and mutual funds, on the real services."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from include.backfill.backfill import reprocess
from include.backfill.comparison import Comparison, Kind, ReplayDiffers
from include.domains import feed_named
from include.reconcile.checks import Checks
from include.storage.parquet import parquet_bytes, parquet_table
from tests import naive_finance as naive
from tests.integration.market import DAY, FEEDS, NOON, Market, as_json, fund, stock, zoned
from tests.integration.snapshots import Begin

STOCKS, FUNDS = naive.STOCKS, naive.FUNDS


@pytest.fixture
def trading(begin: Begin) -> Iterator[Market]:
    """Two batches of stocks, and one of funds between them."""
    with begin(Market, traded) as (market, landed):
        market.landed = landed
        yield market


def traded(market: Market) -> dict[str, Mapping[int, naive.Row]]:
    market.land(STOCKS, "1.json", stock(1, 7), stock(2, 8))
    market.land(FUNDS, "1.jsonl", fund(1, 7), fund(2, 8))
    market.drain()
    market.land(STOCKS, "2.csv", stock(1, 7, volume=5))
    market.drain()
    return market.landed


def again(market: Market, feed: str) -> Comparison:
    return reprocess(market.ports[feed], feed_named(feed), market.run(feed), DAY, DAY, {})


def test_a_broken_array_is_quarantined_with_the_byte_and_comes_in_corrected(trading: Market, tmp_path: Path) -> None:
    market = trading
    body = b"[" + as_json({**stock(3, 7), "timestamp": zoned(NOON)}).encode() + b", {]"
    key = market.land_bytes(STOCKS, "broken.json", body)
    market.drain()
    (refused,) = market.ledger.rows("select file_id, reason_code, reason from file where key = %s", (key,))
    assert refused["reason_code"] == "format"
    assert f"broken at byte {len(body)}, after 1 records" in refused["reason"]
    fixed = tmp_path / "fixed.json"
    fixed.write_bytes(body.replace(b", {]", b"]"))
    said = market.sluice("quarantine", "replay", str(refused["file_id"]), "--with", str(fixed), "--why", "cut off", "--go", "--ingest")
    assert "is published" in said
    assert {row[1] for row in market.found().silver} == {1, 2, 3}
    assert market.reconcile(STOCKS).ok


def test_a_rejected_row_comes_in_corrected_as_a_file_of_its_own(trading: Market) -> None:
    market = trading
    good = [as_json({**stock(number, 7), "timestamp": zoned(NOON)}) for number in range(10, 20)]
    bad = as_json({**stock(20, 7), "timestamp": 1.5})
    market.land_bytes(STOCKS, "rows.jsonl", "\n".join([*good, bad, ""]).encode())
    market.drain()
    (key,) = [one for one in market.keys("error/stocks/") if one.endswith("rejects.csv")]
    (row,) = csv.DictReader(io.StringIO(market.store.read_bytes(market.bucket, key).decode(), newline=""))
    assert (row["line"], row["columns"], row["rules"], row["original"]) == ("11", "timestamp", "matches", bad)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow({**row, "original": bad.replace("1.5", "1700000000")})
    market.store.put(market.bucket, "fixes/stocks/fixed.csv", text.getvalue().encode())
    market.drain()
    assert market.rows("stock where stock_id = 20", "line, file_id - 1 as behind, to_batch")[0][0] == 11
    assert [row["holds"] for row in market.ledger.rows("select holds from finance.proof")] == [True, True]
    assert market.reconcile(STOCKS, verify=True).ok
    (found,) = Checks(market.ledger.session).newest_checks(
        STOCKS
    )  # 13 prices of 10.5 landed and were accepted, one was not; a fix lands nothing
    assert (found["amount_in"], found["amount_out"], found["amount_rejected"]) == (14 * 10_500_000, 13 * 10_500_000, 10_500_000)
    assert re.search(r"\b147\.000000 +136\.500000 +10\.500000\b", market.sluice("reconcile", STOCKS, "--verify"))


def test_a_backup_is_restored_and_the_ledger_catches_up_to_what_was_delivered(trading: Market, tmp_path: Path) -> None:
    market = trading
    first = market.proven()
    market.sluice("backup", str(tmp_path / "ledger.dump"))
    market.land(FUNDS, "2.json", fund(1, 8))
    market.land(STOCKS, "3.json", stock(9, 8))
    market.drain()
    second, versions = market.proven(), market.rows("stock", order="stock_id, from_batch")
    for ports in market.ports.values():
        ports.ledger.close()  # type: ignore[attr-defined]
    assert "finance_before_" in market.sluice("restore", str(tmp_path / "ledger.dump"), "--yes")
    assert market.found() == first
    market.sluice("reconcile", STOCKS)
    market.drain()
    assert market.proven() == second
    assert market.rows("stock", order="stock_id, from_batch") == versions


def test_a_date_evaluated_once_more_is_equal_until_what_was_published_is_touched(trading: Market) -> None:
    market = trading
    for feed in FEEDS:
        assert again(market, feed).kind is Kind.EQUAL, feed
    asked = "select manifest -> 'objects' -> 'upserts' ->> 'key' as key from batch where feed = 'stocks' order by batch desc limit 1"
    key = market.ledger.rows(asked)[0]["key"]
    upserts = parquet_table(market.store.read_bytes(market.bucket, key))
    place = upserts.column_names.index("volume")
    market.store.put(market.bucket, key, parquet_bytes(upserts.set_column(place, "volume", pa.array([6], pa.int64()))))
    with pytest.raises(ReplayDiffers, match="upserts row 1: column volume"):
        again(market, STOCKS)


def test_collecting_takes_what_nothing_refers_to_and_both_feeds_go_on(trading: Market) -> None:
    market = trading
    dead = [f"state/{feed}/batch=00000001/attempt=99/upserts.parquet" for feed in FEEDS]
    for key in dead:
        market.store.put(market.bucket, key, b"left behind")
    before = set(market.keys(""))
    for feed in FEEDS:
        market.reconcile(feed, collect=True, grace_seconds=0)
    assert before - set(market.keys("")) == set(dead)
    market.land(STOCKS, "4.json", stock(4, 7))
    market.drain()
    market.proven()
    assert all(market.reconcile(feed, verify=True).ok for feed in FEEDS)
