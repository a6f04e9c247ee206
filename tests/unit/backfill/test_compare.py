"""A comparison with what was published: what is found first, what changes, what a file and a certificate say of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest

from include.backfill.backfill import (
    DateDoesNotAddUp,
    account,
    certificate_name,
    dates_between,
    of_date,
    problems_of,
    thresholds_changed,
)
from include.backfill.certificate import Certificate, as_json, json_body, text_body
from include.backfill.compare import batch_files, changes_between, first_found, may_take_part, with_files
from include.backfill.comparison import Comparison, FileComparison, Kind, Now, ReplayDiffers, Side, validated
from include.domains.transactions.feeds import TRANSACTIONS
from include.errors import UsageError
from include.files.batch import Batch, BatchFile, ValidatedBy
from include.files.file import FileRecord, LedgerFile, ObjectRef, State
from include.files.outcome import Change, Difference, Finding
from include.files.verdict import Fault, Verdict
from include.pipeline.revalidate import Revalidated
from include.run import Run

DAY = dt.date(2026, 11, 1)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
CODE = ValidatedBy("1+aaaa", "contract1", "suite1")


def kept(seq: int, state: State = State.PUBLISHED, *, date: dt.date = DAY, **more: Any) -> FileRecord:
    known = {name: more.pop(name) for name in ("lines", "accepted", "rejected") if name in more}
    file = LedgerFile(seq, "transactions", seq, "b", f"landing/{seq}.csv", 1, "e", 9, date, state, "s", **known)
    bronze = (ObjectRef(f"bronze/{seq}", 1, "e", known.get("accepted") or 0),)
    made = FileRecord(file, "landing", None, latest=True, delivered=True, bronze=bronze, bronze_digest="d", rejects=None, last_read_at=NOON)
    return dataclasses.replace(made, **more)


def batch(number: int, *seqs: int) -> Batch:
    files = tuple(BatchFile(seq, seq, f"landing/{seq}.csv", 2, (ObjectRef(f"recorded/{seq}", 1, "e", 2),), ("M1",)) for seq in seqs)
    return Batch(number, "transactions", seqs[0], seqs[-1], 2 * len(seqs), {"top": 10}, 3, NOON, files)


def compared(seq: int, kind: Kind = Kind.EQUAL, *, number: int | None = 1, date: dt.date = DAY, **more: Any) -> FileComparison:
    return FileComparison(
        kept(seq, date=date, lines=2, accepted=2, rejected=0), batch(number, seq) if number else None, kind, validated_by=CODE, **more
    )


def comparison(*files: FileComparison, changes: tuple[Change, ...] = (), given: dict[str, int] | None = None) -> Comparison:
    return Comparison("transactions", Now(CODE, given or {}), files, changes)


@pytest.mark.parametrize(
    ("batches", "recorded", "expected"),
    [
        ([], {}, {}),
        ([(5, [Finding(5, ("a",)), Finding(6, ("b",))])], {}, {("a",): 5, ("b",): 6}),
        ([(7, [Finding(7, ("a",))]), (5, [Finding(5, ("a",))])], {}, {("a",): 5}),
        ([(5, [Finding(5, ("a",))])], {("a",): 4}, {}),
        ([(5, [Finding(5, ("a",))])], {("a",): 9}, {("a",): 5}),
    ],
)
def test_each_key_is_found_once_at_its_first_file_and_not_where_it_was_known_before(
    batches: list[tuple[int, list[Finding]]], recorded: dict[tuple[str, ...], int], expected: dict[tuple[str, ...], int]
) -> None:
    assert first_found(batches, recorded, 5) == expected


@pytest.mark.parametrize(
    ("recorded", "now", "expected"),
    [
        ({("a",): 5}, {("a",): 5}, []),
        ({("a",): 5}, {}, [Change(("a",), 5, None)]),
        ({}, {("a",): 6}, [Change(("a",), None, 6)]),
        ({("a",): 5}, {("a",): 6}, [Change(("a",), 5, 6)]),
        ({("a",): 9}, {("a",): 6}, [Change(("a",), 9, 6)]),  # found earlier than by a file that is not compared
        ({("a",): 4}, {}, []),  # recorded before the files that are compared
        ({}, {("a",): 9}, []),
    ],
)
def test_a_change_is_what_the_compared_files_gain_or_lose(
    recorded: dict[tuple[str, ...], int], now: dict[tuple[str, ...], int], expected: list[Change]
) -> None:
    assert changes_between(recorded, now, {5, 6}) == expected


@pytest.mark.parametrize(
    ("state", "code", "expected"),
    [
        (State.PUBLISHED, None, True),
        (State.QUARANTINED, "column_missing", True),
        (State.QUARANTINED, "overwrite", False),
        (State.QUARANTINED, "object_gone", False),
        (State.DUPLICATE, None, False),
        (State.ACCEPTED, None, False),
        (State.DISCARDED, "column_missing", False),
    ],
)
def test_what_was_processed_or_refused_for_its_bytes_takes_part(state: State, code: str | None, expected: bool) -> None:
    assert may_take_part(kept(1, state, reason_code=code)) is expected


def test_a_shadow_batch_takes_the_rows_of_now_the_recorded_ones_where_bytes_are_gone_and_no_refused_file() -> None:
    now = (ObjectRef("now/2", 1, "e", 5),)
    again = [
        Revalidated(kept(2), Verdict(2, accepted=5, bronze=now, touched_values=("M2",))),
        Revalidated(kept(3), None),
        Revalidated(kept(4), Verdict(4, fault=Fault.COLUMN_MISSING)),
        Revalidated(kept(1, State.QUARANTINED), Verdict(1, accepted=7, bronze=now)),
        Revalidated(kept(5, State.QUARANTINED), None),
    ]
    recorded = batch(8, 2, 3, 4)
    files = batch_files(recorded, again)
    assert [(file.seq, file.rows, file.bronze[0].key) for file in files] == [(1, 7, "now/2"), (2, 5, "now/2"), (3, 2, "recorded/3")]
    made = with_files(recorded, files)
    assert (made.number, made.first_seq, made.last_seq, made.rows, made.parameters, made.reference_version) == (8, 1, 4, 14, {"top": 10}, 3)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (Kind.EQUAL, False, Kind.DIFFERENT),
        (Kind.EQUAL, True, Kind.CHANGED),
        (Kind.DIFFERENT, True, Kind.DIFFERENT),
        (Kind.LEFT_ALONE, True, Kind.LEFT_ALONE),
    ],
)
def test_other_findings_are_what_was_asked_for_where_thresholds_were_given_other_rows_never_are(
    kind: Kind, given: bool, expected: Kind
) -> None:
    assert validated(compared(1, kind, difference=Difference("detection 1")), thresholds_changed=given).kind is expected


def test_a_comparison_is_as_bad_as_its_worst_file_and_names_the_first_that_differs() -> None:
    fine, other = compared(1), compared(2, Kind.DIFFERENT, difference=Difference("bronze row 5 (line 6): column cents"))
    assert comparison().kind is Kind.LEFT_ALONE
    assert comparison(fine).kind is Kind.EQUAL
    assert comparison(fine, compared(3, Kind.CHANGED)).kind is Kind.CHANGED
    worst = comparison(fine, compared(3, Kind.CHANGED), other, compared(4, Kind.DIFFERENT, difference=Difference("later")))
    assert worst.kind is Kind.DIFFERENT
    assert worst.first_difference == (other, Difference("bronze row 5 (line 6): column cents"))
    said = str(ReplayDiffers(worst, "s3://b/c.md"))
    assert said.startswith(
        "transactions: 2 of 4 files are not as they were published; the first is seq 2 landing/2.csv: bronze row 5 (line 6): column cents. "
    )
    assert "s3://b/c.md" in said


def test_where_other_rules_judged_then_the_sentence_says_which() -> None:
    file = compared(2, Kind.DIFFERENT, difference=Difference("bronze row 1"))
    later = Comparison("transactions", Now(dataclasses.replace(CODE, contract_digest="contract2"), {}), (file,), ())
    assert "It was judged by other rules (contract digest contract1 then, contract2 now)." in str(ReplayDiffers(later, ""))


def test_a_certificate_of_a_date_has_the_files_that_share_a_batch_with_it_and_their_changes() -> None:
    other_day = DAY + dt.timedelta(days=1)
    files = [compared(1), compared(2, number=2, date=other_day), compared(3, number=2), compared(4, number=3, date=other_day)]
    changes = (Change(("a",), None, 2), Change(("b",), 4, None))
    part = of_date(comparison(*files, compared(5, Kind.LEFT_ALONE, number=None), changes=changes), DAY)
    assert [file.kept.file.seq for file in part.files] == [1, 2, 3, 5]
    assert part.changes == changes[:1]


def test_the_certificate_says_for_each_file_what_judged_it_then_and_now() -> None:
    file = compared(
        2,
        Kind.CHANGED,
        bronze=Side("d", "d"),
        state=Side("s", "s"),
        findings=Side("f", "g"),
        changes=(Change(("PatId2", "M|1", "C1"), None, 2),),
        difference=Difference("a PatId2 of seq 2 is not among the published detections", {"customer": "C1"}),
        job_code="job",
    )
    certificate = Certificate(DAY, NOON, "run", "certificates/c", comparison(compared(1), file, changes=file.changes, given={"top": 20}))
    said = as_json(certificate)
    assert json.loads(json_body(certificate)) == json.loads(json.dumps(said))
    assert (said["verdict"], said["counts"]) == ("changed", {"equal": 1, "changed": 1, "different": 0, "left alone": 0})
    assert said["findings_added"] == [{"key": ["PatId2", "M|1", "C1"], "recorded_seq": None, "now_seq": 2}]
    assert said["findings_removed"] == []
    told = said["files"][1]
    assert told["digests"]["findings"] == {"recorded": "f", "now": "g"}
    assert told["recorded_by"] == {
        "code_version": "1+aaaa",
        "contract_digest": "contract1",
        "suite_digest": "suite1",
        "job_code": "job",
        "parameters": {"top": 10},
        "reference_version": 3,
    }
    assert told["compared_by"]["parameters"] == {"top": 20}
    assert told["first_difference"] == {"where": file.difference.where, "values": {"customer": "C1"}}  # type: ignore[union-attr]
    page = text_body(certificate).decode()
    assert "In place of the recorded thresholds: top 20." in page
    assert "| 2 | landing/2.csv | changed | same d | same s | other | a PatId2 of seq 2 is not among the published detections |" in page
    assert "| PatId2 M\\|1 C1 |  | 2 |" in page


def test_no_line_of_a_log_holds_a_value() -> None:
    file = compared(
        2, Kind.DIFFERENT, difference=Difference("bronze row 5", {"cents now": 455}), changes=(Change(("P", "M", "C9"), 2, None),)
    )
    assert file.line == "seq 2 landing/2.csv: different: bronze row 5; 1 findings would change"
    assert compared(1, found={"PatId2": 1}, pairs=4).line == "seq 1 landing/1.csv: equal (published): 2 rows, 4 rows of state, 1 PatId2"
    alone = compared(3, Kind.LEFT_ALONE, note="a duplicate: it changed nothing")
    assert alone.line == "seq 3 landing/3.csv: left alone: a duplicate: it changed nothing"


def test_a_date_in_one_sentence() -> None:
    files = [
        kept(1, lines=10, accepted=9, rejected=1),
        kept(2, State.QUARANTINED),
        kept(3, State.DUPLICATE, lines=10, accepted=10, rejected=0),
    ]
    assert account("transactions", DAY, files) == (
        "transactions dt=2026-11-01: 3 files (1 published, 1 quarantined, 1 duplicate); 20 lines = 19 accepted + 1 rejected"
    )
    assert account("transactions", DAY, []) == "transactions dt=2026-11-01: no files, nothing to do"


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (kept(1, lines=10, accepted=9, rejected=1), None),
        (kept(1, State.QUARANTINED), None),
        (kept(1, State.REGISTERED), "seq 1 landing/1.csv is registered and not finished"),
        (kept(1, lines=10, accepted=9, rejected=0), "seq 1 landing/1.csv: 10 lines are not 9 accepted and 0 rejected"),
        (kept(1, lines=9, accepted=9, rejected=0, bronze=()), "seq 1 landing/1.csv: bronze has 0 rows, accepted are 9"),
    ],
)
def test_what_does_not_add_up_is_named(file: FileRecord, problem: str | None) -> None:
    assert list(problems_of([file])) == ([problem] if problem else [])
    if problem:
        assert str(DateDoesNotAddUp("transactions", DAY, [problem])).startswith(f"transactions dt=2026-11-01: {problem}; ")


def test_dates_are_given_in_order_and_both_ends_count() -> None:
    assert dates_between(DAY, DAY + dt.timedelta(days=2)) == [DAY, dt.date(2026, 11, 2), dt.date(2026, 11, 3)]
    for last in (DAY - dt.timedelta(days=1), DAY + dt.timedelta(days=10_000)):
        with pytest.raises(UsageError, match="give the earlier date first"):
            dates_between(DAY, last)


def test_thresholds_belong_to_a_comparison_and_are_within_their_bounds() -> None:
    assert thresholds_changed(TRANSACTIONS, {"min_count": 5}, reprocess=True) == {"min_count": 5}
    assert thresholds_changed(TRANSACTIONS, {}, reprocess=False) == {}
    with pytest.raises(UsageError, match="give reprocess too"):
        thresholds_changed(TRANSACTIONS, {"min_count": 5}, reprocess=False)
    with pytest.raises(UsageError, match="min_count = 0"):
        thresholds_changed(TRANSACTIONS, {"min_count": 0}, reprocess=True)


def test_a_run_that_is_tried_again_replaces_its_certificate_and_no_other_run_does() -> None:
    assert certificate_name(Run("r1", NOON)) == certificate_name(Run("r1", NOON))
    assert len({certificate_name(Run(name, NOON)) for name in ("r1", "r2")}) == 2
    assert certificate_name(Run("r1", NOON)).startswith("20261121T120000Z-")
