"""The gate: reads each file of a group once, lets the contract's suite decide, writes bronze, rejects and report."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from time import perf_counter

from include.errors import EnvironmentFailure, ObjectGone, ObjectRefused
from include.feed import FeedSpec
from include.files import keys
from include.files.file import Kind, LedgerFile, ObjectRef
from include.files.fix import Parents
from include.files.verdict import Fault, Recount, Reread, Verdict
from include.logs import Log
from include.quality.bronze import Bronze, typed
from include.quality.fix_reader import Corrections, NoParents, read_corrections
from include.quality.formats import is_zipped, reader_for
from include.quality.lines import PIECE_BYTES, Content, Quarantined
from include.quality.records import Rows
from include.quality.rejects import Rejects
from include.quality.report import nothing_fixed, report, too_many
from include.quality.reread import recount, reread
from include.quality.suite import suite_of
from include.quality.validation import FRAME_ROWS, Findings, gathered, validate
from include.storage.object_store import ObjectStore

_COUNTED_AS_NONE = frozenset({Fault.EMPTY, Fault.NO_ROWS})


class GreatExpectationsGate:
    """Answers the port `Gate`.

    Args:
        bucket: where bronze and rejects go; originals are read where the ledger says they lie.
        parents: knows the files that corrected rows come from.
        piece_bytes: how much of a file is read at a time; memory follows it, verdicts do not.
        frame_rows: rows put before Great Expectations at once, from as many files as it takes.
    """

    def __init__(
        self,
        store: ObjectStore,
        bucket: str,
        parents: Parents | None = None,
        *,
        piece_bytes: int = PIECE_BYTES,
        frame_rows: int = FRAME_ROWS,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._parents = parents or NoParents()
        self._piece_bytes = piece_bytes
        self._frame_rows = frame_rows

    def validate(self, spec: FeedSpec, files: Sequence[LedgerFile], attempt: str, log: Log) -> list[Verdict]:
        """One verdict a file, in the order given; a line to `say` as each is reached.

        Raises:
            EnvironmentFailure: the store is down or an object arrived short; nothing of the group counts then.
        """
        readings = [_Reading(self._store, self._bucket, self._parents, spec, file, attempt) for file in files]
        undecided = deque(readings)
        verdicts = []
        try:
            for group in gathered(_read_all(readings, self._piece_bytes), self._frame_rows):
                self._decide(spec, group)
                while undecided and undecided[0].finished:
                    verdicts.append(undecided.popleft().verdict(log))
            verdicts += [reading.verdict(log) for reading in undecided]
        finally:
            for reading in readings:
                reading.rejects.close()
        return verdicts

    def suite_digest(self, spec: FeedSpec) -> str:
        """Names the suite that judges the feed's files, expectations and Great Expectations' version included."""
        return suite_of(spec.contract).digest

    def reread(self, spec: FeedSpec, file_id: int, bronze: Sequence[ObjectRef]) -> Reread:
        """What a file's bronze objects hold now."""
        return reread(self._store, self._bucket, spec, file_id, bronze)

    def recount(self, spec: FeedSpec, file: LedgerFile, rejects: ObjectRef | None) -> Recount:
        """What a file's original holds now, and how much of it lies in the lines that were rejected."""
        return recount(self._store, self._bucket, spec, file, rejects)

    def _decide(self, spec: FeedSpec, group: Sequence[tuple[_Reading, Rows]]) -> None:
        started = perf_counter()
        pieces = [rows for _, rows in group]
        findings = validate(spec.contract, pieces, [reading.date for reading, _ in group])
        seconds_a_row = (perf_counter() - started) / sum(map(len, pieces))
        for (reading, rows), found in zip(group, findings, strict=True):
            reading.gx_seconds += seconds_a_row * len(rows)
            reading.take(rows, found)


def _read_all(readings: Sequence[_Reading], piece_bytes: int) -> Iterator[tuple[_Reading, Rows]]:
    for reading in readings:
        for rows in reading.rows(piece_bytes):
            yield reading, rows


class _Reading:
    """One file between its first byte and its verdict."""

    def __init__(self, store: ObjectStore, bucket: str, parents: Parents, spec: FeedSpec, file: LedgerFile, attempt: str) -> None:
        self._store = store
        self._bucket = bucket
        self._parents = parents
        self._spec = spec
        self._file = file
        self._folder = keys.bronze_folder(spec.name, file.date, file.file_id, attempt)
        self._bronze = Bronze(store, bucket, self._folder, file.file_id, spec.touch_column)
        self._quarantined: Quarantined | None = None
        self._sha256: str | None = None
        self._header: tuple[str, ...] = ()
        self._corrections: Corrections | None = None
        self._fixes: list[int] = []
        self._lines = 0
        self._seconds = 0.0
        self.rejects = Rejects(file.file_id)
        self.gx_seconds = 0.0
        self.finished = False

    @property
    def date(self) -> dt.date:
        return self._file.date

    def rows(self, piece_bytes: int) -> Iterator[Rows]:
        """Read the object to its end, or to what condemns it; either way the whole of it is hashed."""
        started = perf_counter()
        try:
            for rows in self._read(piece_bytes):
                self._seconds += perf_counter() - started
                yield rows
                started = perf_counter()
        except Quarantined as refused:
            self._quarantined = refused
        except ObjectGone as gone:
            self._quarantined = Quarantined(Fault.OBJECT_GONE, f"{gone}; what lies there now is a file of its own")
        self._seconds += perf_counter() - started
        self.finished = True

    def take(self, rows: Rows, findings: Findings) -> None:
        """Write the accepted rows, keep the rejected ones; nothing more once the file is condemned."""
        started = perf_counter()
        if self._quarantined is None:
            self._lines += len(rows)
            self._header = rows.header
            if self._corrections is not None:
                self._fixes += rows.lines[findings.accepted].tolist()
            self._bronze.write(typed(self._spec.contract, rows, findings.accepted))
            self.rejects.add(rows, findings)
        self._seconds += perf_counter() - started

    def verdict(self, log: Log) -> Verdict:
        """Decide, put the rejects, and take back the bronze of a refused file."""
        started = perf_counter()
        fault, reason = self._fault()
        counted = self._quarantined is None or fault in _COUNTED_AS_NONE
        lines = self._lines if counted else None
        body = self.rejects.body() if counted else None
        put = self._store.put(self._bucket, keys.bronze_rejects(self._folder), body, rows=self.rejects.count) if body else None
        if fault is not None:
            self._take_back(log)
        self._seconds += perf_counter() - started
        verdict = Verdict(
            file_id=self._file.file_id,
            fault=fault,
            reason=reason,
            sha256=self._sha256,
            lines=lines,
            accepted=lines - self.rejects.count if lines is not None else None,
            rejected=self.rejects.count if counted else None,
            bronze=() if fault else tuple(self._bronze.parts),
            rejects=put,
            bronze_digest=None if fault else self._bronze.digest,
            decoded_bytes=None if fault else self._bronze.decoded_bytes,
            parent=self._corrections.parent.kept.file.file_id if self._corrections else None,
            fixes=() if fault else tuple(self._fixes),
            header=self._header if put else None,
            touched_values=() if fault else self._bronze.touched_values,
            report=report(self._spec, self._file, self._sha256, lines, self.rejects, fault, reason),
            seconds=self._seconds + self.gx_seconds,
            gx_seconds=self.gx_seconds,
        )
        log(_line(self._file, verdict))
        return verdict

    def _read(self, piece_bytes: int) -> Iterator[Rows]:
        contract, file = self._spec.contract, self._file
        zipped = is_zipped(file.key)
        if file.size > contract.max_bytes:
            limit = f"more than the {contract.max_bytes:,} that the contract allows"
            raise Quarantined(Fault.TOO_LARGE, f"the object has {file.size:,} bytes, {limit}; send it as smaller files")
        place = file.lies_at or file
        with closing(self._store.read(place.bucket, place.key, place.etag)) as stream:
            content = Content(stream, zipped=zipped, max_bytes=contract.max_bytes)
            try:
                yield from self._rows_in(content, piece_bytes)
            except Quarantined:
                self._end(content)
                raise
            self._end(content)

    def _rows_in(self, content: Content, piece_bytes: int) -> Iterator[Rows]:
        """The records as the file's ending asks; corrected rows as the file that they come from."""
        contract, file = self._spec.contract, self._file
        if file.kind is not Kind.ROW_FIX:
            yield from reader_for(file.key)(content, contract, piece_bytes)
            return
        self._corrections = read_corrections(content, contract, self._store, self._bucket, self._parents, self._spec.name, file.seq)
        self.rejects.refer_to(self._corrections.parent.kept.file.file_id)
        yield from self._corrections.rows(contract)

    def _end(self, content: Content) -> None:
        content.drain()
        place = self._file.lies_at or self._file
        if content.size != place.size:
            arrived = f"s3://{place.bucket}/{place.key} arrived with {content.size:,} bytes and was listed with {place.size:,}"
            raise ObjectRefused(place.bucket, place.key, "WrongLength", arrived, "look at it with your store's tools", passing=True)
        self._sha256 = content.sha256

    def _fault(self) -> tuple[Fault | None, str | None]:
        if self._quarantined is not None:
            return self._quarantined.fault, self._quarantined.reason
        if self._corrections is not None:
            reason = nothing_fixed(self._lines, self.rejects)
            return (Fault.NOTHING_FIXED if reason else None), reason
        reason = too_many(self._spec.contract, self._lines, self.rejects.count)
        return (Fault.TOO_MANY_REJECTS if reason else None), reason

    def _take_back(self, log: Log) -> None:
        """Delete what no pointer will ever name; what cannot be deleted harms nobody."""
        for part in self._bronze.parts:
            try:
                self._store.delete(self._bucket, part.key)
            except EnvironmentFailure as failure:
                log(f"{part.key}: left behind, nobody reads it ({failure.what})")


def _line(file: LedgerFile, verdict: Verdict) -> str:
    """What a person watching the task's log sees of a file."""
    start = f"{file.key}: {file.size:,} bytes, "
    if verdict.lines is None:
        return f"{start}quarantined: {verdict.reason} ({verdict.seconds:.2f} s)"
    rate = verdict.lines / verdict.seconds if verdict.seconds else 0
    counts = (
        f"{verdict.lines:,} rows, {verdict.accepted:,} accepted, {verdict.rejected:,} rejected, {verdict.seconds:.2f} s, {rate:,.0f} rows/s"
    )
    return start + counts + (f"; quarantined: {verdict.reason}" if verdict.fault else "")
