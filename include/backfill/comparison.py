"""A comparison with what was published, as a value: per file whether it is as it was the first time, and the first row that is not."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.errors import SluiceError
from include.files.batch import NOBODY, Batch, ValidatedBy
from include.files.file import FileRecord
from include.files.outcome import Change, Difference

Overrides = Mapping[str, int]


class Kind(enum.StrEnum):
    """What a comparison says of a file."""

    EQUAL = "equal"
    CHANGED = "changed"  # by thresholds that were given on purpose
    DIFFERENT = "different"
    LEFT_ALONE = "left alone"


@dataclass(frozen=True)
class Side:
    """A digest as it was recorded, and as it is now; None where there is nothing to be digested."""

    recorded: str | None = None
    now: str | None = None

    @property
    def same(self) -> bool:
        return self.recorded == self.now


@dataclass(frozen=True)
class FileComparison:
    """One file.

    Attributes:
        batch: the batch it is in, with the recorded parameters and reference; None where it is in none.
        bronze, state, findings: digests over its accepted rows, over its contribution to state, over what was found after it.
        pairs: rows of its contribution to state.
        found: how many findings were recorded, by their first word.
        changes: findings that it would gain or lose.
        validated_by, job_code: what validated it, and what evaluated it, the first time.
        note: why it is left alone, or what the comparison could not do.
    """

    kept: FileRecord
    batch: Batch | None
    kind: Kind
    bronze: Side = Side()
    state: Side = Side()
    findings: Side = Side()
    pairs: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    difference: Difference | None = None
    validated_by: ValidatedBy = NOBODY
    job_code: str | None = None
    note: str = ""

    @property
    def line(self) -> str:
        """For a log: no values of rows."""
        start = f"seq {self.kept.file.seq} {self.kept.file.key}: {self.kind}"
        if self.kind is Kind.LEFT_ALONE:
            return f"{start}: {self.note}"
        if self.difference is not None:
            return f"{start}: {self.difference.where}" + (f"; {len(self.changes)} findings would change" if self.changes else "")
        found = ", ".join(f"{count} {name}" for name, count in sorted(self.found.items())) or "no findings"
        refused = f", {self.kept.reason_code}" if self.kept.reason_code else ""
        text = f"{start} ({self.kept.file.state}{refused}): {self.kept.file.accepted or 0} rows, {self.pairs} rows of state, {found}"
        return f"{text}; {self.note}" if self.note else text


@dataclass(frozen=True)
class Now:
    """What the comparison used: the code, contract and suite of now, and the thresholds given in place of the recorded ones."""

    validated_by: ValidatedBy
    overrides: Overrides


@dataclass(frozen=True)
class Comparison:
    """All files that were compared, in seq order, and every finding that would change."""

    feed: str
    now: Now
    files: tuple[FileComparison, ...]
    changes: tuple[Change, ...]

    def count(self, kind: Kind) -> int:
        return sum(file.kind is kind for file in self.files)

    @property
    def kind(self) -> Kind:
        """The worst of its files'."""
        for kind in (Kind.DIFFERENT, Kind.CHANGED, Kind.EQUAL):
            if self.count(kind):
                return kind
        return Kind.LEFT_ALONE

    @property
    def first_difference(self) -> tuple[FileComparison, Difference] | None:
        for file in self.files:
            if file.kind is Kind.DIFFERENT and file.difference is not None:
                return file, file.difference
        return None

    @property
    def added(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.now is not None)

    @property
    def removed(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.was is not None)

    @property
    def summary(self) -> str:
        """One sentence for a log."""
        counts = ", ".join(f"{self.count(kind)} {kind}" for kind in Kind if self.count(kind)) or "no files"
        if self.changes:
            counts += f"; {len(self.added)} findings would be added and {len(self.removed)} taken away"
        return f"{self.feed}: {counts}; nothing was published"

    def of(self, files: tuple[FileComparison, ...]) -> Comparison:
        """The part of it that is about these files."""
        seqs = {file.kept.file.seq for file in files}
        return dataclasses.replace(
            self, files=files, changes=tuple(change for change in self.changes if change.was in seqs or change.now in seqs)
        )


def validated(file: FileComparison, *, thresholds_changed: bool) -> FileComparison:
    """The same file with its kind: a finding that changes is what was asked for where thresholds were given, else it is a difference."""
    if file.kind is Kind.LEFT_ALONE or file.difference is None:
        return file
    rows_differ = file.kind is Kind.DIFFERENT
    return dataclasses.replace(file, kind=Kind.DIFFERENT if rows_differ or not thresholds_changed else Kind.CHANGED)


class ReplayDiffers(SluiceError):
    """What was published does not result once more from the same files, parameters and reference."""

    def __init__(self, comparison: Comparison, place: str) -> None:
        self.comparison = comparison
        found = comparison.first_difference
        assert found is not None, "raised where a file differs"
        file, difference = found
        super().__init__(
            f"{comparison.feed}: {comparison.count(Kind.DIFFERENT)} of {len(comparison.files)} files are not as they were published; "
            f"the first is seq {file.kept.file.seq} {file.kept.file.key}: {difference.where}. "
            f"{_rules(file, comparison.now)}Nothing was changed. The certificate is {place}; see docs/runbooks/backfill.md"
        )


def _rules(file: FileComparison, now: Now) -> str:
    """Which of code, contract and suite are other ones than those that judged a file, in a sentence."""
    then = dataclasses.asdict(file.validated_by)
    changed = [
        f"{name.replace('_', ' ')} {then[name]} then, {value} now"
        for name, value in dataclasses.asdict(now.validated_by).items()
        if then[name] != value
    ]
    return f"It was judged by other rules ({'; '.join(changed)}). " if changed else ""
