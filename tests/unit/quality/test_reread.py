"""Bronze and originals read once more: what agrees with the verdict, and what each kind of damage looks like."""

from __future__ import annotations

import dataclasses

import pytest

from include.contract import money
from include.domains import FEEDS
from include.domains.finance.feeds import MUTUAL_FUNDS
from include.files.verdict import Verdict
from include.quality.reread import recount, reread, smallest_units
from tests.unit.quality.desk import BUCKET, HEADER, Desk, rows

EXTRA = HEADER.replace(b"fraud", b"note") + b"".join(
    b"%d,'C%d','%s','F','','M%d','','%s',%d.%02d,%s\n" % (n, n % 7, b"4" if n % 2 else b"", n % 3, "é".encode(), n, n % 100, b"x" * (n % 4))
    for n in range(300)
)


def validated(content: bytes, key: str = "landing/transactions/dt=2026-11-21/a.csv", **gate: int) -> tuple[Desk, Verdict]:
    desk = Desk(**gate)
    return desk, desk.validate([desk.land(content, key)])[0]


@pytest.mark.parametrize("content", [rows(3), EXTRA, rows(50, amount="0.5") + b"x,y\n"])
@pytest.mark.parametrize("gate", [{}, {"piece_bytes": 700}])
def test_bronze_read_again_has_the_rows_and_the_digest_of_the_verdict(content: bytes, gate: dict[str, int]) -> None:
    desk, verdict = validated(content, **gate)
    again = reread(desk.store, BUCKET, desk.spec, verdict.file_id, verdict.bronze)
    assert (again.fault, again.rows, again.digest) == (None, verdict.accepted, verdict.bronze_digest)
    assert again.amount == sum(desk.bronze(verdict)["amount_cents"].to_pylist())


def test_damaged_lost_and_foreign_bronze_is_named() -> None:
    desk, verdict = validated(EXTRA, piece_bytes=4000)
    parts = [ref.key for ref in verdict.bronze]
    assert len(parts) > 2
    whole = dict(desk.store.held)
    desk.store.held[BUCKET, parts[1]] = whole[BUCKET, parts[1]][:-20]
    again = reread(desk.store, BUCKET, desk.spec, verdict.file_id, verdict.bronze)
    assert (again.digest, again.key) == (None, parts[1])
    assert again.fault is not None
    assert again.fault.startswith("cannot be read as the Parquet that was written")
    del desk.store.held[BUCKET, parts[1]]
    assert reread(desk.store, BUCKET, desk.spec, verdict.file_id, verdict.bronze).fault == "is not there"
    desk.store.held[BUCKET, parts[1]] = whole[BUCKET, parts[2]]
    swapped = reread(desk.store, BUCKET, desk.spec, verdict.file_id, verdict.bronze)
    assert swapped.fault is None
    assert swapped.digest != verdict.bronze_digest
    stranger = reread(desk.store, BUCKET, desk.spec, verdict.file_id + 1, verdict.bronze[:1])
    assert stranger.fault == f"holds {verdict.bronze[0].rows} rows of another file"


@pytest.mark.parametrize("piece_bytes", [90, 8 * 2**20])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_an_original_read_again_has_its_lines_and_amount_and_those_of_its_rejected_lines(
    name: str, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    bad = [b"0,'C1','4','X','','M1','','f',12.50,0\n", b"0,'C1','4','F','','M1','','f',1e2,0\n", b"too,few\n"]
    content = rows(40, amount="4.55") + b"".join(bad)
    key = f"landing/transactions/dt=2026-11-21/{name}"
    body = gzip.compress(content) if name.endswith(".gz") else content
    monkeypatch.setattr("include.quality.reread.PIECE_BYTES", piece_bytes)
    desk, verdict = validated(body, key)
    file = desk.land(body, key)
    found = recount(desk.store, BUCKET, desk.spec, file, verdict.rejects)
    assert (found.lines, found.rejected) == (verdict.lines, verdict.rejected) == (43, 3)
    assert (found.sha256, found.amount, found.amount_rejected) == (verdict.sha256, 40 * 455 + 1250, 1250)
    moved = desk.store.put(BUCKET, "archive/transactions/dt=2026-11-21/a.csv.1", body)
    there = desk.store.head(BUCKET, moved.key)
    desk.store.delete(BUCKET, key)
    assert recount(desk.store, BUCKET, desk.spec, dataclasses.replace(file, lies_at=there), verdict.rejects) == found


def test_an_original_that_no_longer_fits_the_contract_still_gives_its_hash() -> None:
    desk, _ = validated(rows(2))
    file = desk.land(b"other,header\n1,2\n", "landing/transactions/dt=2026-11-21/b.csv")
    found = recount(desk.store, BUCKET, desk.spec, file, None)
    assert (found.lines, found.amount, len(found.sha256)) == (0, 0, 64)


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("0", 0),
        ("7", 700),
        ("7.5", 750),
        ("7.05", 705),
        ("999999999.99", 99_999_999_999),
        ("7.", 0),
        (".5", 0),
        ("-1", 0),
        ("1,5", 0),
        (None, 0),
    ],
)
def test_only_money_as_the_contract_writes_it_counts(text: str | None, cents: int) -> None:
    assert smallest_units(text, money("m")) == cents


def test_each_feed_adds_up_the_column_that_its_contract_names_or_the_first_of_amounts() -> None:
    found = {name: spec.contract.amount for name, spec in FEEDS.items()}
    assert {name: (column.name, column.decimals) for name, column in found.items() if column} == {
        "transactions": ("amount", 2),
        "sales": ("total_cost", 2),
        "product": ("current_price", 2),
        "stocks": ("price", 6),
        "mutual_funds": ("holdings", 6),
    }


def test_amounts_of_six_decimals_are_added_up_exactly_however_large() -> None:
    most, least = b"999999999999.999999", b"0.000001"
    told = b'{"fund_id": %s, "company_id": 1, "name": "n", "holdings": %s, "timestamp": 1700000000}\n'
    content = b"".join(told % (b"%d" % n, most if n else least) for n in range(30)) + told % (b'"none"', b"1.5") + told % (b"31", b"-2")
    desk = Desk(contract=MUTUAL_FUNDS.contract)
    file = desk.land(content, "landing/mutual_funds/dt=2026-11-21/a.jsonl")
    (verdict,) = desk.validate([file])
    assert (verdict.accepted, verdict.rejected) == (30, 2)
    whole = 29 * (10**18 - 1) + 1
    assert whole > 2**63
    assert reread(desk.store, BUCKET, desk.spec, verdict.file_id, verdict.bronze).amount == whole
    found = recount(desk.store, BUCKET, desk.spec, file, verdict.rejects)
    assert (found.amount, found.amount_rejected) == (whole + 1_500_000, 1_500_000)
