"""Whatever order rows come in, however they are cut into files and batches: at every batch what the tests' own evaluation says."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.clients import ledger_connection
from include.domains.finance.publisher import LatestPublisher
from include.domains.finance.schema import FINDINGS, LATEST
from include.files.batch import Batch, BatchFile
from include.ledger import Ledger
from include.storage.parquet import Spooled, parquet_bytes
from include.storage.s3 import S3Store
from sluice.runtime import Settings
from tests import naive_finance as naive
from tests.integration.market import NOON, fund, stock

IDS, COMPANIES = st.integers(1, 3), st.integers(1, 3)
INSTANTS = st.integers(-2, 2).map(lambda hours: NOON + dt.timedelta(hours=13 * hours))
STOCK = st.builds(lambda key, company, at, volume: stock(key, company, at, volume=volume), IDS, COMPANIES, INSTANTS, st.integers(0, 9))
FUND = st.builds(lambda key, company, at, many: fund(key, company, at, holdings=Decimal(many)), IDS, COMPANIES, INSTANTS, st.integers(0, 9))
BATCH = st.one_of(
    st.tuples(st.just(naive.STOCKS), st.lists(st.lists(STOCK, min_size=1, max_size=4), min_size=1, max_size=3)),
    st.tuples(st.just(naive.FUNDS), st.lists(st.lists(FUND, min_size=1, max_size=4), min_size=1, max_size=3)),
)

Batches = list[tuple[str, list[list[naive.Row]]]]


@pytest.fixture
def ledger(where: Settings) -> Iterator[Ledger]:
    opened = Ledger(lambda: ledger_connection(where.ledger))
    yield opened
    opened.close()


@given(batches=st.lists(BATCH, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_batch_shows_the_latest_rows_of_all_before_it(ledger: Ledger, batches: list[tuple[str, list[list[naive.Row]]]]) -> None:
    with ledger.transaction() as cursor:
        cursor.execute("truncate finance.stock, finance.fund, finance.published_file, finance.finding")
    files: list[naive.File] = []
    for number, (feed, contents) in enumerate(batches, start=1):
        new = [
            naive.File(feed, len(files) + place, len(files) + place, number, dict(enumerate(rows, start=1)))
            for place, rows in enumerate(contents, start=1)
        ]
        files += new
        publish(ledger, number, feed, new)
    for batch in range(len(batches) + 1):
        expected = naive.published(files, batch)
        for table, rows in {"silver": expected.silver, "gold_business_aggregation": expected.gold}.items():
            assert told(ledger, f"{table}_as_of({batch})") == sorted(rows, key=repr), (batch, table)
        assert told(ledger, f"gold_by_company_sector_exchange_day_as_of({batch})") == sorted(expected.by_day, key=repr)
        assert told(ledger, f"company_without_partner_as_of({batch})") == sorted(expected.lonely, key=repr)


def told(ledger: Ledger, relation: str) -> list[tuple[Any, ...]]:
    return sorted((comparable(row) for row in ledger.rows(f"select * from finance.{relation}")), key=repr)


def comparable(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row with decimals as the tests' own evaluation writes them."""
    digits = {"price": "0.1", "holdings": "1", "total_value": "0.1", "volume": "1"}
    return tuple(
        value.quantize(Decimal(digits[name])) if isinstance(value, Decimal) and name in digits else value for name, value in row.items()
    )


def publish(ledger: Ledger, number: int, feed: str, files: list[naive.File]) -> None:
    """What the publish step does with what the job left of a batch."""
    latest = LATEST[feed]
    upserts = []
    for file in files:
        winners: dict[int, tuple[int, naive.Row]] = {}
        for line, row in file.rows.items():
            key = row[latest.key]
            if key not in winners or winners[key][1]["timestamp"] <= row["timestamp"]:
                winners[key] = (line, row)
        for line, row in winners.values():
            place = {"seq": file.seq, "line": line, "file_id": file.file_id, latest.at: row["timestamp"], "additional_column": None}
            upserts.append({**row, **place})
    batch = Batch(
        number,
        feed,
        files[0].seq,
        files[-1].seq,
        sum(len(file.rows) for file in files),
        {},
        None,
        NOON,
        tuple(BatchFile(file.file_id, file.seq, f"{file.seq}", len(file.rows), (), None) for file in files),
    )
    tables = {"upserts": pa.Table.from_pylist(upserts, latest.upserts), "findings": FINDINGS.empty_table()}
    produced = {name: Spooled(io.BytesIO(parquet_bytes(table))) for name, table in tables.items()}
    publisher = LatestPublisher(latest, S3Store(None), "none")  # type: ignore[arg-type]  # publication touches PostgreSQL alone
    with ledger.transaction() as cursor:
        counts = publisher.publish(cursor, batch, produced["upserts"], produced["findings"])
    assert counts["ids"] == len(upserts)
