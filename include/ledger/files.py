"""Files in the ledger: what is new, the next seqs, the gate's verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from include.feed import FeedSpec, OnQuarantine
from include.files import keys
from include.files.batch import Waiting
from include.files.file import FileRecord, FileStamp, Kind, LedgerFile, ObjectRef, Registration, State
from include.files.verdict import Verdict
from include.ledger.session import Cursor, LedgerPart, repeated
from include.run import Run
from include.version import code_version

SWEEP_MINUTES = 10

FILE = """file_id, feed, seq, bucket, key, version, etag, size, date, state, sha256, lines, accepted, rejected, reason,
           validated_at is not null as validated, kind, parent"""

KEPT = f"{FILE}, reason_code, location, location_key, latest, delivered_at, bronze, bronze_digest, rejects, validated_at, registered_at"

# Files that wait for a decision or their publication; with the policy `hold` only those before the first bad one.
_WAITING = """
from work w join file f using (file_id, feed, seq)
where feed = %(feed)s and step in ('validate', 'decide', 'publish')
  and (not %(hold)s or seq < coalesce((select min(seq) from file where feed = %(feed)s and state = 'quarantined'), seq + 1))
"""

# What may be worked on now: nothing from the first file on that rests after a failure, or the order would not be kept.
_NO_BATCH_NO_REST = """
  and f.batch is null
  and seq < coalesce((select min(seq) from work where feed = %(feed)s and retry_at > clock_timestamp()), seq + 1)
"""


class Files(LedgerPart):
    """Registration, and what the gate says."""

    def sweep_due(self, spec: FeedSpec) -> bool:
        """Whether the last listing of everything was ten minutes ago or more."""
        found = self.session.row(
            "select coalesce(last_sweep_at < clock_timestamp() - make_interval(mins => %s), true) as due from feed where feed = %s",
            (SWEEP_MINUTES, spec.name),
        )
        return found is not None and bool(found["due"])

    def mark_swept(self, spec: FeedSpec, token: int) -> None:
        with self.session.fenced(spec, token) as cursor:
            cursor.execute("update feed set last_sweep_at = clock_timestamp() where feed = %s", (spec.name,))

    def new_or_changed(self, spec: FeedSpec, bucket: str, listed: Sequence[FileStamp]) -> list[FileStamp]:
        """The listed objects that the ledger does not know like this: another etag than the key's latest version, or moved away."""
        if not listed:
            return []
        found = self.session.rows(
            """select l.place
               from unnest(%s::text[], %s::text[]) with ordinality as l (key, etag, place)
               left join file f on f.feed = %s and f.bucket = %s and f.key = l.key and f.latest
               where f.file_id is null or f.etag <> l.etag or f.location <> 'landing'
               order by l.place""",
            ([stamp.key for stamp in listed], [stamp.etag for stamp in listed], spec.name, bucket),
        )
        return [listed[row["place"] - 1] for row in found]

    @repeated
    def register(self, spec: FeedSpec, token: int, run: Run, found: Sequence[FileStamp]) -> Registration:
        """Give the new ones the next seqs, in the order they come in; all in one transaction under the feed's lock."""
        if not found:
            return Registration((), ())
        new: list[LedgerFile] = []
        again: list[FileStamp] = []
        with self.session.fenced(spec, token, run) as cursor:
            cursor.execute("select last_seq from feed where feed = %s for update", (spec.name,))
            feed = cursor.fetchone()
            assert feed is not None
            seq: int = feed["last_seq"]
            latest = _latest_versions(cursor, spec, found)
            rows: list[tuple[object, ...]] = []
            for stamp in found:
                version, etag = latest.get((stamp.bucket, stamp.key), (0, None))
                if etag == stamp.etag:
                    again.append(stamp)
                    continue
                seq += 1
                kind = Kind.ROW_FIX if keys.is_fix(spec.name, stamp.key) else Kind.LANDING
                rows.append(
                    (spec.name, seq, stamp.bucket, stamp.key, version + 1, stamp.etag, stamp.size, stamp.last_modified, stamp.date, kind)
                )
            if rows:
                new = _insert_files(cursor, spec, rows)
                cursor.execute("update feed set last_seq = %s where feed = %s", (seq, spec.name))
        return Registration(tuple(new), tuple(again))

    @repeated
    def mark_seen_again(self, spec: FeedSpec, token: int, run: Run, stamps: Sequence[FileStamp]) -> None:
        """Note that objects came back where they had been moved away from; what follows their state is done again."""
        with self.session.fenced(spec, token, run) as cursor:
            for stamp in stamps:
                cursor.execute(
                    """with back as (
                           update file set location = 'landing', location_key = null, delivered_at = null
                           where feed = %s and bucket = %s and key = %s and latest and location <> 'landing' returning file_id
                       )
                       insert into file_event (file_id, kind, reason, run_id)
                       select file_id, 'seen_again', 'the object is back under its landing key with the same etag', %s from back""",
                    (spec.name, stamp.bucket, stamp.key, run.run_id),
                )

    def waiting(self, spec: FeedSpec) -> Waiting:
        """What is still to do, not counting what a policy `hold` keeps back."""
        found = self.session.row(
            f"""select count(*) filter (where step <> 'publish') as registered, count(*) filter (where step = 'publish') as accepted,
                       extract(epoch from clock_timestamp() - min(registered_at))::float8 as oldest_seconds,
                       extract(epoch from min(retry_at) filter (where retry_at > clock_timestamp()) - clock_timestamp())::float8
                           as rest_seconds
                {_WAITING}""",
            _waiting_values(spec),
        )
        undelivered = self.session.row("select count(*) as items from work where feed = %s and step = 'deliver'", (spec.name,))
        assert found is not None
        assert undelivered is not None
        return Waiting(found["registered"], found["accepted"], undelivered["items"], found["oldest_seconds"], found["rest_seconds"])

    def undecided(self, spec: FeedSpec, max_files: int, max_bytes: int) -> list[LedgerFile]:
        """The next files of the order, at least one, as many as a batch may take."""
        found = self.session.rows(
            f"""select * from (
                    select {FILE}, sum(size) over (order by seq) - size as before
                    {_WAITING} {_NO_BATCH_NO_REST} order by seq limit %(max_files)s
                ) next_files where before = 0 or before + size <= %(max_bytes)s order by seq""",
            _waiting_values(spec) | {"max_files": max_files, "max_bytes": max_bytes},
        )
        return [ledger_file(row) for row in found]

    def by_id(self, file_ids: Sequence[int]) -> list[LedgerFile]:
        """Files by id, in seq order."""
        return [
            ledger_file(row)
            for row in self.session.rows(f"select {FILE} from file where file_id = any(%s) order by seq", (list(file_ids),))
        ]

    def records(self, file_ids: Sequence[int]) -> list[FileRecord]:
        """Files by id with the objects that belong to them, in seq order."""
        return [
            file_record(row)
            for row in self.session.rows(f"select {KEPT} from file where file_id = any(%s) order by seq", (list(file_ids),))
        ]

    @repeated
    def record_verdicts(self, spec: FeedSpec, token: int, run: Run, attempt: str, verdicts: Sequence[Verdict], suite: str) -> None:
        """Keep what the gate said; the files are decided later, in order. A file decided meanwhile keeps what it has."""
        with self.session.fenced(spec, token, run, attempt) as cursor:
            cursor.executemany(
                """update file set sha256 = %(sha256)s, lines = %(lines)s, accepted = %(accepted)s, rejected = %(rejected)s,
                          reason_code = %(fault)s, reason = %(reason)s, bronze = %(bronze)s, bronze_digest = %(bronze_digest)s,
                          rejects = %(rejects)s, decoded_bytes = %(decoded_bytes)s, parent = coalesce(%(parent)s, parent),
                          fixes = %(fixes)s, header = %(header)s, touched_values = %(touched_values)s, report = %(report)s,
                          validated_at = clock_timestamp(),
                          code_version = %(code)s, contract_digest = %(contract)s, suite_digest = %(suite)s
                   where file_id = %(file_id)s and state = 'registered'""",
                [_verdict_values(spec, verdict, suite) for verdict in verdicts],
            )


def ledger_file(row: DictRow) -> LedgerFile:
    names = [field.name for field in dataclasses.fields(LedgerFile) if field.name != "lies_at"]
    return LedgerFile(**{name: row[name] for name in names} | {"state": State(row["state"]), "kind": Kind(row["kind"])})


def file_record(row: DictRow) -> FileRecord:
    """A row of the columns `KEPT`."""
    return FileRecord(
        file=ledger_file(row),
        location=row["location"],
        location_key=row["location_key"],
        latest=row["latest"],
        delivered=row["delivered_at"] is not None,
        bronze=object_refs(row["bronze"]),
        bronze_digest=row["bronze_digest"],
        rejects=object_refs([row["rejects"]])[0] if row["rejects"] else None,
        last_read_at=row["validated_at"] or row["registered_at"],
        reason_code=row["reason_code"],
    )


def object_refs(stored: Sequence[dict[str, object]]) -> tuple[ObjectRef, ...]:
    return tuple(ObjectRef(**ref) for ref in stored)  # type: ignore[arg-type]  # jsonb of exactly these fields


def _waiting_values(spec: FeedSpec) -> dict[str, object]:
    return {"feed": spec.name, "hold": spec.on_quarantine is OnQuarantine.HOLD}


def _latest_versions(cursor: Cursor, spec: FeedSpec, found: Sequence[FileStamp]) -> dict[tuple[str, str], tuple[int, str]]:
    cursor.execute(
        """select f.bucket, f.key, f.version, f.etag from file f
           join unnest(%s::text[], %s::text[]) as l (bucket, key) on f.bucket = l.bucket and f.key = l.key
           where f.feed = %s and f.latest""",
        ([stamp.bucket for stamp in found], [stamp.key for stamp in found], spec.name),
    )
    return {(row["bucket"], row["key"]): (row["version"], row["etag"]) for row in cursor.fetchall()}


def _insert_files(cursor: Cursor, spec: FeedSpec, rows: Sequence[tuple[object, ...]]) -> list[LedgerFile]:
    """Insert new versions; the versions before them are no longer the latest, nor in landing if they were."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    cursor.execute(
        """update file f set latest = false, location = case when location = 'landing' then 'overwritten' else location end
           from unnest(%s::text[], %s::text[]) as l (bucket, key)
           where f.feed = %s and f.bucket = l.bucket and f.key = l.key and f.latest""",
        (columns[2], columns[3], spec.name),
    )
    cursor.execute(
        f"""insert into file (feed, seq, bucket, key, version, etag, size, last_modified, date, kind)
            select * from unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::int[], %s::text[], %s::bigint[],
                                 %s::timestamptz[], %s::date[], %s::text[])
            returning {FILE}""",
        columns,
    )
    return sorted((ledger_file(row) for row in cursor.fetchall()), key=lambda file: file.seq)


def _verdict_values(spec: FeedSpec, verdict: Verdict, suite: str) -> dict[str, object]:
    return {
        "file_id": verdict.file_id,
        "sha256": verdict.sha256,
        "lines": verdict.lines,
        "accepted": verdict.accepted,
        "rejected": verdict.rejected,
        "fault": verdict.fault,
        "reason": verdict.reason,
        "bronze": Jsonb([dataclasses.asdict(ref) for ref in verdict.bronze]),
        "bronze_digest": verdict.bronze_digest,
        "decoded_bytes": verdict.decoded_bytes,
        "rejects": Jsonb(dataclasses.asdict(verdict.rejects)) if verdict.rejects else None,
        "parent": verdict.parent,
        "fixes": list(verdict.fixes) or None,
        "header": None if verdict.header is None else list(verdict.header),
        "touched_values": None if verdict.touched_values is None else list(verdict.touched_values),
        "report": Jsonb(dict(verdict.report)),
        "code": code_version(),
        "contract": spec.contract.digest,
        "suite": suite,
    }
