"""Rejected rows on their way to `rejects.csv`: every reason, and the line as it came."""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, BinaryIO, cast

from include.quality.records import Rows
from include.quality.rules import READABLE
from include.quality.validation import Findings

HEADER = b"file_id,line,columns,rules,reasons,original\n"
_IN_MEMORY = 4 * 2**20
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row is rejected; `column` is empty where the line as a whole is meant."""

    column: str
    rule: str
    sentence: str


class Rejects:
    """Collects the rejected rows of one file; beyond 4 MB they wait on disk."""

    def __init__(self, file_id: int) -> None:
        self._file_id = file_id
        self._spool: BinaryIO | None = None
        self.count = 0
        self.unreadable = 0
        self.broken: Counter[tuple[str, str]] = Counter()
        self.first: list[dict[str, Any]] = []
        """The first rejected lines: number, columns and rules, never values."""

    def add(self, rows: Rows, findings: Findings) -> None:
        self.unreadable += len(rows.unreadable)
        for row, reasons in reasons_by_row(rows, findings):
            line = int(rows.lines[row])
            self.count += 1
            for reason in reasons:
                self.broken[reason.column, reason.rule] += 1
            if len(self.first) < _MOST_NAMED:
                columns, rules, sentences = _turned(reasons)
                self.first.append({"line": line, "columns": [*columns], "rules": [*rules], "reasons": [*sentences]})
            self._write(line, reasons, rows.original(row))

    def refer_to(self, file_id: int) -> None:
        """Write rows as those of another file, whose lines they are."""
        self._file_id = file_id

    def body(self) -> BinaryIO | None:
        """The whole of `rejects.csv`, from its start; None where no row was rejected."""
        if self._spool is not None:
            self._spool.seek(0)
        return self._spool

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def _write(self, line: int, reasons: tuple[Reason, ...], original: bytes) -> None:
        if self._spool is None:
            self._spool = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 (`close` closes it)
            self._spool.write(HEADER)
        self._spool.write(b"%d,%d,%s,%s\n" % (self._file_id, line, _described(reasons), _quoted(original)))


def reasons_by_row(rows: Rows, findings: Findings) -> list[tuple[int, tuple[Reason, ...]]]:
    """The rejected rows in order, each with every rule it breaks; an unreadable one with what made it so."""
    reasons: dict[int, tuple[Reason, ...]] = {}
    for rule, broken in findings.broken:
        same = (Reason(rule.column, rule.name, rule.broken),)
        for row in broken.tolist():
            if rule.name == READABLE:
                unreadable = rows.unreadable[row]
                reasons[row] = (Reason(unreadable.column, unreadable.rule, unreadable.reason),)
            else:
                reasons[row] = reasons[row] + same if row in reasons else same
    return sorted(reasons.items(), key=itemgetter(0))


@functools.lru_cache(1024)
def _described(reasons: tuple[Reason, ...]) -> bytes:
    """The fields columns, rules and reasons of a record."""
    return b",".join(_quoted(";".join(texts).encode()) for texts in _turned(reasons))


def _turned(reasons: tuple[Reason, ...]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return tuple(r.column for r in reasons), tuple(r.rule for r in reasons), tuple(r.sentence for r in reasons)


def _quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b'"', b'""') + b'"'
