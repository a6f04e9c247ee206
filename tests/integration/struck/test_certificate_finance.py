"""The crash certificate of finance: a small seeded run of it, that it can fail, and that its baseline is right."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests import naive_finance as naive
from tests.integration.struck import mutations
from tests.integration.struck.striking import KINDS, clean_until_taken_out, contents_of, killed_often, struck
from tools.certificate.domains.finance.domain import FINANCE
from tools.certificate.places import Effect, Fault, Target, When
from tools.certificate.records import Snapshot
from tools.certificate.rounds import undisturbed
from tools.certificate.services import Services
from tools.certificate.stream import Fix, Replay, Stream

__all__ = ["struck"]

SEED = 6
KILLS = 12
SETS = ("silver", "gold_business_aggregation", "gold_by_company_sector_exchange_day")
_WHOLE = {"stock_id", "fund_id", "company_id", "volume"}
_AMOUNTS = {"price", "holdings"}


@pytest.fixture(scope="module")
def stream() -> Stream:
    return FINANCE.stream(SEED)


@pytest.fixture(scope="module")
def baseline(struck: Services, stream: Stream) -> Snapshot:
    return undisturbed(struck, FINANCE, stream)


def test_the_baseline_is_what_a_naive_evaluation_says(baseline: Snapshot, stream: Stream) -> None:
    files = list(files_of(baseline, stream))
    accepted = [file["accepted"] for file in baseline["file"].values() if file["state"] == "published"]
    assert [len(file.rows) for file in files] == accepted
    expected = naive.published(files)
    assert expected.silver
    assert rows_in(baseline, "silver") == in_order(expected.silver)
    assert rows_in(baseline, "gold_business_aggregation") == in_order(expected.gold)
    assert rows_in(baseline, "gold_by_company_sector_exchange_day") == in_order(expected.by_day)
    assert rows_in(baseline, "company_without_partner") == in_order(expected.lonely)
    assert {has for _, has, _ in expected.lonely} == {naive.STOCKS, naive.FUNDS}
    assert all(row["holds"] for row in baseline["finance.proof"].values())
    assert baseline["as of each batch"] == {name: [] for name in ("order", *SETS, "company_without_partner")}
    assert baseline["finished set"] == {
        f"{name} as delta": {
            "rows": len(baseline[f"finance.{name}"]),
            "of the newest batch": True,
            "in a folder of its own": True,
            "changed": [],
        }
        for name in SETS
    }
    for name in SETS:
        assert baseline[f"row of the finished set {name}"] == baseline[f"finance.{name}"], name


def test_the_stream_has_what_it_should_have(baseline: Snapshot) -> None:
    files = baseline["file"].values()
    assert Counter((file["feed"], file["kind"], file["state"], file["reason_code"]) for file in files) == {
        ("stocks", "landing", "published", None): 12,
        ("stocks", "landing", "duplicate", None): 1,
        ("stocks", "landing", "discarded", "overwrite"): 1,
        ("stocks", "landing", "discarded", "too_many_rejects"): 1,
        ("stocks", "landing", "quarantined", "overwrite"): 1,
        ("stocks", "landing", "quarantined", "format"): 1,
        ("stocks", "landing", "quarantined", "no_rows"): 1,
        ("stocks", "replacement", "published", None): 2,
        ("stocks", "row_fix", "published", None): 1,
        ("mutual_funds", "landing", "published", None): 6,
        ("mutual_funds", "landing", "quarantined", "overwrite"): 2,
        ("mutual_funds", "landing", "quarantined", "gzip_broken"): 1,
    }
    assert [file["rejected"] for file in files if file["state"] == "published" and file["rejected"]] == [1]
    assert "seen_again" in {event[0] for event in baseline["event"].values()}
    assert baseline["finance.finding"]
    assert baseline["object under error/"]
    assert baseline["object under archive/"]


def rows_in(baseline: Snapshot, name: str) -> list[tuple[Any, ...]]:
    return in_order(tuple(row.values()) for row in baseline[f"finance.{name}"].values())


def in_order(rows: Any) -> list[tuple[Any, ...]]:
    """Rows in an order that asks for no more than their first column and what is no amount."""
    return sorted(rows, key=lambda row: repr([value for value in row if not isinstance(value, Decimal)]))


def files_of(baseline: Snapshot, stream: Stream) -> Iterator[naive.File]:
    """The published files as they were landed or put right; of the snapshot only their order is taken, and which version took effect."""
    landed: dict[str, list[bytes]] = {}
    for key, body in contents_of(stream):
        landed.setdefault(key, []).append(body)
    repairs = {repair.key: repair for wave in stream.waves for repair in wave.repairs}
    recorded = baseline["file"]
    for number, file in enumerate(recorded.values(), 1):
        if file["state"] != "published":
            continue
        if file["kind"] == "landing":
            rows = rows_of(file["key"], landed[file["key"]][file["version"] - 1])
        else:
            parent = recorded[file["parent"]]
            rows = put_right(repairs[parent["key"]], landed[parent["key"]][parent["version"] - 1])
        yield naive.File(file["feed"], file["seq"], number, 0, rows)


def put_right(repair: Replay | Fix, refused: bytes) -> dict[int, naive.Row]:
    """The rows that a person made of those that were refused."""
    if isinstance(repair, Fix):
        return {line: typed(json.loads(text)) for line, text in repair.lines.items()}
    return rows_of(repair.key, refused if repair.body is None else repair.body)


def rows_of(key: str, body: bytes) -> dict[int, naive.Row]:
    """The good rows of a file by line."""
    name, text = key.removesuffix(".gz"), (gzip.decompress(body) if key.endswith(".gz") else body).decode()
    if name.endswith(".csv"):
        return {line: typed(row) for line, row in enumerate(csv.DictReader(io.StringIO(text)), 2)}
    if name.endswith(".json"):
        return {line: typed(row) for line, row in enumerate(json.loads(text), 1)}
    return {line: typed(json.loads(record)) for line, record in enumerate(text.splitlines(), 1) if record.endswith("}")}


def typed(record: Mapping[str, Any]) -> naive.Row:
    """A row with the types of its columns."""
    row = {name: value if value != "" else None for name, value in {**record, **record.get("details", {})}.items()}
    for name in row.keys() & _WHOLE:
        row[name] = int(row[name])
    for name in row.keys() & _AMOUNTS:
        row[name] = Decimal(row[name])
    return {**row, "timestamp": instant(str(row["timestamp"]))}


def instant(text: str) -> dt.datetime:
    if text.isdecimal():
        return dt.datetime.fromtimestamp(int(text) / (1000 if len(text) > 11 else 1), dt.UTC)
    at = dt.datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


def test_killed_twelve_times_in_as_many_places_nothing_is_lost_doubled_or_different(
    struck: Services, stream: Stream, baseline: Snapshot
) -> None:
    killed_often(struck, FINANCE, stream, baseline, SEED, KILLS, KINDS)


def test_with_batches_delivered_before_their_files_are_written_the_certificate_reports_the_files_different(
    struck: Services, stream: Stream
) -> None:
    """Killed when the second of two batches is about to write its first file."""
    one_of_each = {key.split("/")[1]: (key, body) for key, body in stream.waves[0].objects if ".jsonl.gz" in key or ".csv.gz" in key}
    short = Stream((replace(stream.waves[0], objects=(*one_of_each.values(),), source=b""),), stream.produced, stream.rows)
    expected = undisturbed(struck, FINANCE, short)
    fault = Fault(Target.INGEST, When.BEFORE, Effect.SET, nth=len(SETS) + 1)
    done = clean_until_taken_out(struck, FINANCE, short, expected, mutations.with_finance_delivered_before_its_files_are_written, fault)
    assert done.different > 0
    assert "finished set" in done.first_difference
