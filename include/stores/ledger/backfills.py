"""Past dates in the ledger: which were asked for, what was recorded for them, and the certificates of their comparison."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psycopg.types.json import Jsonb

from include.ingestion.batch import Batch
from include.ingestion.feed import FeedSpec
from include.ingestion.kept import KeptFile
from include.ingestion.past.certificate import Certificate, file_as_json
from include.ingestion.past.comparison import Comparison, FileComparison, Kind
from include.ingestion.past.recorded import JudgedBy, RecordedBatch
from include.ingestion.run import Run
from include.stores.ledger.batches import FILES_OF_BATCHES, batch_from
from include.stores.ledger.files import KEPT, kept_file
from include.stores.ledger.session import LedgerSession


class Backfills(LedgerSession):
    """What a run over past dates asks and notes. Nothing of a file changes here."""

    def ask_for_date(self, spec: FeedSpec, run: Run, date: dt.date) -> None:
        """Note that a run is to ingest a date; may be repeated."""
        with self.transaction(run) as cursor:
            cursor.execute(
                "insert into asked_date (feed, date, run_id) values (%s, %s, %s) on conflict do nothing", (spec.name, date, run.run_id)
            )

    def asked_dates(self, spec: FeedSpec) -> list[dt.date]:
        """The dates that were asked for and are not done, in order."""
        found = self.rows("select distinct date from asked_date where feed = %s and done_at is null order by date", (spec.name,))
        return [row["date"] for row in found]

    def date_done(self, spec: FeedSpec, date: dt.date) -> None:
        """Note that nothing of a date waits any more, whoever asked for it."""
        with self.transaction() as cursor:
            cursor.execute(
                "update asked_date set done_at = clock_timestamp() where feed = %s and date = %s and done_at is null", (spec.name, date)
            )

    def files_of_dates(self, spec: FeedSpec, first: dt.date, last: dt.date) -> list[KeptFile]:
        """All files of some dates, in seq order."""
        found = self.rows(f"select {KEPT} from file where feed = %s and date between %s and %s order by seq", (spec.name, first, last))
        return [kept_file(row) for row in found]

    def judged_by(self, file_ids: Sequence[int]) -> dict[int, JudgedBy]:
        """The code, contract and suite that judged each file."""
        found = self.rows(
            "select file_id, code_version, contract_digest, suite_digest from file where file_id = any(%s)", (list(file_ids),)
        )
        return {row["file_id"]: JudgedBy(row["code_version"], row["contract_digest"], row["suite_digest"]) for row in found}

    def batches_holding(self, spec: FeedSpec, seqs: Sequence[int]) -> list[RecordedBatch]:
        """The published batches in whose stretch of seqs any of these lies, in order."""
        return self._recorded(
            spec, "exists (select from unnest(%(seqs)s::bigint[]) as s where s between first_seq and last_seq)", {"seqs": list(seqs)}
        )

    def batches_between(self, spec: FeedSpec, first: int, last: int) -> list[RecordedBatch]:
        """The published batches from one number to another, both included."""
        return self._recorded(spec, "batch between %(first)s and %(last)s", {"first": first, "last": last})

    def batch_of_its_own(self, spec: FeedSpec, seq: int) -> Batch:
        """A batch, not recorded, for one file that is in none: with the thresholds of the batch after it, else of the one before it."""
        found = self.row(
            """select parameters, started_at from batch where feed = %s and state = 'published'
               order by first_seq > %s desc, abs(first_seq - %s) limit 1""",
            (spec.name, seq, seq),
        )
        in_force = self.row(
            "select max(version) as version, clock_timestamp() as now from reference where feed = %s and after_seq < %s", (spec.name, seq)
        )
        assert in_force is not None
        parameters = found["parameters"] if found else spec.parameters_from({})
        return Batch(0, spec.name, seq, seq, 0, parameters, in_force["version"], found["started_at"] if found else in_force["now"])

    def certify(self, spec: FeedSpec, run: Run, certificate: Certificate, bucket: str) -> None:
        """Keep a certificate; one that the same run made of the date before, when it was tried again, gives way."""
        comparison, first = certificate.comparison, certificate.comparison.first_difference
        judged_by = comparison.now.judged_by
        which = {"feed": spec.name, "date": certificate.date, "run_id": run.run_id}
        with self.transaction(run) as cursor:
            cursor.execute("delete from backfill_certificate where (feed, date, run_id) = (%(feed)s, %(date)s, %(run_id)s)", which)
            cursor.execute(
                """insert into backfill_certificate
                       (feed, date, run_id, made_at, verdict, given, files, equal, changed, different, left_alone, findings_added,
                        findings_removed, first_difference, code_version, contract_digest, suite_digest, bucket, key)
                   values (%(feed)s, %(date)s, %(run_id)s, %(made_at)s, %(verdict)s, %(given)s, %(files)s, %(equal)s, %(changed)s,
                           %(different)s, %(left_alone)s, %(added)s, %(removed)s, %(first)s, %(code)s, %(contract)s, %(suite)s, %(bucket)s,
                           %(key)s)""",
                which
                | {kind.replace(" ", "_"): comparison.count(kind) for kind in Kind}
                | {
                    "made_at": certificate.made_at,
                    "verdict": comparison.kind,
                    "given": Jsonb(dict(comparison.now.given)),
                    "files": len(comparison.files),
                    "added": len(comparison.added),
                    "removed": len(comparison.removed),
                    "first": f"seq {first[0].kept.file.seq}: {first[1].where}" if first else None,
                    "code": judged_by.code_version,
                    "contract": judged_by.contract_digest,
                    "suite": judged_by.suite_digest,
                    "bucket": bucket,
                    "key": certificate.key,
                },
            )
            cursor.executemany(_CERTIFY_FILE, [which | _file_values(file, comparison) for file in comparison.files])

    def _recorded(self, spec: FeedSpec, which: str, values: dict[str, object]) -> list[RecordedBatch]:
        rows = self.rows(
            f"select * from batch where feed = %(feed)s and state = 'published' and {which} order by batch", values | {"feed": spec.name}
        )
        files = self.rows(FILES_OF_BATCHES, (spec.group, [row["batch"] for row in rows]))
        return [
            RecordedBatch(batch_from(row, [file for file in files if file["batch"] == row["batch"]]), row["manifest"], row["code_version"])
            for row in rows
        ]


_CERTIFY_FILE = """
insert into backfill_certificate_file
    (feed, date, run_id, file_id, seq, verdict, bronze_recorded, bronze_now, state_recorded, state_now, findings_recorded, findings_now,
     recorded_by, compared_by, changes, first_difference, note)
values (%(feed)s, %(date)s, %(run_id)s, %(file_id)s, %(seq)s, %(verdict)s, %(bronze_recorded)s, %(bronze_now)s, %(state_recorded)s,
        %(state_now)s, %(findings_recorded)s, %(findings_now)s, %(recorded_by)s, %(compared_by)s, %(changes)s, %(first)s, %(note)s)
"""


def _file_values(file: FileComparison, comparison: Comparison) -> dict[str, object]:
    said = file_as_json(file, comparison)
    sides = {f"{name}_{when}": digest for name, side in said["digests"].items() for when, digest in side.items()}
    return sides | {
        "file_id": said["file_id"],
        "seq": said["seq"],
        "verdict": said["verdict"],
        "recorded_by": Jsonb(said["recorded_by"]),
        "compared_by": Jsonb(said["compared_by"]),
        "changes": Jsonb(said["changes"]),
        "first": file.difference.where if file.difference else None,
        "note": file.note,
    }
