"""Corrected rows: what is known of the file whose rejected rows they are, and what is wrong with a reference to one of its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from include.files.file import FileRecord, Kind, State

TAKES_FIXES = frozenset({State.ACCEPTED, State.PUBLISHED})


@dataclass(frozen=True, slots=True)
class FixParent:
    """A file some of whose rows were rejected.

    Attributes:
        kept: the file, and the objects that belong to it.
        header: the names in its header; None where they were not kept when it was judged.
        fixed: which of its lines came in corrected before, and with which file.
    """

    kept: FileRecord
    header: tuple[str, ...] | None
    fixed: Mapping[int, int]

    @property
    def refusal(self) -> str | None:
        """Why no row of it can come in corrected, or None where one may."""
        file = self.kept.file
        if file.kind is Kind.ROW_FIX:
            return f"file {file.file_id} holds corrected rows itself: refer to file {file.parent}, as its own rejects.csv does"
        if file.state is State.SUPERSEDED:
            return f"file {file.file_id} was superseded by a newer version of {file.key}: correct the rows of that one"
        if file.state not in TAKES_FIXES:
            return f"file {file.file_id} is {file.state}: single rows of it cannot come in; replay it whole (docs/runbooks/replay.md)"
        if self.kept.rejects is None:
            return f"no row of file {file.file_id} was rejected"
        return None


def refused_references(lines: Sequence[int | None], rejected: Collection[int], fixed: Mapping[int, int]) -> dict[int, str]:
    """Why a reference is refused, by its place in the file; None stands for a line that is no number.

    >>> refused_references([7, 8, 8, 9, None, 10], {7, 8, 10}, {10: 3})
    {1: 'line 8 stands in this file 2 times', 2: 'line 8 stands in this file 2 times', 3: 'line 9 of that file was not rejected', \
4: 'the line is no number', 5: 'line 10 came in corrected with file 3'}
    """
    times = Counter(lines)
    found = {}
    for place, line in enumerate(lines):
        if line is None:
            found[place] = "the line is no number"
        elif line not in rejected:
            found[place] = f"line {line} of that file was not rejected"
        elif times[line] > 1:
            found[place] = f"line {line} stands in this file {times[line]} times"
        elif line in fixed:
            found[place] = f"line {line} came in corrected with file {fixed[line]}"
    return found


class Parents(Protocol):
    """Knows the files that corrected rows come from."""

    def fix_parent(self, feed: str, file_id: int, before_seq: int) -> FixParent | None: ...
