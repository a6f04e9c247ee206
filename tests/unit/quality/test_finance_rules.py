"""What the contracts of stocks and mutual funds demand of each row, and what hostile JSON comes to."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import json
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest

from include.contract import Contract
from include.domains.finance.feeds import MUTUAL_FUNDS, STOCKS
from include.files.verdict import Fault, Verdict
from include.quality.bronze import Digest, bronze_schema
from tests.unit.quality.desk import Desk, validated

KEY = "landing/stocks/dt=2026-11-21/a.jsonl"
GOOD: dict[str, Any] = {"stock_id": 1, "company_id": 2, "symbol": "A", "price": 1, "volume": 3, "timestamp": "2026-11-21T10:00:00Z"}
DETAILS = {"exchange": "X", "sector": "S"}


def record(raw: str | None = None, name: str = "timestamp", **changes: Any) -> bytes:
    """One record; `raw` is the JSON text of the value of `name`."""
    said = {**GOOD, "details": DETAILS, **changes}
    if raw is None:
        return json.dumps(said).encode()
    said.pop(name, None)
    return f'{json.dumps(said)[:-1]}, "{name}": {raw}}}'.encode()


def validate(*records: bytes, contract: Contract = STOCKS.contract) -> tuple[Verdict, Desk]:
    return validated(b"\n".join(records), key=KEY, contract=dataclasses.replace(contract, tolerance=Fraction(1)))


def reasons(*records: bytes, contract: Contract = STOCKS.contract) -> list[tuple[int, str, str]]:
    """Line, columns and rules of each rejected record."""
    verdict, desk = validate(*records, contract=contract)
    assert verdict.fault is None, verdict.reason
    return [(int(one["line"]), one["columns"], one["rules"]) for one in desk.rejects(verdict)]


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


INSTANTS = {
    '"2026-11-21T10:00:00Z"': ("2026-11-21T10:00:00+00:00", False),
    '"2026-11-21 10:00:00.123456+05:30"': ("2026-11-21T04:30:00.123456+00:00", False),
    '"2026-11-21T10:00-0330"': ("2026-11-21T13:30:00+00:00", False),
    '"2026-11-21T10:00:00"': ("2026-11-21T10:00:00+00:00", True),
    '"2026-11-21 10:00"': ("2026-11-21T10:00:00+00:00", True),
    "1700000000": ("2023-11-14T22:13:20+00:00", False),
    '"1700000000"': ("2023-11-14T22:13:20+00:00", False),
    "1700000000123": ("2023-11-14T22:13:20.123000+00:00", False),
    "631152000": ("1990-01-01T00:00:00+00:00", False),
    "4133980799999": ("2100-12-31T23:59:59.999000+00:00", False),
    '"1989-12-31T23:30:00-00:30"': ("1990-01-01T00:00:00+00:00", False),
    '"2100-12-31T23:59:59.999999Z"': ("2100-12-31T23:59:59.999999+00:00", False),
    '"2101-01-01T00:30:00+01:00"': ("2100-12-31T23:30:00+00:00", False),
}
NO_INSTANTS = {
    **dict.fromkeys(
        ["1700000000.5", "1.7e9", "1700000000.0", '"2026-11-21"', '"2026-11-21T10"', '"now"', "true", "99999999999999999999"], "matches"
    ),
    **dict.fromkeys(
        ['"2026-02-29T10:00:00Z"', '"2026-11-21T24:00:00Z"', '"20261121T100000Z"', '" 1700000000"', '"2026-11-21T10:00:00 Z"'], "matches"
    ),
    **dict.fromkeys(
        ["631151999", '"1990-01-01T00:00:00+00:01"', '"2101-01-01T00:00:00Z"', "4133980800", "-1700000000", "99999999999"], "within"
    ),
    **dict.fromkeys(["100000000000", '"9999-12-31T23:59:59-14:00"', "999999999999999"], "within"),
    **dict.fromkeys(["null", '""'], "not_null"),
}


def test_instants_in_all_their_forms_are_exact_in_bronze_and_tell_where_the_zone_was_missing() -> None:
    verdict, desk = validate(*map(record, INSTANTS))
    table = desk.bronze(verdict)
    assert table.schema.remove_metadata() == bronze_schema(STOCKS.contract)
    found = [(row["stock_timestamp"], row["without_zone"]) for row in table.to_pylist()]
    assert found == [(at(text), unzoned) for text, unzoned in INSTANTS.values()]


def test_what_is_no_instant_or_lies_too_far_away_rejects_the_row() -> None:
    expected = [(line, "timestamp", rule) for line, rule in enumerate(NO_INSTANTS.values(), start=1)]
    assert reasons(*map(record, NO_INSTANTS)) == expected


@pytest.mark.parametrize("text", ["0", "0.000001", "999999999999.999999", '"12.5"', "7.10"])
def test_amounts_of_up_to_six_decimals_are_exact(text: str) -> None:
    verdict, desk = validate(record(text, "price"))
    assert [row["price"] for row in desk.bronze(verdict).to_pylist()] == [Decimal(text.strip('"')).quantize(Decimal("0.000001"))]


@pytest.mark.parametrize("text", ["-1", "-0.5", "0.0000001", "1e2", "1000000000000", '"1,5"', '" 1"', "9" * 5000])
def test_other_amounts_reject_the_row(text: str) -> None:
    assert reasons(record(text, "price"), record()) == [(1, "price", "matches")]


@pytest.mark.parametrize(
    ("name", "text"), [("volume", "-1"), ("volume", str(2**63)), ("volume", "1.5"), ("stock_id", "1e3"), ("company_id", "9" * 400)]
)
def test_whole_numbers_that_a_bigint_does_not_hold_reject_the_row(name: str, text: str) -> None:
    assert reasons(record(text, name), record()) == [(1, name, "matches")]


def test_only_ids_amounts_and_the_timestamp_must_not_be_null() -> None:
    for name in ("stock_id", "company_id", "price", "volume", "timestamp"):
        assert reasons(record("null", name), record()) == [(1, name, "not_null")], name
    verdict, desk = validate(record(symbol=None, details={"exchange": None, "sector": None}), record(details=None))
    assert [(row["symbol"], row["exchange"], row["sector"]) for row in desk.bronze(verdict).to_pylist()] == [(None,) * 3, ("A", None, None)]
    fund = {"fund_id": 1, "name": None, "company_id": 2, "holdings": "0.5", "timestamp": 1700000000}
    bad = [json.dumps({**fund, name: None}).encode() for name in ("fund_id", "company_id", "holdings", "timestamp")]
    rejected = reasons(json.dumps(fund).encode(), *bad, contract=MUTUAL_FUNDS.contract)
    assert rejected == [
        (2, "fund_id", "not_null"),
        (3, "company_id", "not_null"),
        (4, "holdings", "not_null"),
        (5, "timestamp", "not_null"),
    ]


def test_unknown_keys_are_kept_and_nested_ones_where_they_were() -> None:
    verdict, desk = validate(record(more={"a": [1.50]}, details={**DETAILS, "country": "DE"}), record(exchange="top"))
    assert [row["additional_column"] for row in desk.bronze(verdict).to_pylist()] == [
        '{"details":{"country":"DE"},"more":{"a":[1.5]}}',
        '{"exchange":"top"}',
    ]


def test_in_csv_nested_columns_go_by_their_last_name_and_an_epoch_is_digits() -> None:
    header = "volume,sector,stock_id,company_id,symbol,price,timestamp,exchange,country"
    body = f"{header}\n3,S,1,2,A,0.5,1700000000123,X,DE\n".encode()
    verdict, desk = validated(body, key="landing/stocks/dt=2026-11-21/a.csv", contract=STOCKS.contract)
    (row,) = desk.bronze(verdict).to_pylist()
    assert (row["exchange"], row["sector"], row["price"], row["additional_column"]) == ("X", "S", Decimal("0.500000"), '{"country":"DE"}')
    assert row["stock_timestamp"] == at("2023-11-14T22:13:20.123+00:00")


HOSTILE = {
    b'{"stock_id": 1, "stock_id": 2, ' + record()[1:]: "doubled_key",
    record('{"exchange": "X", "exchange": "Y", "sector": "S"}', "details"): "doubled_key",
    record("NaN", "price"): "number",
    record("-Infinity", "price"): "number",
    record(r'"\ud800"', "symbol"): "text",
    record(r'"a\u0000b"', "symbol"): "text",
    record('"a\x01b"', "symbol"): "json",
    record('"a', "symbol"): "json",
    record("[" * 100 + "]" * 100, "more"): "nesting",
    record("[" * 200_000, "more"): "nesting",
    record('"X"', "details"): "nested",
    record('{"exchange": ["X"], "sector": "S"}', "details"): "nested",
    b"[1, 2]": "object",
    record()[:-1] + b'"\xff"}': "encoding",
    b"{}": "missing",
}


def test_hostile_records_reject_themselves_alone_for_their_own_reason() -> None:
    csv.field_size_limit(2**20)
    verdict, desk = validate(record(), *HOSTILE, record())
    assert verdict.accepted == 2
    assert [(int(one["line"]), one["rules"]) for one in desk.rejects(verdict)] == [*enumerate(HOSTILE.values(), start=2)]
    assert [one["original"].encode("utf-8", "surrogateescape") for one in desk.rejects(verdict)] == [*HOSTILE]


@pytest.mark.parametrize(("body", "byte", "records"), [(b"[%s, {]", 113, 1), (b"[%s %s", 111, 1), (b"[%s", 110, 1), (b"[%s] x", 112, 1)])
def test_a_broken_array_condemns_the_file_with_the_byte_at_which_it_breaks(body: bytes, byte: int, records: int) -> None:
    one = json.dumps({"stock_id": 1}).encode().ljust(108)
    verdict, _ = validated(body.replace(b"%s", one), key="landing/stocks/a.json", contract=STOCKS.contract)
    assert verdict.fault is Fault.FORMAT
    assert f"broken at byte {byte}, after {records} records" in (verdict.reason or "")


_LONG = """
import io, resource, sys
from include.domains.finance.feeds import STOCKS
from include.quality.formats import reader_for
from include.quality.lines import PIECE_BYTES, Quarantined, Content

class Endless(io.RawIOBase):
    left = 100 * 2**20
    def readable(self): return True
    def read(self, size=-1):
        taken = min(size, self.left) if size >= 0 else self.left
        self.left -= taken
        return sys.argv[2].encode() * taken
    def readinto(self, buffer):
        found = self.read(len(buffer)); buffer[: len(found)] = found
        return len(found)

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for _ in reader_for(sys.argv[1])(Content(Endless(), zipped=False, max_bytes=2**36), STOCKS.contract, PIECE_BYTES): pass
except Quarantined as condemned:
    print(condemned.fault.value)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("name", "filler", "fault"), [("a.jsonl", "x", "line_too_long"), ("a.json", "[", "line_too_long"), ("a.csv", "x", "line_too_long")]
)
def test_a_line_of_100_mb_condemns_the_file_in_bounded_memory(name: str, filler: str, fault: str) -> None:
    done = subprocess.run([sys.executable, "-c", _LONG, name, filler], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said, kilobytes = done.stdout.split()
    assert said == fault
    assert int(kilobytes) < 300 * 1024


def test_the_digest_of_bronze_tells_a_millionth_and_a_missing_zone_apart() -> None:
    def digest(amount: str, *, unzoned: bool) -> str:
        made = Digest()
        made.update(pa.table({"a": pa.array([Decimal(amount)], pa.decimal128(18, 6)), "b": pa.array([unzoned])}))
        return made.hexdigest()

    digests = {digest("1.000001", unzoned=False), digest("1.000002", unzoned=False), digest("1.000001", unzoned=True)}
    assert len(digests) == 3
    assert digest("999999999999.999999", unzoned=False) == digest("999999999999.999999", unzoned=False)
