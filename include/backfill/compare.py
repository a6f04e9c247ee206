"""Published batches evaluated once more beside themselves, and what of it is not as it was the first time. Publishes nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from include.backfill.comparison import Comparison, FileComparison, Kind, Now, Overrides, Side, validated
from include.backfill.differences import bronze_difference
from include.backfill.history import History
from include.errors import ObjectGone
from include.feed import FeedSpec
from include.files.batch import NOBODY, Batch, BatchFile, RecordedBatch, ValidatedBy
from include.files.decision import NOT_IN_THE_BYTES
from include.files.file import FileRecord, ObjectRef, State
from include.files.outcome import Change, Difference, Finding, Key, Outcome, SeqRange, digest_of
from include.files.verdict import Fault
from include.pipeline.ports import Ports
from include.pipeline.revalidate import Revalidated, revalidate, take_back
from include.pipeline.shadow import remove_shadow, shadow, shadow_of
from include.version import code_version

NOTHING = Outcome({}, ObjectRef("", 0, ""), {}, ())


@dataclasses.dataclass(frozen=True)
class _Unit:
    """What is evaluated together: a published batch and the refused files among its seqs; or a refused file between two batches."""

    batch: Batch
    recorded: RecordedBatch | None
    refused: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Evaluated:
    """A unit as it was run, and what it gave then and now."""

    unit: _Unit
    run: Batch
    then: Outcome | None
    now: Outcome
    files: tuple[FileComparison, ...]


def compare(ports: Ports, spec: FeedSpec, first: dt.date, last: dt.date, overrides: Overrides) -> Comparison:
    """Judge the files of some dates again and run the batches that hold them again, whole, each on what was recorded for it.

    The bytes are judged by the rules as the code has them now. A batch runs on the state as of before it; where an earlier batch of the
    comparison would have added something else to the state, on that.

    Args:
        given: thresholds in place of the recorded ones, on purpose.

    Raises:
        EnvironmentFailure: S3, PostgreSQL or Spark does not answer.
    """
    requested = History(ports.ledger.session).files_of_dates(spec, first, last)
    token = ports.new_id()
    evaluated: list[_Evaluated] = []
    instead: list[SeqRange] = []
    try:
        for unit in _units(ports, spec, requested):
            one = _evaluate(ports, spec, unit, overrides, token, instead)
            evaluated.append(one)
            if ports.parts.finding_history is not None and (one.then is None or one.now.contributions != one.then.contributions):
                instead.append(SeqRange(one.run.first_seq, one.run.last_seq, one.now.state))
        recorded, changes = _changes(ports, spec, evaluated)
    finally:
        remove_shadow(ports, spec, token)
    files = [_with_findings(ports, file, recorded, changes) for one in evaluated for file in one.files]
    seen = {file.kept.file.file_id for file in files}
    files += [left_alone(kept) for kept in requested if kept.file.file_id not in seen]
    validated_by = History(ports.ledger.session).validated_by([file.kept.file.file_id for file in files])
    complete = [
        dataclasses.replace(file, validated_by=validated_by.get(file.kept.file.file_id, NOBODY))
        for file in sorted(files, key=lambda file: file.kept.file.seq)
    ]
    by = ValidatedBy(code_version(), spec.contract.digest, ports.gate.suite_digest(spec) if evaluated else None)
    return Comparison(
        spec.name, Now(by, dict(overrides)), tuple(validated(file, thresholds_changed=bool(overrides)) for file in complete), tuple(changes)
    )


def _units(ports: Ports, spec: FeedSpec, requested: Sequence[FileRecord]) -> list[_Unit]:
    """What to evaluate for these files, in seq order."""
    taking_part = [kept.file for kept in requested if may_take_part(kept)]
    published = History(ports.ledger.session).batches_holding(spec, [file.seq for file in taking_part])
    refused = [file for file in taking_part if file.state is State.QUARANTINED]
    units = []
    for recorded in published:
        inside = [file for file in refused if recorded.batch.first_seq <= file.seq <= recorded.batch.last_seq]
        refused = [file for file in refused if file not in inside]
        units.append(_Unit(recorded.batch, recorded, tuple(file.file_id for file in inside)))
    units += [_Unit(History(ports.ledger.session).batch_of_its_own(spec, file.seq), None, (file.file_id,)) for file in refused]
    return sorted(units, key=lambda unit: unit.batch.first_seq)


def may_take_part(kept: FileRecord) -> bool:
    """Whether a file was processed, or was refused for what its bytes say, so that other rules might accept it."""
    if kept.file.state is State.PUBLISHED:
        return True
    return kept.file.state is State.QUARANTINED and kept.reason_code not in NOT_IN_THE_BYTES


def bytes_gone(one: Revalidated) -> bool:
    """Whether a file's bytes lie nowhere any more, so that nobody can judge them again."""
    return one.verdict is None or one.verdict.fault is Fault.OBJECT_GONE


def left_alone(kept: FileRecord) -> FileComparison:
    """A file that nothing is compared for, with the reason."""
    why = {
        State.DUPLICATE: "a duplicate: it changed nothing",
        State.QUARANTINED: "refused for its name, not for its bytes",
        State.DISCARDED: "discarded by a person",
        State.SUPERSEDED: "superseded: what it had put in was taken out again",
    }.get(kept.file.state, f"{kept.file.state}: nothing of it is published yet")
    return FileComparison(kept, None, Kind.LEFT_ALONE, note=why)


def _evaluate(ports: Ports, spec: FeedSpec, unit: _Unit, overrides: Overrides, token: str, instead: Sequence[SeqRange]) -> _Evaluated:
    """Judge a unit's files and run its job beside it, then take back what the gate wrote."""
    again = revalidate(ports, spec, [*(file.file_id for file in unit.batch.files), *unit.refused], f"shadow-{token}")
    try:
        run = dataclasses.replace(unit.batch, parameters={**unit.batch.parameters, **overrides})
        run = with_files(run, batch_files(unit.batch, again))
        now = shadow(ports, spec, run, token, instead) if run.files else NOTHING
        then = _recorded_outcome(ports, spec, unit.recorded) if unit.recorded else NOTHING
        files = tuple(_compared(ports, spec, one, unit.recorded, then, now) for one in again)
    finally:
        for one in again:
            if one.verdict is not None:
                take_back(ports, one.verdict)
    return _Evaluated(unit, run, then, now, files)


def _recorded_outcome(ports: Ports, spec: FeedSpec, recorded: RecordedBatch) -> Outcome | None:
    """What was published of a batch; None where an object of it is not there any more."""
    try:
        return shadow_of(ports, spec).outcome(recorded.manifest)
    except ObjectGone as gone:
        ports.log(f"batch {recorded.batch.number}: {gone}")
        return None


def batch_files(batch: Batch, again: Sequence[Revalidated]) -> list[BatchFile]:
    """The files as they enter the shadow run: with the rows that the gate accepts now; with the recorded ones where the bytes are gone."""
    recorded = {file.file_id: file for file in batch.files}
    files = []
    for one in again:
        file, verdict = one.kept.file, one.verdict
        if verdict is not None and verdict.passed and verdict.accepted is not None:
            supersedes = recorded[file.file_id].supersedes if file.file_id in recorded else ()
            files.append(BatchFile(file.file_id, file.seq, file.key, verdict.accepted, verdict.bronze, verdict.touched_values, supersedes))
        elif bytes_gone(one) and file.file_id in recorded:
            files.append(recorded[file.file_id])
    return sorted(files, key=lambda file: file.seq)


def with_files(batch: Batch, files: Sequence[BatchFile]) -> Batch:
    """The same batch of other files."""
    return dataclasses.replace(
        batch,
        files=tuple(files),
        rows=sum(file.rows for file in files),
        first_seq=min([batch.first_seq, *(file.seq for file in files)]),
        last_seq=max([batch.last_seq, *(file.seq for file in files)]),
    )


def _compared(
    ports: Ports, spec: FeedSpec, one: Revalidated, recorded: RecordedBatch | None, then: Outcome | None, now: Outcome
) -> FileComparison:
    """Bronze and state of one file; its findings are known when all batches are."""
    kept, verdict, seq = one.kept, one.verdict, one.kept.file.seq
    rows, state = now.contributions.get(seq, (0, ""))
    rows_then, state_then = then.contributions.get(seq, (0, "")) if then else (0, "gone")
    difference = _bronze_difference(ports, one)
    if difference is None and state != state_then:
        difference = shadow_of(ports, spec).state_difference(then, now, seq) if then else Difference("the recorded state object is gone")
    return FileComparison(
        kept=kept,
        batch=recorded.batch if recorded else None,
        kind=Kind.EQUAL if difference is None else Kind.DIFFERENT,
        bronze=Side(kept.bronze_digest, kept.bronze_digest if bytes_gone(one) or verdict is None else verdict.bronze_digest),
        state=Side(state_then or None, state or None),
        pairs=max(rows, rows_then),
        difference=difference,
        job_code=str(recorded.manifest.get("code")) if recorded else None,
        note=_note(one),
    )


def _note(one: Revalidated) -> str:
    if not bytes_gone(one):
        return ""
    return "its bytes are gone" + (": the recorded bronze was taken" if one.kept.file.state is State.PUBLISHED else "")


def _bronze_difference(ports: Ports, one: Revalidated) -> Difference | None:
    """How what the gate says now, or what bronze holds, differs from what was recorded."""
    kept, verdict = one.kept, one.verdict
    if bytes_gone(one) or verdict is None:
        return None
    if kept.file.state is State.QUARANTINED:
        if verdict.passed:
            return Difference(f"refused then ({kept.reason_code}), would be accepted now with {verdict.accepted} rows")
        return None if verdict.fault == kept.reason_code else Difference(f"refused for {kept.reason_code} then, for {verdict.fault} now")
    if not one.same_bytes:
        return Difference(one.what)
    if not verdict.passed:
        return Difference(f"accepted then, would be refused now: {verdict.reason}")
    found = bronze_difference(ports.store, ports.bucket, kept.bronze, verdict.bronze)
    if found is None and not one.same_rows:
        return Difference(one.what)
    return found


def first_found(batches: Iterable[tuple[int, Sequence[Finding]]], recorded: Mapping[Key, int], start: int) -> dict[Key, int]:
    """Each key at the first file after which it is found in these batches, unless it is recorded before `start`.

    >>> first_found([(5, [Finding(6, ("a",)), Finding(5, ("b",))]), (7, [Finding(7, ("a",))])], {("b",): 4}, 5)
    {('a',): 6}
    """
    found: dict[Key, int] = {}
    for _, findings in sorted(batches, key=lambda batch: batch[0]):
        for finding in sorted(findings):
            if recorded.get(finding.key, start) >= start:
                found.setdefault(finding.key, finding.seq)
    return found


def changes_between(recorded: Mapping[Key, int], now: Mapping[Key, int], seqs: Collection[int]) -> list[Change]:
    """The keys that these files find and did not, or found and do not, in (seq, key) order.

    >>> changes_between({("a",): 1, ("b",): 9}, {("b",): 2, ("c",): 7}, {1, 2})
    [Change(key=('a',), was=1, now=None), Change(key=('b',), was=9, now=2)]
    """
    changes = []
    for key in recorded.keys() | now.keys():
        was, is_now = recorded.get(key), now.get(key)
        if was != is_now and (was in seqs or is_now in seqs):
            changes.append(Change(key, was, is_now))
    return sorted(changes, key=lambda change: (min(seq for seq in (change.was, change.now) if seq is not None), change.key))


def _changes(ports: Ports, spec: FeedSpec, evaluated: Sequence[_Evaluated]) -> tuple[Mapping[Key, int], list[Change]]:
    """What is recorded, and what would be found instead: each key once over all batches from the first evaluated to the last."""
    if not evaluated or ports.parts.finding_history is None:
        return {}, []
    numbers = {one.unit.recorded.batch.number for one in evaluated if one.unit.recorded}
    between = [
        (other.batch.first_seq, shadow_of(ports, spec).outcome(other.manifest).findings)
        for other in (ports.ledger.batches.between(spec, min(numbers), max(numbers)) if numbers else ())
        if other.batch.number not in numbers
    ]
    runs = [*((one.run.first_seq, one.now.findings) for one in evaluated), *between]
    seqs = {file.kept.file.seq for one in evaluated for file in one.files}
    keys = {finding.key for _, findings in runs for finding in findings}
    recorded = ports.parts.finding_history().recorded(sorted(seqs), keys)
    now = first_found(runs, recorded, min(one.run.first_seq for one in evaluated))
    return recorded, changes_between(recorded, now, seqs)


def _with_findings(ports: Ports, file: FileComparison, recorded: Mapping[Key, int], changes: Sequence[Change]) -> FileComparison:
    """Add what was found after the file, then and now."""
    history, seq = ports.parts.finding_history, file.kept.file.seq
    of_file = [change for change in changes if seq in (change.was, change.now)]
    then = {key for key, at in recorded.items() if at == seq}
    lost = {change.key for change in of_file if change.was == seq}
    gained = {change.key for change in of_file if change.now == seq}
    return dataclasses.replace(
        file,
        findings=Side(digest_of(then), digest_of((then - lost) | gained)),
        found=Counter(key[0] for key in then),
        changes=tuple(of_file),
        difference=file.difference or (history().difference(of_file[0]) if history and of_file else None),
    )
