"""Findings as values: what fails a reconciliation, what is only worth a note, and how many are kept."""

from __future__ import annotations

import datetime as dt

import pytest

from include.reconcile.context import Scope
from include.reconcile.finding import Code, Finding, Findings, Severity
from include.reconcile.reconcile import worst_first

DAY = dt.date(2026, 11, 1)


@pytest.mark.parametrize(
    ("finding", "severity", "fails"),
    [
        (Finding(Code.UNKNOWN_OBJECT, "k", "new", repaired=True), Severity.NOTE, False),
        (Finding(Code.NOT_A_FILE, "k", "no file"), Severity.NOTE, False),
        (Finding(Code.UNREFERRED, "k", "left behind"), Severity.NOTE, False),
        (Finding(Code.BRONZE_MISSING, "k", "lost", repaired=True), Severity.DIFFERENCE, False),
        (Finding(Code.BRONZE_MISSING, "k", "lost"), Severity.DIFFERENCE, True),
        (Finding(Code.OBJECT_GONE, "k", "gone"), Severity.DIFFERENCE, True),
        (Finding(Code.COUNTS_DIFFER, "k", "3 and 4"), Severity.DIFFERENCE, True),
    ],
)
def test_a_difference_fails_unless_it_was_made_good_and_a_note_never_does(finding: Finding, severity: Severity, fails: bool) -> None:
    assert (finding.severity, finding.fails) == (severity, fails)
    findings = Findings()
    findings.add(finding)
    assert (findings.ok, findings.failures) == (not fails, int(fails))


def test_of_many_findings_all_are_counted_and_the_first_of_each_code_kept() -> None:
    findings = Findings(kept_of_a_code=2)
    kept = [findings.add(Finding(Code.OBJECT_GONE, f"k{n}", "gone", date=DAY)) for n in range(5)]
    findings.add(Finding(Code.NOT_A_FILE, "x", "no file"))
    assert kept == [True, True, False, False, False]
    assert [one.where for one in findings.kept] == ["k0", "k1", "x"]
    assert findings.counts == {Code.OBJECT_GONE: 5, Code.NOT_A_FILE: 1}
    assert (findings.by_date[DAY], findings.failing[DAY], findings.by_date[None], findings.failing[None]) == (5, 5, 1, 0)
    assert findings.failures == 5


def test_a_finding_reads_as_one_line_that_ends_with_what_to_do() -> None:
    assert str(Finding(Code.OBJECT_GONE, "s3://b/k", "is gone", "land it again")) == "object_gone: s3://b/k: is gone; land it again"
    assert str(Finding(Code.STATE_MISSING, "s3://b/k", "is not there", repaired=True)) == (
        "state_missing: s3://b/k: is not there (made good)"
    )


def test_what_is_left_open_is_shown_first_and_notes_last() -> None:
    note = Finding(Code.NOT_A_FILE, "a", "")
    good = Finding(Code.STATE_MISSING, "b", "", repaired=True)
    bad = Finding(Code.OBJECT_GONE, "c", "")
    assert worst_first((note, good, bad)) == [bad, good, note]


@pytest.mark.parametrize(
    ("scope", "reads", "folder", "said"),
    [
        (Scope(), False, "landing/f/", "everything, listings and counts"),
        (Scope(verify=True), True, "landing/f/", "everything, contents read"),
        (Scope(DAY), True, "landing/f/dt=2026-11-01/", "dt=2026-11-01, contents read"),
        (Scope(collect=True), False, "landing/f/", "everything, listings and counts, collecting"),
    ],
)
def test_contents_are_read_of_one_date_or_on_request(scope: Scope, reads: bool, folder: str, said: str) -> None:
    assert (scope.reads, scope.folders("landing/f/"), str(scope)) == (reads, folder, said)
