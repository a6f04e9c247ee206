"""Silver and gold as files, and the command, on the real services."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, BinaryIO

import pytest

from include.clients import s3_client
from include.domains.finance.exporter import TableExporter
from include.domains.finance.feeds import FORMATS
from include.domains.finance.schema import TABLES
from include.errors import UsageError
from include.files.file import ObjectRef
from include.storage.parquet import parquet_table
from include.storage.s3 import S3Store
from spark_jobs import session
from tests import naive_finance as naive
from tests.integration.market import FEEDS, Market, fund, stock

STOCKS, FUNDS = naive.STOCKS, naive.FUNDS


def current(market: Market, table: str, written_as: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(market.store.read_bytes(market.bucket, f"lake/finance/{table}/{written_as}/current.json"))
    return said


def rows(market: Market, table: str, written_as: str) -> list[dict[str, Any]]:
    """The rows that a reader of the current version gets."""
    said = current(market, table, written_as)
    assert all(ref["key"].startswith(f"lake/finance/{table}/{written_as}/v={said['batch']}/") for ref in said["objects"])
    ref = said["objects"][0]
    body = market.store.read_bytes(market.bucket, ref["key"], ref["etag"])
    if written_as in {"parquet", "delta"}:
        return parquet_table(body).to_pylist()
    if written_as == "csv":
        return [*csv.DictReader(io.StringIO(body.decode(), newline=""))]
    return [json.loads(line) for line in body.splitlines()]


def by_text(found: Iterable[dict[str, Any]]) -> list[str]:
    """Rows in whatever order they come, instants in UTC."""

    def told(value: Any) -> Any:
        return value.astimezone(dt.UTC).isoformat() if isinstance(value, dt.datetime) else value

    return sorted(repr({name: told(value) for name, value in row.items()}) for row in found)


def test_each_format_holds_what_is_published_and_a_repeat_changes_nothing(market: Market) -> None:
    market.land(STOCKS, "1.json", stock(1, 7, symbol='a,"b"', price=Decimal("0.1")), stock(2, 7, sector=None))
    market.land(FUNDS, "1.json", fund(1, 7), fund(2, 7))
    market.drain()
    columns = ", ".join(TABLES["gold_business_aggregation"].names)
    expected = market.ledger.rows(f"select {columns} from finance.gold_business_aggregation order by company_id, stock_id, fund_id")
    for written_as in FORMATS:
        said = market.sluice("finance", "refresh", "--output-format", written_as)
        assert (
            f"as of batch 2: silver 4 rows, gold_business_aggregation 4 rows, gold_by_company_sector_exchange_day 2 rows, as {written_as}"
            in said
        )
    for table in TABLES:
        assert [(current(market, table, one)["batch"], current(market, table, one)["format"]) for one in FORMATS] == [
            (2, one) for one in FORMATS
        ]
    for written_as in ("parquet", "delta"):
        assert rows(market, "gold_business_aggregation", written_as) == [dict(row) for row in expected]
    text = {"csv": str, "json": lambda value: value}
    for written_as, as_text in text.items():
        first = rows(market, "gold_business_aggregation", written_as)[0]
        assert (first["symbol"], first["price"], first["total_value"]) == ('a,"b"', "0.100000", "0.200000100000")
        assert (first["stock_id"], first["stock_timestamp"]) == (as_text(1), "2026-04-01T12:00:00.000000Z")  # type: ignore[operator]
    for table, schema in TABLES.items():
        folder = current(market, table, "delta")["folder"]
        read = session.connect(market.where.spark).read.format("delta").load(f"s3a://{market.bucket}/{folder}")
        there = market.ledger.rows(f"select * from finance.{table}")
        assert by_text(read.toArrow().cast(schema).to_pylist()) == by_text(dict(row) for row in there)
    before = {stamp.key: (stamp.etag, stamp.last_modified) for stamp in market.store.objects(market.bucket, "lake/finance/")}
    market.sluice("finance", "refresh", "--output-format", "delta")
    market.drain()
    assert {stamp.key: (stamp.etag, stamp.last_modified) for stamp in market.store.objects(market.bucket, "lake/finance/")} == before


class Paused(S3Store):
    """S3 for a run that stands still just before it names what it wrote."""

    def __init__(self, client: Any, meanwhile: Callable[[], None]) -> None:
        super().__init__(client)
        self._meanwhile = [meanwhile]

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:
        if key.endswith("/current.json") and self._meanwhile:
            self._meanwhile.pop()()
        return super().put(bucket, key, body, rows=rows, if_absent=if_absent)

    def replace(self, bucket: str, key: str, body: bytes, *, etag: str) -> ObjectRef:
        if self._meanwhile:
            self._meanwhile.pop()()
        return super().replace(bucket, key, body, etag=etag)


@pytest.mark.parametrize("named_before", [False, True])
def test_a_run_that_was_overtaken_does_not_lead_readers_back(market: Market, named_before: bool) -> None:
    written_as = "parquet" if named_before else "csv"
    market.choices = {"output_format": "parquet"}
    market.land(FUNDS, "1.json", fund(1, 7))
    market.drain()
    market.land(STOCKS, "1.json", stock(1, 7))
    before = current(market, "silver", "parquet")

    def overtake() -> None:
        market.choices = {"output_format": written_as}
        market.land(STOCKS, "2.json", stock(2, 7))
        market.drain()

    market.drain()
    if named_before:
        market.store.put(market.bucket, "lake/finance/silver/parquet/current.json", json.dumps(before).encode())
    overtaken = TableExporter(market.ledger.session, Paused(s3_client(market.where.s3), overtake), market.bucket)
    overtaken.write(2, written_as, market.said.append)
    for table in TABLES:
        assert (current(market, table, written_as)["batch"], len(rows(market, table, written_as))) == (3, 1 if "day" in table else 2)
    assert market.reconcile(STOCKS).findings == ()


def test_an_unknown_format_is_refused_with_the_choices(market: Market) -> None:
    market.choices = {"output_format": "xml"}
    with pytest.raises(UsageError, match="output_format = 'xml' is none of parquet, csv, delta, json"):
        market.run(STOCKS)
    assert "is none of parquet, csv, delta, json" in market.sluice("ingest", STOCKS, "--output-format", "xml", check=2)


def test_a_format_given_to_a_run_binds_the_batches_it_opens(market: Market) -> None:
    market.choices = {"output_format": "csv"}
    market.land(STOCKS, "1.csv", stock(1, 7))
    market.drain(STOCKS)
    assert market.keys("lake/finance/silver/") == ["lake/finance/silver/csv/current.json", "lake/finance/silver/csv/v=1/part-00000.csv"]
    assert current(market, "silver", "csv")["rows"] == 0


def test_the_command_answers_with_what_is_and_with_what_was(market: Market) -> None:
    market.land(STOCKS, "1.json", stock(1, 7, volume=2**63 - 1))
    market.land(FUNDS, "1.json", fund(1, 7))
    market.drain()
    market.land(STOCKS, "2.json", stock(1, 8))
    market.drain()
    assert json.loads(market.sluice("finance", "silver", "--json")) == []
    assert json.loads(market.sluice("finance", "partners", "--json")) == [
        {"company_id": 7, "has": "mutual_funds", "ids": 1},
        {"company_id": 8, "has": "stocks", "ids": 1},
    ]
    (row,) = json.loads(market.sluice("finance", "gold", "--as-of", "2", "--json"))
    assert (row["company_id"], row["volume"], row["price"], row["total_value"], row["price_adjusted"]) == (
        *(7, 2**63 - 1, "10.500000", "21.000010500000"),
        "10.1850",
    )
    (batch,) = market.ledger.rows("select published_at from batch where batch = 2")
    assert json.loads(market.sluice("finance", "gold", "--as-of", batch["published_at"].isoformat(), "--json")) == [row]
    (group,) = json.loads(market.sluice("finance", "aggregates", "--as-of", "2", "--json"))
    assert (group["stocks"], group["volume"], group["day"]) == (1, 2**63 - 1, "2026-04-01")
    assert json.loads(market.sluice("finance", "silver", "--as-of", "1990-01-01T00:00:00Z", "--json")) == []
    assert "batch 9 of finance is not published; the newest is 3" in market.sluice("finance", "silver", "--as-of", "9", check=2)
    assert "neither the number of a batch" in market.sluice("finance", "silver", "--as-of", "then", check=2)


def test_reconcile_finds_a_damaged_file_and_a_changed_row_and_refresh_writes_the_file_again(market: Market) -> None:
    market.land(STOCKS, "1.json", stock(1, 7))
    market.land(FUNDS, "1.json", fund(1, 7))
    market.drain()
    assert [market.reconcile(feed).findings for feed in FEEDS] == [(), ()]
    market.store.put(market.bucket, "lake/finance/silver/parquet/v=2/part-00000.parquet", b"other")
    market.ledger.rows("update finance.stock set file_id = 99 returning 1")
    assert [finding.what for finding in market.reconcile(FUNDS).findings] == ["is not there as it was written"]
    assert [finding.what for finding in market.reconcile(STOCKS).findings] == ["1 rows come from no published file"]
    market.sluice("finance", "refresh")
    assert market.reconcile(FUNDS).findings == ()
