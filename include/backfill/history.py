"""Past dates in the ledger: which were asked for, what was recorded for them, and the certificates of their comparison."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psycopg.types.json import Jsonb

from include.backfill.certificate import Certificate, file_as_json
from include.backfill.comparison import Comparison, FileComparison, Kind
from include.feed import FeedSpec
from include.files.batch import Batch, RecordedBatch, ValidatedBy
from include.files.file import FileRecord
from include.ledger.batches import Batches
from include.ledger.files import KEPT, file_record
from include.ledger.session import LedgerPart
from include.run import Run


class History(LedgerPart):
    """What a run over past dates asks and notes. Nothing of a file changes here."""

    def request_date(self, spec: FeedSpec, run: Run, date: dt.date) -> None:
        """Note that a run is to ingest a date; may be repeated."""
        with self.session.transaction(run) as cursor:
            cursor.execute(
                "insert into requested_date (feed, date, run_id) values (%s, %s, %s) on conflict do nothing", (spec.name, date, run.run_id)
            )

    def requested_dates(self, spec: FeedSpec) -> list[dt.date]:
        """The dates that were asked for and are not done, in order."""
        found = self.session.rows(
            "select distinct date from requested_date where feed = %s and done_at is null order by date", (spec.name,)
        )
        return [row["date"] for row in found]

    def date_done(self, spec: FeedSpec, date: dt.date) -> None:
        """Note that nothing of a date waits any more, whoever asked for it."""
        with self.session.transaction() as cursor:
            cursor.execute(
                "update requested_date set done_at = clock_timestamp() where feed = %s and date = %s and done_at is null", (spec.name, date)
            )

    def files_of_dates(self, spec: FeedSpec, first: dt.date, last: dt.date) -> list[FileRecord]:
        """All files of some dates, in seq order."""
        found = self.session.rows(
            f"select {KEPT} from file where feed = %s and date between %s and %s order by seq", (spec.name, first, last)
        )
        return [file_record(row) for row in found]

    def validated_by(self, file_ids: Sequence[int]) -> dict[int, ValidatedBy]:
        """The code, contract and suite that judged each file."""
        found = self.session.rows(
            "select file_id, code_version, contract_digest, suite_digest from file where file_id = any(%s)", (list(file_ids),)
        )
        return {row["file_id"]: ValidatedBy(row["code_version"], row["contract_digest"], row["suite_digest"]) for row in found}

    def batches_holding(self, spec: FeedSpec, seqs: Sequence[int]) -> list[RecordedBatch]:
        """The published batches in whose stretch of seqs any of these lies, in order."""
        return Batches(self.session).recorded(
            spec, "exists (select from unnest(%(seqs)s::bigint[]) as s where s between first_seq and last_seq)", {"seqs": list(seqs)}
        )

    def batch_of_its_own(self, spec: FeedSpec, seq: int) -> Batch:
        """A batch, not recorded, for one file that is in none: with the thresholds of the batch after it, else of the one before it."""
        found = self.session.row(
            """select parameters, started_at from batch where feed = %s and state = 'published'
               order by first_seq > %s desc, abs(first_seq - %s) limit 1""",
            (spec.name, seq, seq),
        )
        in_force = self.session.row(
            "select max(version) as version, clock_timestamp() as now from reference where feed = %s and after_seq < %s", (spec.name, seq)
        )
        assert in_force is not None
        parameters = found["parameters"] if found else spec.parameters_from({})
        return Batch(0, spec.name, seq, seq, 0, parameters, in_force["version"], found["started_at"] if found else in_force["now"])

    def certify(self, spec: FeedSpec, run: Run, certificate: Certificate, bucket: str) -> None:
        """Keep a certificate; one that the same run made of the date before, when it was tried again, gives way."""
        comparison, first = certificate.comparison, certificate.comparison.first_difference
        validated_by = comparison.now.validated_by
        which = {"feed": spec.name, "date": certificate.date, "run_id": run.run_id}
        with self.session.transaction(run) as cursor:
            cursor.execute("delete from backfill_certificate where (feed, date, run_id) = (%(feed)s, %(date)s, %(run_id)s)", which)
            cursor.execute(
                """insert into backfill_certificate
                       (feed, date, run_id, made_at, verdict, overrides, files, equal, changed, different, left_alone, findings_added,
                        findings_removed, first_difference, code_version, contract_digest, suite_digest, bucket, key)
                   values (%(feed)s, %(date)s, %(run_id)s, %(made_at)s, %(verdict)s, %(overrides)s, %(files)s, %(equal)s, %(changed)s,
                           %(different)s, %(left_alone)s, %(added)s, %(removed)s, %(first)s, %(code)s, %(contract)s, %(suite)s, %(bucket)s,
                           %(key)s)""",
                which
                | {kind.replace(" ", "_"): comparison.count(kind) for kind in Kind}
                | {
                    "made_at": certificate.made_at,
                    "verdict": comparison.kind,
                    "overrides": Jsonb(dict(comparison.now.overrides)),
                    "files": len(comparison.files),
                    "added": len(comparison.added),
                    "removed": len(comparison.removed),
                    "first": f"seq {first[0].kept.file.seq}: {first[1].where}" if first else None,
                    "code": validated_by.code_version,
                    "contract": validated_by.contract_digest,
                    "suite": validated_by.suite_digest,
                    "bucket": bucket,
                    "key": certificate.key,
                },
            )
            cursor.executemany(_CERTIFY_FILE, [which | _file_values(file, comparison) for file in comparison.files])


_CERTIFY_FILE = """
insert into backfill_certificate_file
    (feed, date, run_id, file_id, seq, verdict, bronze_recorded, bronze_now, state_recorded, state_now, findings_recorded, findings_now,
     recorded_by, compared_by, changes, first_difference, note)
values (%(feed)s, %(date)s, %(run_id)s, %(file_id)s, %(seq)s, %(verdict)s, %(bronze_recorded)s, %(bronze_now)s, %(state_recorded)s,
        %(state_now)s, %(findings_recorded)s, %(findings_now)s, %(recorded_by)s, %(compared_by)s, %(changes)s, %(first)s, %(note)s)
"""


def _file_values(file: FileComparison, comparison: Comparison) -> dict[str, object]:
    document = file_as_json(file, comparison)
    sides = {f"{name}_{when}": digest for name, side in document["digests"].items() for when, digest in side.items()}
    return sides | {
        "file_id": document["file_id"],
        "seq": document["seq"],
        "verdict": document["verdict"],
        "recorded_by": Jsonb(document["recorded_by"]),
        "compared_by": Jsonb(document["compared_by"]),
        "changes": Jsonb(document["changes"]),
        "first": file.difference.where if file.difference else None,
        "note": file.note,
    }
