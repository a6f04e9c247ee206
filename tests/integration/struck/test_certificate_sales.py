"""The crash certificate of sales: a small seeded run of it, that it can fail, and that its baseline is right."""

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

import pyarrow.parquet as pq
import pytest

from tests import naive_sales as naive
from tests.integration.struck import mutations
from tests.integration.struck.striking import KINDS, clean_until_taken_out, contents_of, killed_often, struck
from tools.certificate.domains.sales.domain import SALES
from tools.certificate.places import Effect, Fault, Target, When
from tools.certificate.records import Snapshot
from tools.certificate.rounds import undisturbed
from tools.certificate.services import Services
from tools.certificate.stream import Stream

__all__ = ["struck"]

SEED = 4
KILLS = 20
_WHOLE = {"customer_id", "store_id", "sales_person_id", "quantity", "id", "manager_id"}
_MONEY = {"price", "total_cost", "current_price"}
_DAYS = {"sales_date", "updated_date"}


@pytest.fixture(scope="module")
def stream() -> Stream:
    """The first half of a stream, for Spark's work on all of it takes minutes."""
    whole = SALES.stream(SEED)
    return replace(whole, waves=whole.waves[:2])


@pytest.fixture(scope="module")
def baseline(struck: Services, stream: Stream) -> Snapshot:
    return undisturbed(struck, SALES, stream)


def test_the_baseline_is_what_a_naive_evaluation_says(baseline: Snapshot, stream: Stream) -> None:
    files = list(files_of(baseline, stream))
    name_of = {file.file_id: f"{file.feed} seq {file.seq}" for file in files}
    accepted = {name: file["accepted"] for name, file in baseline["file"].items() if file["state"] in {"published", "superseded"}}
    assert {name_of[file.file_id]: len(file.rows) for file in files} == accepted
    expected = naive.published(files)
    assert section(baseline, "customers_data_mart", "customer_id", "sales_date_month") == {
        key: dict(zip(("full_name", "address", "phone_number", "total_sales"), cells, strict=True))
        for key, cells in expected.customers.items()
    }
    assert section(baseline, "sales_team_data_mart", "store_id", "sales_person_id", "sales_month") == {
        key: dict(zip(("full_name", "total_sales", "incentive"), cells, strict=True)) for key, cells in expected.team.items()
    }
    assert section(baseline, "incentive_changes", "file_id", "store_id", "sales_month", "sales_person_id") == {
        (name_of[one.file_id], one.store_id, one.month, one.sales_person_id): {
            "incentive_before": one.before,
            "incentive_after": one.after,
        }
        for one in expected.changes
    }
    assert section(baseline, "unresolved", "file_id", "line", "column", "value").keys() == {
        (name_of[file_id], *more) for file_id, *more in expected.unresolved
    }
    warned = section(baseline, "price_difference", "file_id", "line", "product_id", "valid_from")
    assert warned.keys() == {(name_of[file_id], *more) for file_id, *more in expected.warnings}
    for feed, table in (("customer", "dim_customer"), ("store", "dim_store"), ("product", "dim_product"), ("sales_team", "dim_sales_team")):
        versions = section(baseline, table, naive.KEYS[feed], "valid_from", "valid_to").keys()
        assert versions == {(key, one.since, one.until) for key, all_of in expected.versions[feed].items() for one in all_of}
        assert len(baseline[f"row of the lake's {table}"]) == len(versions)
    lines = {f"{name_of[file.file_id]}, {line}" for file, line, _ in naive.lines(naive.in_force_of(files, naive.FACTS))}
    assert baseline["row of the lake's fact_sales"].keys() == lines == baseline["row of the set sales_partitioned"].keys()


def test_the_stream_has_what_it_should_have(baseline: Snapshot) -> None:
    files = baseline["file"].values()
    assert Counter((file["feed"], file["state"], file["reason_code"]) for file in files) == {
        ("sales", "published", None): 9,
        ("sales", "superseded", None): 1,
        ("sales", "duplicate", None): 1,
        ("sales", "quarantined", "column_missing"): 1,
        ("sales", "quarantined", "too_many_rejects"): 1,
        ("sales", "quarantined", "empty"): 1,
        ("product", "published", None): 2,
        ("product", "superseded", None): 1,
        ("sales_team", "published", None): 1,
    }
    assert [file["rejected"] for file in files if file["state"] == "published" and file["rejected"]] == [1]
    paid = Counter((row["store_id"], row["sales_month"]) for row in baseline["sales.sales_team_data_mart"].values() if row["incentive"])
    assert {row["sales_month"] for row in baseline["sales.sales_team_data_mart"].values()} == {"2026-09", "2026-10", "2026-11"}
    assert paid
    for table in ("incentive_changes", "unresolved", "price_difference", "finding"):
        assert baseline[f"sales.{table}"], table


def section(baseline: Snapshot, table: str, *named_by: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The rows of a published table, without what names them."""
    return {
        tuple(row[name] for name in named_by): {name: value for name, value in row.items() if name not in named_by}
        for row in baseline[f"sales.{table}"].values()
    }


def files_of(baseline: Snapshot, stream: Stream) -> Iterator[naive.File]:
    """The accepted files as they were landed; of the snapshot only their order is taken, and which version of a key took effect."""
    landed: dict[str, list[bytes]] = {}
    for key, body in contents_of(stream):
        landed.setdefault(key, []).append(body)
    for number, file in enumerate(baseline["file"].values(), 1):
        if file["state"] in {"published", "superseded"}:
            rows = rows_of(file["key"], landed[file["key"]][file["version"] - 1])
            replaced = max((int(name.rsplit(" ", 1)[-1]) for name in file["supersedes"]), default=None)
            date = dt.date.fromisoformat(file["key"].split("dt=")[1][:10])
            yield naive.File(file["feed"], file["seq"], number, date, rows, replaced)


def rows_of(key: str, body: bytes) -> dict[int, naive.Row]:
    """The good rows of a file by line."""
    name, text = key.removesuffix(".gz"), gzip.decompress(body) if key.endswith(".gz") else body
    records: list[Mapping[str, Any]]
    if name.endswith(".parquet"):
        first, records = 1, pq.read_table(io.BytesIO(text)).to_pylist()
    elif name.endswith(".jsonl"):
        first, records = 1, [json.loads(line) for line in text.decode().splitlines()]
    else:
        first, records = 2, list(csv.DictReader(io.StringIO(text.decode())))
    rows = {line: typed(row) for line, row in enumerate(records, first)}
    return {line: row for line, row in rows.items() if row is not None}


def typed(record: Mapping[str, Any]) -> naive.Row | None:
    """A row with the types of its columns; None where it breaks a rule."""
    row: dict[str, Any] = {name: None if value in {None, ""} else value for name, value in record.items()}
    if row.get("store_id") == "first":
        return None
    for name in row.keys() & _WHOLE:
        row[name] = row[name] if row[name] is None else int(row[name])
    for name in row.keys() & _MONEY:
        row[name] = row[name] if row[name] is None else Decimal(row[name])
    for name in row.keys() & _DAYS:
        row[name] = row[name] if row[name] is None else dt.date.fromisoformat(str(row[name])[:10])
    sold = "total_cost" in row
    return None if sold and (row["quantity"] < 1 or row["total_cost"] != row["price"] * row["quantity"]) else row


def test_killed_twenty_times_in_as_many_places_nothing_is_lost_doubled_or_different(
    struck: Services, stream: Stream, baseline: Snapshot
) -> None:
    killed_often(struck, SALES, stream, baseline, SEED, KILLS, KINDS)


def test_with_rows_appended_to_the_lake_the_certificate_reports_them_doubled(struck: Services, stream: Stream) -> None:
    short = replace(stream, waves=(replace(stream.waves[0], objects=()),))
    expected = undisturbed(struck, SALES, short)
    fault = Fault(Target.INGEST, When.AFTER, Effect.LAKE_COMMIT, nth=2)
    done = clean_until_taken_out(struck, SALES, short, expected, mutations.with_rows_appended_to_the_lake, fault)
    assert done.doubled > 0
    assert "row of the lake's fact_sales sales seq" in done.first_difference
