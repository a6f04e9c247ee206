"""Synthetic data: the same for the same seed, of BankSim's shape, and with what BankSim lacks."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from include.domains.transactions.feeds import IMPORTANCE, TRANSACTIONS
from include.quality.rows import accepted_rows
from sluice.generate.faults import KINDS
from sluice.generate.transactions import HEADER, IMPORTANCE_HEADER, generate, write

ROW = re.compile(
    r"[0-9]+,'SC[0-9]+','[0-6]','[FMEU]','28007','SM[0-9]+','28007','sl_[a-z]+',[0-9]+\.[0-9]{1,2},[01]\n"
)  # fmt: skip
WEIGHT = re.compile(r"'SC[0-9]+','SM[0-9]+',[0-9]+\.[0-9]{1,2},'sl_[a-z]+',[01]\n")


def rows(count: int, seed: int = 1) -> list[str]:
    return [line for block in generate(count, seed) for line in block.transactions]


def weights(count: int, seed: int = 1) -> list[str]:
    return [line for block in generate(count, seed) for line in block.importance]


def fields(lines: list[str]) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(lines)), quotechar="'"))


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data() -> None:
    assert rows(12_345) == rows(12_345)
    assert rows(100, seed=1) != rows(100, seed=2)


def test_a_longer_set_begins_with_a_shorter_one_of_whole_blocks() -> None:
    assert rows(25_000)[:20_000] == rows(20_000)
    assert len(rows(25_001)) == 25_001


def test_lines_look_like_banksims_with_ids_of_their_own() -> None:
    assert HEADER == "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"
    assert IMPORTANCE_HEADER == "Source,Target,Weight,typeTrans,fraud\n"
    assert [line for line in rows(20_000) if not ROW.fullmatch(line)] == []
    assert [line for line in weights(20_000) if not WEIGHT.fullmatch(line)] == []


def test_there_is_what_banksim_lacks() -> None:
    transactions, importance = fields(rows(60_000)), fields(weights(60_000))
    genders = defaultdict(set)
    for _, customer, _, gender, *_ in transactions:
        genders[customer].add(gender)
    types = defaultdict(set)
    for customer, merchant, _, kind, _ in importance:
        types[customer, merchant].add(kind)
    pairs = {(row[1], row[5]) for row in transactions}
    assert sum(len(seen) > 1 for seen in genders.values()) > 10
    assert {gender for seen in genders.values() for gender in seen} == {"F", "M", "E", "U"}
    assert sum(len(seen) > 1 for seen in types.values()) > 100
    assert len(pairs - types.keys()) > 100
    assert types.keys() <= pairs
    assert max(Counter(weights(60_000)).values()) > 1


def test_every_pattern_can_fire_even_in_a_small_set() -> None:
    total: Counter[str] = Counter()
    count: Counter[tuple[str, str]] = Counter()
    cents: Counter[tuple[str, str]] = Counter()
    gender: dict[tuple[str, str], str] = {}
    for _, customer, _, sex, _, merchant, _, _, amount, _ in fields(rows(5000)):
        total[merchant] += 1
        count[merchant, customer] += 1
        cents[merchant, customer] += round(float(amount) * 100)
        gender.setdefault((merchant, customer), sex)
    women, men = (Counter(merchant for (merchant, _), sex in gender.items() if sex == wanted) for wanted in "FM")
    assert sum(of > 1000 for of in total.values()) >= 2
    assert sum(times >= 4 and cents[pair] < 2300 * times for pair, times in count.items()) > 5
    assert any(5 < women[merchant] < men[merchant] for merchant in total)
    assert any(5 < men[merchant] < women[merchant] for merchant in total)


def test_written_files_are_the_drawn_lines(tmp_path: Path) -> None:
    made = write(1234, 5, tmp_path / "new")
    assert made.transactions.read_text() == HEADER + "".join(rows(1234, 5))
    assert made.importance.read_text() == IMPORTANCE_HEADER + "".join(weights(1234, 5))
    assert (made.rows, made.importance_rows, made.planted, made.faults) == (1234, len(weights(1234, 5)), 0, None)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"transactions.csv", "CustomerImportance.csv"}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faulty")
    write(20_000, 1, folder, faults=True)
    return folder


def test_faults_are_planted_where_the_report_says_and_nowhere_else(faulty: Path) -> None:
    lines = (faulty / "transactions.csv").read_bytes().split(b"\n")
    planted = {fault["line"]: fault["kind"] for fault in json.loads((faulty / "faults.json").read_text())["faults"]}
    of_kind = {kind.name: kind.line for kind in KINDS}
    assert set(planted.values()) == of_kind.keys()
    assert all(lines[line - 1] + b"\n" == of_kind[kind] for line, kind in planted.items())
    good = [line for number, line in enumerate(lines, 1) if number not in planted]
    assert b"\n".join(good).decode() == HEADER + "".join(rows(20_000))


def test_the_gate_rejects_exactly_the_planted_rows_for_the_planted_column(faulty: Path) -> None:
    faults = json.loads((faulty / "faults.json").read_text())["faults"]
    with (faulty / "transactions.csv").open("rb") as stream:
        pieces = list(accepted_rows(TRANSACTIONS.contract, stream, "transactions.csv"))
    rejected = {line: {reason.column for reason in reasons} for piece in pieces for line, reasons in piece.rejected}
    assert rejected == {fault["line"]: {fault["column"] or ""} for fault in faults if fault["rejected"]}
    assert sum(piece.table.num_rows for piece in pieces) == 20_000


def test_the_importance_keeps_its_contract(faulty: Path) -> None:
    with (faulty / "CustomerImportance.csv").open("rb") as stream:
        assert [piece.rejected for piece in accepted_rows(IMPORTANCE, stream, "a.csv")] == [()]
