"""Work that fails although every service answers: batches are narrowed, and what fails alone again and again is put aside."""

from __future__ import annotations

from include.errors import LeaseLost, UsageError
from include.feed import FeedSpec
from include.files.batch import Attempt
from include.files.failure import Failed
from include.files.file import LedgerFile, State
from include.files.verdict import Fault
from include.ledger.batches import abandon
from include.ledger.files import FILE, ledger_file
from include.ledger.session import Cursor, LedgerPart, act, note, repeated
from include.run import Run

LONGEST_SECONDS = 150
"""From a file's first failure alone to its last try, whatever tries and runs take: within 3 minutes it is decided."""


class Failures(LedgerPart):
    """Counts failures of single files; an outage is none. Knows what is known to be good."""

    def has_last_chance(self, spec: FeedSpec, file_id: int) -> bool:
        """Whether one more failure puts a file aside."""
        row = self.session.row("select failures + 1 >= %s as last from file where file_id = %s", (spec.max_failures, file_id))
        return row is not None and bool(row["last"])

    def failed_before(self, spec: FeedSpec, batch: int) -> bool:
        """Whether files of a batch failed, alone or in a larger one."""
        found = self.session.row(
            "select 1 from file where group_name = %s and batch = %s and (failures > 0 or batch_limit is not null) limit 1",
            (spec.group, batch),
        )
        return found is not None

    def attempts_with(self, spec: FeedSpec, batch: int, error: str) -> int:
        """How many attempts at a batch ended with an error that begins so."""
        row = self.session.row(
            "select count(*)::int as n from batch_attempt where group_name = %s and batch = %s and starts_with(error, %s)",
            (spec.group, batch, error),
        )
        return 0 if row is None else int(row["n"])

    def peers_of(self, file: LedgerFile, most: int) -> list[LedgerFile]:
        """Other files of the feed in the bucket of one, whose objects lie where they landed: those that were read, the newest first."""
        found = self.session.rows(
            f"""select {FILE} from file
                where feed = %s and bucket = %s and file_id <> %s and latest and location = 'landing' and key not like 'fixes/%%'
                order by sha256 is null, seq desc limit %s""",
            (file.feed, file.bucket, file.file_id, most),
        )
        return [ledger_file(row) for row in found]

    def known_good_file(self, spec: FeedSpec) -> int | None:
        """The smallest of the newest files that were published and whose bytes are kept."""
        row = self.session.row(
            """select file_id from (
                   select file_id, size from file
                   where feed = %s and state = 'published' and kind = 'landing' and location in ('landing', 'archive')
                   order by seq desc limit 20
               ) newest order by size limit 1""",
            (spec.name,),
        )
        return None if row is None else int(row["file_id"])

    @repeated
    def batch_failed(self, spec: FeedSpec, token: int, run: Run, attempt: Attempt, what: str) -> Failed:
        """Give the batch up: its files go into smaller ones. A lone file rests, and is quarantined after its last chance."""
        with self.session.fenced(spec, token, run, f"batch {attempt.batch} attempt {attempt.number}") as cursor:
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
            failed = _alone(cursor, spec, files[0]["file_id"], files[0]["seq"], what, refused=False)
            if failed.poison:
                _put_aside(cursor, files[0]["file_id"], failed.fault, failed.reason)
        return failed

    @repeated
    def gate_failed(self, spec: FeedSpec, token: int, run: Run, file_id: int, what: str, *, refused: bool) -> Failed:
        """The gate failed on one file alone: it rests, and after its last chance it has a verdict, to be decided in its turn."""
        with self.session.fenced(spec, token, run) as cursor:
            cursor.execute("select seq from file where file_id = %s and state = 'registered'", (file_id,))
            file = cursor.fetchone()
            if file is None:
                raise LeaseLost(spec.name, token)
            failed = _alone(cursor, spec, file_id, file["seq"], what, refused=refused)
            if failed.poison:
                _condemn(cursor, file_id, failed.fault, failed.reason)
        return failed

    @repeated
    def give_up(self, spec: FeedSpec, run: Run, seq: int, by: str, why: str) -> str:
        """Quarantine a file that is accepted and not published, or let one that cannot be judged be quarantined in its turn. Its key.

        The batch that it is in is given up; its other files wait for the next, and whoever works on it can no longer publish.

        Raises:
            UsageError: the feed has no such file, or it is in another state.
        """
        with self.session.transaction(run) as cursor:
            cursor.execute("select 1 from feed_group where group_name = %s for update", (spec.group,))
            cursor.execute(
                "select file_id, key, state, batch, validated_at is not null as validated from file where feed = %s and seq = %s",
                (spec.name, seq),
            )
            file = cursor.fetchone()
            if file is None:
                raise UsageError(f"{spec.name} has no seq {seq}; `sluice files {spec.name}` lists its files")
            if file["state"] not in {State.ACCEPTED, State.REGISTERED} or (file["state"] == State.REGISTERED and file["validated"]):
                state = "judged, and decided by the next run" if file["state"] == State.REGISTERED else file["state"]
                raise UsageError(f"seq {seq} of {spec.name}, {file['key']}, is {state}: only a file that waits can be given up")
            act(cursor, by)
            reason = f"given up by {by}: {why}. `sluice quarantine replay {file['file_id']} --go` takes it up again, as it is or corrected"
            if file["batch"] is not None:
                abandon(cursor, spec, f"seq {seq} was {reason}")
            (_condemn if file["state"] == State.REGISTERED else _put_aside)(cursor, file["file_id"], Fault.GIVEN_UP, reason)
            note(cursor, file["file_id"], "note", f"given up: {why}", by)
        return str(file["key"])


def _put_aside(cursor: Cursor, file_id: int, fault: Fault, reason: str) -> None:
    """Quarantine an accepted file; what its acceptance meant for others is taken back."""
    cursor.execute(
        "update file set state = 'quarantined', reason_code = %s, reason = %s, supersedes = null where file_id = %s",
        (fault, reason, file_id),
    )
    cursor.execute("delete from fixed_line where file_id = %s", (file_id,))


def _condemn(cursor: Cursor, file_id: int, fault: Fault, reason: str) -> None:
    """Give a file that is not judged a verdict."""
    cursor.execute(
        "update file set validated_at = clock_timestamp(), reason_code = %s, reason = %s where file_id = %s",
        (fault, reason, file_id),
    )


def _alone(cursor: Cursor, spec: FeedSpec, file_id: int, seq: int, what: str, *, refused: bool) -> Failed:
    """Count one more failure of a file, and say when it is tried again."""
    cursor.execute(
        """update file set failures = failures + 1 where file_id = %s
           returning failures,
                     coalesce((select extract(epoch from clock_timestamp() - min(e.at))::float8 from file_event e
                               where e.file_id = file.file_id and e.kind = 'failure'), 0) as since_first""",
        (file_id,),
    )
    counted = cursor.fetchone()
    assert counted is not None
    failures: int = counted["failures"]
    rest = min(spec.retry_after(failures), max(LONGEST_SECONDS - counted["since_first"], 1.0))
    failed = Failed(
        seq,
        seq,
        what=what,
        file_id=file_id,
        refused=refused,
        failures=failures,
        most=spec.max_failures,
        rest_seconds=rest if failures < spec.max_failures else None,
    )
    cursor.execute(
        "update work set retry_at = clock_timestamp() + make_interval(secs => %s) where file_id = %s", (failed.rest_seconds, file_id)
    )
    note(cursor, file_id, "failure", f"failed alone, {failures} of {spec.max_failures} times: {what}")
    return failed
