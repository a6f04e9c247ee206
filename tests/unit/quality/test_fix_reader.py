"""Corrected rows before the gate: read as their parent was, whatever a person's editor made of `rejects.csv`."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.files.file import FileRecord, Kind, LedgerFile, State
from include.files.fix import FixParent
from include.files.verdict import Fault, Verdict
from include.quality.gate import GreatExpectationsGate
from tests.unit.quality.desk import BUCKET, HEADER, ROW, Desk

KEY = "fixes/transactions/rejects.csv"


class Correcting(Desk):
    """A desk where one file with rejected rows was judged before."""

    def __init__(self, *bad: bytes, key: str = "landing/transactions/dt=2026-11-21/a.csv", content: bytes = b"") -> None:
        super().__init__()
        content = content or HEADER + ROW * 100 + b"".join(bad)
        self.parent = self.land(content, key)
        (self.verdict,) = self.validate([self.parent])
        assert self.verdict.rejected == len(bad)
        self.fixed: dict[int, int] = {}
        self.header = self.verdict.header
        self.gate = GreatExpectationsGate(self.store, BUCKET, self)

    def fix_parent(self, _feed: str, file_id: int, _before_seq: int) -> FixParent | None:
        if file_id != self.parent.file_id:
            return None
        file = dataclasses.replace(self.parent, state=State.PUBLISHED)
        at = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
        kept = FileRecord(file, "landing", None, True, True, self.verdict.bronze, self.verdict.bronze_digest, self.verdict.rejects, at)
        return FixParent(kept, self.header, self.fixed)

    def correct(self, content: bytes) -> Verdict:
        file: LedgerFile = dataclasses.replace(self.land(content, KEY), kind=Kind.ROW_FIX)
        (verdict,) = self.validate([file])
        return verdict

    def rejects_csv(self, verdict: Verdict) -> bytes:
        assert verdict.rejects is not None
        return self.store.held[BUCKET, verdict.rejects.key]


BAD = ROW.replace(b"4.55", b"x")
GOOD = b"0,'C1','4','M','28007','M1','28007','es_food',4.55,0"


def test_the_rejects_as_they_were_written_are_rejected_again_under_the_same_references() -> None:
    desk = Correcting(BAD, b"0,'C1\n", b"caf\xe9\n", b'a,"b",c\n', b"tail\r\r\n")
    before = desk.rejects_csv(desk.verdict)
    verdict = desk.correct(before)
    assert (verdict.fault, verdict.lines, verdict.accepted, verdict.rejected) == (Fault.NOTHING_FIXED, 5, 0, 5)
    assert desk.rejects_csv(verdict) == before


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text,
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.removesuffix(b"\n"),
        lambda text: text.replace(b"\n", b"\n\n"),
    ],
)
def test_what_an_editor_makes_of_line_ends_and_marks_is_read_alike(edit) -> None:  # noqa: ANN001
    desk = Correcting(BAD)
    verdict = desk.correct(edit(desk.rejects_csv(desk.verdict).replace(b",x,", b",7.50,")))
    assert (verdict.fault, verdict.lines, verdict.accepted, verdict.fixes, verdict.parent) == (None, 1, 1, (102,), desk.parent.file_id)
    assert desk.bronze(verdict)["amount_cents"].to_pylist() == [750]
    assert desk.bronze(verdict)["_line"].to_pylist() == [102]


def test_columns_may_stand_in_another_order_and_reasons_may_be_left_out() -> None:
    verdict = Correcting(BAD).correct(b'original,line,file_id\n"' + GOOD + b'",102,1\n')
    assert (verdict.fault, verdict.fixes) == (None, (102,))


def test_rows_come_in_by_the_order_of_the_parents_lines() -> None:
    desk = Correcting(BAD, BAD, BAD)
    verdict = desk.correct(b"file_id,line,original\n" + b"".join(b'1,%d,"%s"\n' % (line, GOOD) for line in (104, 102, 103)))
    assert verdict.fixes == (102, 103, 104)


@pytest.mark.parametrize("original", [b"", b"0,'C1'\n,2", GOOD + b"\n" + GOOD, GOOD + b"\0"])
def test_a_corrected_text_that_is_not_one_line_is_rejected_alone_and_kept_as_it_is(original: bytes) -> None:
    desk = Correcting(BAD, BAD)
    verdict = desk.correct(b'file_id,line,original\n1,102,"' + original + b'"\n1,103,"' + GOOD + b'"\n')
    assert (verdict.fault, verdict.accepted, verdict.rejected, verdict.fixes) == (None, 1, 1, (103,))
    (left,) = desk.rejects(verdict)
    assert (left["line"], left["rules"], left["reasons"]) == ("102", "fields", "the corrected text is not one line")
    assert left["original"].encode() == original


def test_a_line_that_came_in_before_is_refused_naming_the_file_it_came_with() -> None:
    desk = Correcting(BAD)
    desk.fixed = {102: 7}
    verdict = desk.correct(b'file_id,line,original\n1,102,"' + GOOD + b'"\n')
    assert verdict.fault is Fault.NOTHING_FIXED
    assert verdict.reason == (
        "its one row is refused; line 102: line 102 came in corrected with file 7; rejects.csv names each line and its reasons"
    )


def test_the_header_of_a_file_judged_before_headers_were_kept_is_read_from_its_bytes() -> None:
    desk = Correcting(BAD)
    desk.header = None
    assert desk.correct(b'file_id,line,original\n1,102,"' + GOOD + b'"\n').fixes == (102,)
    del desk.store.held[BUCKET, desk.parent.key]
    verdict = desk.correct(b'file_id,line,original\n1,102,"' + GOOD + b' "\n')
    assert (verdict.fault, verdict.reason) == (
        Fault.REFERENCE,
        "the original of file 1 is gone and with it its header: land the rows as a file",
    )


def test_thousands_of_corrections_come_in_whatever_the_size_of_the_stretches_they_are_read_in() -> None:
    desk = Correcting()
    content = HEADER + ROW * 110_000 + BAD * 12_000
    desk.parent = desk.land(content, "landing/transactions/dt=2026-11-21/large.csv")
    (desk.verdict,) = desk.validate([desk.parent])
    desk.header = desk.verdict.header
    verdict = desk.correct(desk.rejects_csv(desk.verdict).replace(b",x,", b",1,"))
    assert (verdict.fault, verdict.lines, verdict.accepted) == (None, 12_000, 12_000)
    assert verdict.fixes == tuple(range(110_002, 122_002))


NAMES = HEADER.decode().split(",")[:9]
VALUES = {**dict.fromkeys(NAMES, "x"), "step": "0", "gender": "F", "amount": "4.55"}


def _parquet(rows: list[dict[str, str]]) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), body)
    return body.getvalue()


OTHERS = {
    ".jsonl": lambda rows: "\n".join(json.dumps(row) for row in rows).encode(),
    ".json": lambda rows: json.dumps(rows, indent=2).encode(),
    ".parquet": _parquet,
}


@pytest.mark.parametrize("ending", OTHERS)
def test_rejected_rows_of_json_and_parquet_come_back_corrected_under_their_lines(ending: str) -> None:
    rows = [dict(VALUES) for _ in range(100)]
    for line in (3, 7, 9):
        rows[line - 1]["amount"] = "1e2"
    desk = Correcting(b"", b"", b"", key=f"landing/transactions/a{ending}", content=OTHERS[ending](rows))
    before = desk.rejects_csv(desk.verdict)
    assert desk.correct(before).fault is Fault.NOTHING_FIXED
    assert desk.rejects_csv(desk.correct(before)) == before
    fixed = desk.correct(before.replace(b"1e2", b"100.00", 2))
    assert (fixed.fault, fixed.accepted, fixed.rejected, fixed.fixes) == (None, 2, 1, (3, 7))
    assert desk.bronze(fixed)["_line"].to_pylist() == [3, 7]
    assert desk.bronze(fixed)["amount_cents"].to_pylist() == [10_000, 10_000]
    no_record = desk.correct(before.replace(b'1e2""', b'100.00""}, {""a"": 1', 1))
    assert (no_record.fault, no_record.rejected) == (Fault.NOTHING_FIXED, 3)
