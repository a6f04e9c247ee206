"""How much text a value and a record may hold: the same in every format, of every feed."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.contract import OF_A_KEY, Contract, Stored
from include.domains import FEEDS
from include.domains.transactions.feeds import IMPORTANCE
from include.files.verdict import Verdict
from include.quality.rows import accepted_rows
from tests.unit.quality.desk import Desk

KEYS = {
    "transactions": {"customer", "merchant"},
    "importance": {"Source", "Target", "typeTrans"},
    "sales": {"product_name"},
    "product": {"name"},
    "stocks": {"symbol", "exchange", "sector"},
}
TEXTS = {
    "transactions": {"age", "zipcodeOri", "zipMerchant", "category"},
    "customer": {"first_name", "last_name", "address", "pincode", "phone_number"},
    "store": {"address", "store_pincode", "store_manager_name", "reviews"},
    "sales_team": {"first_name", "last_name", "is_manager", "address", "pincode"},
    "mutual_funds": {"name"},
}
CONTRACTS = {name: spec.contract for name, spec in FEEDS.items()} | {"importance": IMPORTANCE}
OF_A_TYPE = {
    Stored.TEXT: "F",
    Stored.BIGINT: "1",
    Stored.CENTS: "1.50",
    Stored.DECIMAL: "1.50",
    Stored.DECIMAL6: "1.5",
    Stored.DATE: "2026-11-20",
    Stored.TIMESTAMP: "2026-11-20",
    Stored.INSTANT: "2026-11-20T10:00:00Z",
}
FOUR = "\U0001d11e"  # four bytes
WAYS = (".csv", ".csv.gz", ".jsonl", ".json", ".json.gz", ".parquet")
Row = Mapping[str, str]


def good(contract: Contract) -> dict[str, str]:
    values = {column.name: OF_A_TYPE[column.stored] for column in contract.columns}
    return values | ({"Weight": "1.5"} if "Weight" in values else {})


def nested(contract: Contract, row: Row) -> dict[str, object]:
    """A row as JSON and Parquet have it."""
    paths = {column.name: column.keys for column in contract.columns}
    said: dict[str, object] = {}
    for name, value in row.items():
        *outer, last = paths.get(name, (name,))
        inner = said
        for key in outer:
            inner = inner.setdefault(key, {})  # type: ignore[assignment]
        inner[last] = value
    return said


def written(contract: Contract, rows: list[dict[str, str]], ending: str) -> bytes:
    if ending.endswith(".gz"):
        return gzip.compress(written(contract, rows, ending.removesuffix(".gz")))
    names = list(dict.fromkeys(name for row in rows for name in row))
    if ending == ".csv":
        text = io.StringIO()
        told = csv.DictWriter(text, names, quotechar=contract.quote, lineterminator="\n")
        told.writeheader()
        told.writerows(rows)
        return text.getvalue().encode()
    records = [nested(contract, row) for row in rows]
    if ending == ".parquet":
        body = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(records), body)
        return body.getvalue()
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    return ("\n".join(lines) if ending == ".jsonl" else f"[{','.join(lines)}]").encode()


def beyond(contract: Contract) -> Iterator[tuple[dict[str, str], str]]:
    """Rows at each bound of a contract, and right behind it with what is said then."""
    for column in contract.columns:
        if column.bounds == OF_A_KEY:
            longer = {"x" * 513: "512 characters", FOUR * 257: "1,024 bytes", FOUR * 255 + "é" * 3: "1,024 bytes"}
            texts = {"é" * 512: "", FOUR * 256: ""} | longer
        elif column.bounds:
            texts = {FOUR * 32_768: "", "x" * 32_769: "32,768 characters"}
        else:
            continue
        for text, longer_than in texts.items():
            yield good(contract) | {column.name: text}, longer_than and f"{column.name} is longer than {longer_than}"


@pytest.mark.parametrize("feed", CONTRACTS)
def test_every_text_of_a_contract_is_bounded(feed: str) -> None:
    columns = CONTRACTS[feed].columns
    assert {column.name for column in columns if column.is_key} == KEYS.get(feed, set())
    bounded = {column.name for column in columns if column.bounds}
    assert bounded == KEYS.get(feed, set()) | TEXTS.get(feed, set())
    assert all(column.matches or column.one_of for column in columns if column.name not in bounded)


def validated_in_every_format(contract: Contract, rows: list[dict[str, str]]) -> dict[str, tuple[Verdict, dict[int, tuple[str, str, str]]]]:
    """By format the verdict on a file of these rows, and of each rejected one its place, columns, rules and reasons."""
    desk = Desk(contract=contract)
    files = [desk.land(written(contract, rows, ending), f"landing/f/dt=2026-11-21/{place}{ending}") for place, ending in enumerate(WAYS)]
    found = {}
    for ending, verdict in zip(WAYS, desk.validate(files), strict=True):
        first = 2 if ending.startswith(".csv") else 1
        told = {int(row["line"]) - first: (row["columns"], row["rules"], row["reasons"]) for row in desk.rejects(verdict)}
        found[ending] = verdict, told
    return found


@pytest.mark.parametrize("feed", CONTRACTS)
def test_a_text_at_its_bound_is_taken_and_a_longer_one_rejected_in_every_format(feed: str) -> None:
    contract = dataclasses.replace(CONTRACTS[feed], tolerance=Fraction(1))
    cases = [*beyond(contract)]
    total = {"total_cost": "1.50"} if feed == "sales" else {}
    for ending, (verdict, rejected) in validated_in_every_format(contract, [row | total for row, _ in cases]).items():
        assert verdict.fault is None, ending
        said = {at: reasons for at, (_, _, reasons) in rejected.items()}
        assert said == {at: why for at, (_, why) in enumerate(cases) if why}, ending


def padded(contract: Contract, characters: int, pad: Callable[[int], str]) -> dict[str, str]:
    """A row whose values and `additional_column` have so many characters together."""
    row = good(contract)
    return row | {"extra": pad(characters - sum(map(len, row.values())) - len('{"extra":""}'))}


def test_a_record_is_bounded_as_a_whole_in_every_format() -> None:
    contract = dataclasses.replace(CONTRACTS["stocks"], tolerance=Fraction(1))
    rows = [padded(contract, characters, lambda n: FOUR * n) for characters in (1_048_576, 1_048_577)]
    rows.append(good(contract) | {"extra": ""})
    for ending, (verdict, rejected) in validated_in_every_format(contract, rows).items():
        assert rejected == {1: ("", "longest", "the record is longer than 1,048,576 characters")}, ending
        assert (verdict.fault, verdict.accepted) == (None, 2), ending


def test_a_reference_is_held_to_the_bounds_too() -> None:
    rows = [row | {"Weight": "1"} for row, _ in beyond(IMPORTANCE)]
    pieces = [*accepted_rows(IMPORTANCE, io.BytesIO(written(IMPORTANCE, rows, ".csv")), "reference.csv")]
    (piece,) = pieces
    assert [line - 2 for line, _ in piece.rejected] == [at for at, (_, why) in enumerate(beyond(IMPORTANCE)) if why]
