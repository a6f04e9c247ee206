"""A quarantined file is tried again, as it is or with other bytes, or given up; a plan says first what a replay would do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from include.errors import FileUnknown, ObjectGone, UsageError
from include.feed import FeedSpec
from include.files import keys
from include.files.file import FileRecord, FileStamp, Kind, LedgerFile
from include.files.verdict import Verdict
from include.inputs import UNRESTRICTED, InputPolicy
from include.pipeline.journal import refuse_if_behind, write_journal
from include.pipeline.ports import Ports
from include.pipeline.revalidate import take_back
from include.run import Run
from include.storage.object_store import ObjectStore, as_it_lies

_S3 = "s3://"
_SHOWN = 10


@dataclass(frozen=True)
class Plan:
    """What a replay would do.

    Attributes:
        file: the quarantined file.
        bytes_from: where the bytes that would stand in for it come from.
        verdict: what the gate says of them.
        holder: the file and seq that was accepted with the same bytes, if one was.
        supersedes: the files and seqs in force whose place it would take.
    """

    file: LedgerFile
    bytes_from: str
    verdict: Verdict
    holder: tuple[int, int] | None
    supersedes: tuple[tuple[int, int], ...] = ()

    @property
    def passes(self) -> bool:
        return self.verdict.passed and self.holder is None

    def lines(self) -> Iterator[str]:
        """The plan in words."""
        verdict = self.verdict
        yield f"file {self.file.file_id}, {self.file.feed} seq {self.file.seq}: {self.file.key}"
        yield f"  quarantined: {self.file.reason}"
        yield f"  would be tried again with {self.bytes_from}"
        if verdict.lines is not None:
            yield f"  {verdict.lines:,} rows: {verdict.accepted:,} would be accepted, {verdict.rejected:,} rejected"
        rejected = verdict.report.get("first_rejected", [])
        assert isinstance(rejected, list)
        for row in rejected[:_SHOWN]:
            yield f"    line {row['line']}: {', '.join(row['reasons'])}"
        if verdict.rejected and verdict.rejected > _SHOWN:
            yield f"    and {verdict.rejected - _SHOWN:,} more"
        if not verdict.passed:
            yield f"  it would be refused: {verdict.reason}"
        elif self.holder is not None:
            yield f"  it would change nothing: the same bytes were accepted as file {self.holder[0]}, seq {self.holder[1]}"
        else:
            yield "  it would pass: a file of its own with the next seq, after every file known by then"
            for file_id, seq in self.supersedes:
                yield f"  it would supersede file {file_id}, seq {seq}"
            other = " else" if self.supersedes else ""
            yield f"  file {self.file.file_id} would be discarded, as replaced by it; what{other} is published already stays as it is"

    def as_json(self) -> dict[str, object]:
        return {
            "file_id": self.file.file_id,
            "seq": self.file.seq,
            "key": self.file.key,
            "reason": self.file.reason,
            "bytes_from": self.bytes_from,
            "passes": self.passes,
            "refused": self.verdict.reason,
            "duplicate_of": self.holder[0] if self.holder else None,
            "supersedes": [file_id for file_id, _ in self.supersedes],
            "lines": self.verdict.lines,
            "accepted": self.verdict.accepted,
            "rejected": self.verdict.rejected,
            "first_rejected": self.verdict.report.get("first_rejected", []),
        }


def plan(ports: Ports, spec: FeedSpec, file_id: int, fixed: str = "", inputs: InputPolicy = UNRESTRICTED) -> Plan:
    """Judge the bytes that would stand in for a quarantined file; the ledger is not touched, and nothing is left behind.

    Args:
        fixed: a path or s3://bucket/key; empty: the file's own bytes, from where they lie.
        inputs: where `fixed` may lie.

    Raises:
        UsageError: the file cannot be replayed, or there are no bytes to do it with.
    """
    kept = _quarantined(ports, spec, file_id)
    with _bytes(ports, spec, kept, fixed, inputs) as (stamp, described):
        file = dataclasses.replace(
            kept.file, bucket=stamp.bucket, key=stamp.key, etag=stamp.etag, size=stamp.size, kind=Kind.REPLACEMENT, lies_at=None
        )
        (verdict,) = ports.gate.validate(spec, [file], f"dry-{ports.new_id()}", ports.log)
        take_back(ports, verdict)
    holder = ports.ledger.replays.holder_of(spec, verdict.sha256) if verdict.sha256 else None
    return Plan(kept.file, described, verdict, holder, tuple(ports.ledger.replays.takes_the_place_of(spec, file_id)))


def replay(
    ports: Ports, spec: FeedSpec, run: Run, file_id: int, by: str, why: str, fixed: str = "", inputs: InputPolicy = UNRESTRICTED
) -> LedgerFile:
    """Register bytes in the place of a quarantined file: a file of its own with the next seq, that the next run judges and decides.

    Raises:
        UsageError: the file cannot be replayed, or there are no bytes to do it with.
        LedgerBehind: the ledger was restored from an older backup: it would give a seq twice.
    """
    refuse_if_behind(ports, spec)
    kept = _quarantined(ports, spec, file_id)
    with _bytes(ports, spec, kept, fixed, inputs) as (stamp, described):
        key = keys.replacement(spec.name, kept.file.date, file_id, ports.new_id(), stamp.key)
        written = ports.store.copy(stamp.bucket, stamp.key, ports.bucket, key, etag=stamp.etag)
        there = ports.store.head(ports.bucket, key)
        if there is None or there.size != stamp.size or there.etag != written.etag:
            raise ObjectGone(ports.bucket, key, written.etag, "it is not what was copied there")
        try:
            made = ports.ledger.replays.register_replacement(spec, run, file_id, there, by, why or "no reason was given")
        except UsageError:
            ports.store.delete(ports.bucket, key)
            raise
    write_journal(ports, spec, [], [made.file_id])
    ports.log(f"registered seq {made.seq} (file {made.file_id}): {described} in the place of file {file_id}; the next run decides it")
    return made


def discard(ports: Ports, spec: FeedSpec, run: Run, file_id: int, by: str, why: str) -> None:
    """Mark a quarantined file as not wanted; its bytes and its history stay. The next run says so in its report.

    Raises:
        UsageError: it is not quarantined.
        LedgerBehind: the ledger was restored from an older backup: what was decided since would be decided differently.
    """
    refuse_if_behind(ports, spec)
    ports.ledger.replays.discard(spec, run, file_id, by, why)
    write_journal(ports, spec, [], [file_id])


def give_up(ports: Ports, spec: FeedSpec, run: Run, seq: int, by: str, why: str) -> str:
    """Quarantine a file that waits and gets no further, so that those behind it go on. Its key.

    Raises:
        UsageError: the feed has no such file, or it is in another state.
        LedgerBehind: the ledger was restored from an older backup: what was decided since would be decided differently.
    """
    refuse_if_behind(ports, spec)
    return ports.ledger.failures.give_up(spec, run, seq, by, why)


def _quarantined(ports: Ports, spec: FeedSpec, file_id: int) -> FileRecord:
    """The file as the ledger has it, if it can be replayed at all."""
    found = ports.ledger.files.records([file_id])
    if not found:
        raise FileUnknown(str(file_id))
    ports.ledger.replays.refuse_replay(spec, file_id)
    return found[0]


@contextmanager
def _bytes(ports: Ports, spec: FeedSpec, kept: FileRecord, fixed: str, inputs: InputPolicy) -> Iterator[tuple[FileStamp, str]]:
    """The object to stand in for a file, and where it comes from in words; a local file is one only for as long as the block needs it."""
    if not fixed:
        lying = as_it_lies(ports.store, ports.bucket, kept)
        if lying is None or lying.lies_at is None:
            raise UsageError(
                f"the bytes of {kept.file.key} (file {kept.file.file_id}) lie nowhere any more ({kept.location}); "
                "give others: --with PATH or --with s3://bucket/key"
            )
        yield lying.lies_at, f"its own bytes, s3://{lying.lies_at.bucket}/{lying.lies_at.key} ({lying.lies_at.size:,} bytes)"
        return
    if fixed.startswith(_S3):
        place = inputs.object_at(fixed)
        _check_ending(spec, fixed)
        stamp = _head(ports.store, *place)
        yield stamp, f"{fixed} ({stamp.size:,} bytes)"
        return
    with _opened(fixed, inputs) as body:
        _check_ending(spec, fixed)
        key = keys.replacement(spec.name, kept.file.date, kept.file.file_id, ports.new_id(), Path(fixed).name)
        ports.store.put(ports.bucket, key, body)
    try:
        stamp = _head(ports.store, ports.bucket, key)
        yield stamp, f"{fixed} ({stamp.size:,} bytes)"
    finally:
        ports.store.delete(ports.bucket, key)


def _opened(fixed: str, inputs: InputPolicy) -> BinaryIO:
    try:
        return inputs.open_file(fixed)
    except OSError as error:
        raise UsageError(f"{fixed} is no file that can be read ({error.strerror}); give a path, or s3://bucket/key") from error


def _check_ending(spec: FeedSpec, fixed: str) -> None:
    if not fixed.endswith(spec.endings):
        raise UsageError(f"{fixed} ends with none of {', '.join(spec.endings)}, by which {spec.name} knows how to read a file")


def _head(store: ObjectStore, bucket: str, key: str) -> FileStamp:
    stamp = store.head(bucket, key) if bucket and key else None
    if stamp is None:
        raise UsageError(f"there is no object {_S3}{bucket}/{key}")
    return stamp
