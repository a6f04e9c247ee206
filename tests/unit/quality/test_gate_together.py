"""A verdict depends on the file alone: not on its neighbours, on how it was read, or on how rows were put together."""

from __future__ import annotations

import dataclasses
import io
import random
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract import Column, Contract
from include.domains.transactions.feeds import IMPORTANCE
from include.errors import EnvironmentFailure
from include.files.verdict import Fault, Verdict
from include.quality.gate import GreatExpectationsGate
from include.quality.lines import Quarantined
from include.quality.rows import accepted_rows
from tests.unit.quality.desk import BUCKET, DATA, HEADER, ROW, Desk, validated
from tests.unit.quality.memory_store import MemoryStore

CONTENTS = sorted(path.read_bytes() for path in DATA.glob("*.csv"))


def said_of(verdict: Verdict, desk: Desk) -> tuple[object, ...]:
    """All that a verdict says, but for times, names and how bronze is cut."""
    bronze = desk.bronze(verdict).drop_columns(["_file_id"]).to_pylist() if verdict.bronze else []
    rejects = [{name: text for name, text in row.items() if name != "file_id"} for row in desk.rejects(verdict)]
    counts = (verdict.lines, verdict.accepted, verdict.rejected, verdict.bronze_digest, verdict.touched_values, verdict.sha256)
    return (
        verdict.fault,
        verdict.reason,
        counts,
        bronze,
        rejects,
        verdict.report["broken"],
        verdict.report["first_rejected"],
        verdict.report["expectations"],
    )


ALONE = {content: said_of(*validated(content)) for content in CONTENTS}


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=6), st.integers(1, 2000), st.integers(1, 50))
def test_a_file_is_judged_the_same_alone_and_among_others(contents: list[bytes], piece_bytes: int, frame_rows: int) -> None:
    desk = Desk(piece_bytes=piece_bytes, frame_rows=frame_rows, read_size=97)
    files = [desk.land(content, f"landing/transactions/{number}.csv") for number, content in enumerate(contents)]
    verdicts = desk.validate(files)
    assert [verdict.file_id for verdict in verdicts] == [file.file_id for file in files]
    for content, verdict in zip(contents, verdicts, strict=True):
        assert said_of(verdict, desk) == ALONE[content]


def test_neighbours_change_no_type() -> None:
    desk = Desk()
    empty_ages = HEADER + ROW.replace(b"'4'", b"''") * 3
    files = [desk.land(content, f"landing/{n}.csv") for n, content in enumerate((empty_ages, HEADER + ROW, HEADER + b"x\n"))]
    empty, full, _ = desk.validate(files)
    assert desk.bronze(empty).schema == desk.bronze(full).schema
    assert (desk.bronze(empty)["age"].to_pylist(), desk.bronze(full)["age"].to_pylist()) == ([None] * 3, ["4"])


def test_many_pieces_with_faults_spread_over_them_add_up() -> None:
    dice = random.Random(3)
    faults = [ROW.replace(b"4.55", b"-1"), ROW.replace(b"'C1'", b"'C1"), ROW.replace(b"'M'", b"'Q'"), b"\xff\n", b"1,2\n"]
    body = [dice.choice(faults) if dice.random() < 0.05 else ROW.replace(b"C1", b"C%d" % n) for n in range(5000)]
    bad = [number for number, line in enumerate(body, 2) if line in faults]
    whole, whole_desk = validated(HEADER + b"".join(body))
    cut, cut_desk = validated(HEADER + b"".join(body), piece_bytes=1000, frame_rows=700)
    assert (cut.lines, cut.rejected, len(cut.bronze) > 100, len(whole.bronze)) == (5000, len(bad), True, 1)
    assert said_of(cut, cut_desk) == said_of(whole, whole_desk)
    assert [int(row["line"]) for row in cut_desk.rejects(cut)] == bad
    assert sum(part.rows for part in cut.bronze) == 5000 - len(bad)


def test_a_refused_file_leaves_no_bronze_however_late_the_fault() -> None:
    verdict, desk = validated(HEADER + ROW * 2000 + b"\0\n", piece_bytes=5000, frame_rows=100)
    assert (verdict.fault, verdict.lines, verdict.reason) == (
        Fault.NUL_BYTE, None, "line 2,002 has a NUL byte; the file is binary, UTF-16 or damaged, and must be UTF-8 text",
    )  # fmt: skip
    assert len(desk.store.held) == 1


def test_an_object_that_arrives_short_is_the_environments_fault() -> None:
    desk = Desk()
    file = dataclasses.replace(desk.land(HEADER + ROW), size=10_000)
    with pytest.raises(EnvironmentFailure, match=r"arrived with \d+ bytes and was listed with 10,000"):
        desk.validate([file])


def test_a_store_that_breaks_off_stops_the_gate() -> None:
    class BrokenStore(MemoryStore):
        def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:
            raise EnvironmentFailure("S3", f"no answer for {bucket}/{key} {etag}")

    desk = Desk()
    file = desk.land(HEADER + ROW)
    with pytest.raises(EnvironmentFailure, match="no answer"):
        GreatExpectationsGate(BrokenStore(), BUCKET).validate(desk.spec, [file], "1", desk.said.append)


def test_no_file_is_no_verdict() -> None:
    assert Desk().validate([]) == []


def test_bronze_lies_under_the_file_and_the_attempt() -> None:
    verdict, desk = validated((DATA / "amount_negative.csv").read_bytes())
    folder = "bronze/transactions/dt=2026-11-21/file=1/attempt=1/"
    assert ([part.key for part in verdict.bronze], verdict.rejects and verdict.rejects.key) == (
        [f"{folder}part-00000.parquet"],
        f"{folder}rejects.csv",
    )
    assert all((BUCKET, part.key) in desk.store.held for part in verdict.bronze)


def test_rows_of_a_reference_are_read_by_the_same_code() -> None:
    content = (
        b"Source,Target,Weight,typeTrans,fraud\n'C1','M1',4.55,'es_food',0\n'C2','M1',-1,'es_food',0\n'C3','M1',1.123456789,'es_tech',0\n"
    )
    (piece,) = accepted_rows(IMPORTANCE, io.BytesIO(content), "CustomerImportance.csv")
    assert piece.table.drop_columns(["additional_column"]).to_pydict() == {
        "customer": ["C1", "C3"],
        "merchant": ["M1", "M1"],
        "weight": ["4.55", "1.123456789"],
        "transaction_type": ["es_food", "es_tech"],
        "_line": [2, 4],
    }
    ((line, reasons),) = piece.rejected
    assert (piece.lines, line, [(reason.column, reason.rule) for reason in reasons]) == (3, 3, [("Weight", "matches")])
    with pytest.raises(Quarantined, match="missing columns Weight"):
        list(accepted_rows(IMPORTANCE, io.BytesIO(content.replace(b"Weight", b"weight")), "CustomerImportance.csv"))


def test_a_contract_without_rules_accepts_every_readable_row() -> None:
    free = Contract(1, (Column("a", null=True),))
    for limit in (free, dataclasses.replace(free, max_bytes=10**6)):
        verdict, desk = validated(b'a\nx\n""\n"y\n' + b"z\n" * 20, contract=limit)
        assert (verdict.lines, verdict.rejected, desk.bronze(verdict)["a"].to_pylist()) == (23, 1, ["x", None, *["z"] * 20])


def test_a_suite_is_named_by_what_it_asks() -> None:
    desk = Desk()
    digest = desk.gate.suite_digest(desk.spec)
    stricter = dataclasses.replace(desk.spec, contract=dataclasses.replace(desk.spec.contract, columns=(Column("step", matches="[0-9]"),)))
    (verdict,) = desk.validate([desk.land(HEADER + ROW)])
    assert (len(digest), digest) == (12, Desk().gate.suite_digest(desk.spec))
    assert digest != desk.gate.suite_digest(stricter)
    assert verdict.report["judged_by"] == {
        "contract_version": 2,
        "contract_digest": desk.spec.contract.digest,
        "suite_digest": digest,
        "great_expectations": "1.24.1",
    }
