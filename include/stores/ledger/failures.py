"""Work that fails although every service answers: batches are narrowed, and what fails alone again and again is put aside."""

from __future__ import annotations

from include.ingestion.batch import Attempt
from include.ingestion.errors import LeaseLost
from include.ingestion.feed import FeedSpec
from include.ingestion.repair.failing import Failed
from include.ingestion.run import Run
from include.ingestion.verdict import Fault
from include.stores.ledger.fixes import note
from include.stores.ledger.session import Cursor, LedgerSession


class Failures(LedgerSession):
    """Counts failures of single files; an outage is none."""

    def batch_failed(self, spec: FeedSpec, token: int, run: Run, attempt: Attempt, what: str) -> Failed:
        """Give the batch up: its files go into smaller ones. A lone file rests, and is quarantined after its last chance."""
        with self.fenced(spec, token, run, f"batch {attempt.batch} attempt {attempt.number}") as cursor:
            cursor.execute(
                "update batch set state = 'abandoned', reason = %s where group_name = %s and batch = %s and state = 'open' returning batch",
                (f"failed: {what}", spec.group, attempt.batch),
            )
            if cursor.fetchone() is None:
                raise LeaseLost(spec.name, token)
            cursor.execute(
                """update batch_attempt set ended_at = clock_timestamp(), outcome = 'failed', error = %s
                   where group_name = %s and batch = %s and attempt = %s and outcome is null""",
                (what, spec.group, attempt.batch, attempt.number),
            )
            cursor.execute(
                "update file set batch = null, group_name = null where group_name = %s and batch = %s returning file_id, seq",
                (spec.group, attempt.batch),
            )
            files = sorted(cursor.fetchall(), key=lambda file: file["seq"])
            if len(files) > 1:
                limit = len(files) // 2
                cursor.execute("update file set batch_limit = %s where file_id = any(%s)", (limit, [file["file_id"] for file in files]))
                return Failed(files[0]["seq"], files[-1]["seq"], batch_limit=limit)
            failed = _alone(cursor, spec, files[0]["file_id"], files[0]["seq"], what)
            if failed.poison:
                cursor.execute(
                    "update file set state = 'quarantined', reason_code = %s, reason = %s, supersedes = null where file_id = %s",
                    (Fault.POISON, failed.reason, files[0]["file_id"]),
                )
                cursor.execute("delete from fixed_line where file_id = %s", (files[0]["file_id"],))
        return failed

    def gate_failed(self, spec: FeedSpec, token: int, run: Run, file_id: int, what: str) -> Failed:
        """The gate failed on one file alone: it rests, and after its last chance it has the verdict `poison`, to be decided in its turn."""
        with self.fenced(spec, token, run) as cursor:
            cursor.execute("select seq from file where file_id = %s and state = 'registered'", (file_id,))
            file = cursor.fetchone()
            if file is None:
                raise LeaseLost(spec.name, token)
            failed = _alone(cursor, spec, file_id, file["seq"], what)
            if failed.poison:
                cursor.execute(
                    "update file set judged_at = clock_timestamp(), reason_code = %s, reason = %s where file_id = %s",
                    (Fault.POISON, failed.reason, file_id),
                )
        return failed


def _alone(cursor: Cursor, spec: FeedSpec, file_id: int, seq: int, what: str) -> Failed:
    """Count one more failure of a file, and say when it is tried again."""
    cursor.execute("update file set failures = failures + 1 where file_id = %s returning failures", (file_id,))
    counted = cursor.fetchone()
    assert counted is not None
    failures: int = counted["failures"]
    failed = Failed(
        seq,
        seq,
        what=what,
        failures=failures,
        most=spec.max_failures,
        rest_seconds=spec.retry_after(failures) if failures < spec.max_failures else None,
    )
    cursor.execute(
        "update file set retry_at = clock_timestamp() + make_interval(secs => %s) where file_id = %s", (failed.rest_seconds, file_id)
    )
    note(cursor, file_id, "failure", f"failed alone, {failures} of {spec.max_failures} times: {what}")
    return failed
