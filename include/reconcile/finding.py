"""A finding: what does not agree between bucket and ledger, where, what to do, and whether it was made good."""

from __future__ import annotations

import datetime as dt
import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


class Code(enum.StrEnum):
    """What kind of thing was found; docs/runbooks/ledger-and-bucket.md says what to do about each."""

    UNKNOWN_OBJECT = "unknown_object"
    SEEN_AGAIN = "seen_again"
    OVERWRITTEN = "overwritten"
    NOT_A_FILE = "not_a_file"
    OBJECT_GONE = "object_gone"
    BYTES_DIFFER = "bytes_differ"
    UNREADABLE = "unreadable"
    BRONZE_MISSING = "bronze_missing"
    BRONZE_DIFFERS = "bronze_differs"
    REJECTS_MISSING = "rejects_missing"
    REJECTS_DIFFER = "rejects_differ"
    REPORT_MISSING = "report_missing"
    REPORT_DIFFERS = "report_differs"
    STATE_MISSING = "state_missing"
    STATE_DIFFERS = "state_differs"
    REFERENCE_MISSING = "reference_missing"
    REFERENCE_DIFFERS = "reference_differs"
    DETECTIONS_MISSING = "detections_missing"
    DETECTIONS_DIFFER = "detections_differ"
    LAKE_MISSING = "lake_missing"
    LAKE_DIFFERS = "lake_differs"
    COUNTS_DIFFER = "counts_differ"
    AMOUNTS_DIFFER = "amounts_differ"
    UNREFERRED = "unreferred"
    COLLECTED = "collected"


class Severity(enum.StrEnum):
    """A note is a normal thing that people may want to know of; a difference should not be there."""

    NOTE = "note"
    DIFFERENCE = "difference"


NOTES = frozenset({Code.UNKNOWN_OBJECT, Code.SEEN_AGAIN, Code.OVERWRITTEN, Code.NOT_A_FILE, Code.UNREFERRED, Code.COLLECTED})


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        where: the object or the rows that are meant.
        what: one sentence, without row values.
        next_step: what a person has to do; empty where nothing is left to do.
        repaired: whether it was made good (or taken in) by the run that found it.
        date: the date of the file it is about; None where it is about the feed.
    """

    code: Code
    where: str
    what: str
    next_step: str = ""
    repaired: bool = False
    date: dt.date | None = None
    file_id: int | None = None

    @property
    def severity(self) -> Severity:
        return Severity.NOTE if self.code in NOTES else Severity.DIFFERENCE

    @property
    def fails(self) -> bool:
        return self.severity is Severity.DIFFERENCE and not self.repaired

    def __str__(self) -> str:
        done = " (made good)" if self.repaired and self.severity is Severity.DIFFERENCE else ""
        return f"{self.code}: {self.where}: {self.what}{done}" + (f"; {self.next_step}" if self.next_step else "")


@dataclass
class Findings:
    """All findings of a run by number, the first of each code in full, so that memory stays bounded when everything is lost."""

    kept_of_a_code: int = 500
    kept: list[Finding] = field(default_factory=list)
    counts: Counter[Code] = field(default_factory=Counter)
    by_date: Counter[dt.date | None] = field(default_factory=Counter)
    failing: Counter[dt.date | None] = field(default_factory=Counter)

    def add(self, finding: Finding) -> bool:
        """Count a finding; whether it was kept in full."""
        self.counts[finding.code] += 1
        self.by_date[finding.date] += 1
        self.failing[finding.date] += finding.fails
        if self.counts[finding.code] > self.kept_of_a_code:
            return False
        self.kept.append(finding)
        return True

    def add_all(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.add(finding)

    @property
    def failures(self) -> int:
        return self.failing.total()

    @property
    def ok(self) -> bool:
        return not self.failures
