"""The outbox: what is published or refused and not yet delivered. Every run drains it."""

from __future__ import annotations

from psycopg.rows import DictRow

from include.feed import FeedSpec
from include.files.batch import Batch
from include.files.failure import Undone, of_batch, of_file, of_state
from include.files.file import Undelivered
from include.ledger.batches import FILES_OF_BATCHES, batch_from
from include.ledger.files import ledger_file
from include.ledger.leases import fenced_delivery
from include.ledger.session import Cursor, LedgerPart
from include.run import Run


class Outbox(LedgerPart):
    """What deliver has to do, and that it was done. Both may be repeated."""

    def batches(self, spec: FeedSpec) -> list[Batch]:
        """The batches of the group with their files, in their order."""
        found = self.session.rows(
            "select b.* from work join batch b using (group_name, batch) where group_name = %s and step = 'deliver' order by batch",
            (spec.group,),
        )
        files = self.session.rows(FILES_OF_BATCHES, (spec.group, [row["batch"] for row in found])) if found else []
        return [batch_from(row, [file for file in files if file["batch"] == row["batch"]]) for row in found]

    def deliver_again(self, spec: FeedSpec, token: int) -> int:
        """Put every published batch of the group back into the outbox, for what follows them is to be made anew. How many."""
        with fenced_delivery(self.session, spec.group, token) as cursor:
            cursor.execute("update batch set delivered_at = null where group_name = %s and state = 'published'", (spec.group,))
            return cursor.rowcount

    def files(self, spec: FeedSpec) -> list[Undelivered]:
        """Files of the group in an end state for which something may be left to do, in seq order."""
        found = self.session.rows(
            """select f.*, validated_at is not null as validated from work w join file f using (file_id, feed, seq)
               where w.group_name = %s and step = 'deliver' order by feed, seq""",
            (spec.group,),
        )
        return [_undelivered(row) for row in found]

    def report_of(self, file_id: int) -> Undelivered:
        """What people are told of a file, delivered or not."""
        found = self.session.row("select *, validated_at is not null as validated from file where file_id = %s", (file_id,))
        assert found is not None, "the ledger never forgets a file"
        return _undelivered(found)

    def refuse_lost(self, spec: FeedSpec, token: int) -> None:
        """Refuse to begin anything under a delivery lease that is lost."""
        with fenced_delivery(self.session, spec.group, token):
            pass

    def batch_delivered(self, spec: FeedSpec, token: int, batch: Batch) -> None:
        with fenced_delivery(self.session, spec.group, token) as cursor:
            cursor.execute(
                "update batch set delivered_at = clock_timestamp() where feed = %s and batch = %s and delivered_at is null",
                (batch.feed, batch.number),
            )
            _done(cursor, spec, of_batch(batch.number))

    def relocated(self, spec: FeedSpec, token: int, run: Run, file_id: int, location: str, location_key: str | None) -> None:
        """Note where the original bytes of a file lie now."""
        with fenced_delivery(self.session, spec.group, token, run) as cursor:
            cursor.execute(
                "update file set location = %s, location_key = %s where file_id = %s and delivered_at is null returning file_id",
                (location, location_key, file_id),
            )
            if cursor.fetchone() is not None:
                cursor.execute(
                    "insert into file_event (file_id, kind, reason, run_id) values (%s, 'relocated', %s, %s)",
                    (file_id, f"{location}: {location_key}" if location_key else location, run.run_id),
                )

    def file_delivered(self, spec: FeedSpec, token: int, file_id: int) -> None:
        """Note that nothing is left to do for a file."""
        with fenced_delivery(self.session, spec.group, token) as cursor:
            cursor.execute("update file set delivered_at = clock_timestamp() where file_id = %s and delivered_at is null", (file_id,))
            _done(cursor, spec, of_file(file_id))

    def undone(self, spec: FeedSpec) -> dict[str, Undone]:
        """What of the group could not be delivered and is tried again, by item, longest first."""
        found = self.session.rows(
            "select item, failures, since, retry_at, what from delivery_failure where group_name = %s order by since, item", (spec.group,)
        )
        return {row["item"]: Undone(**row) for row in found}

    def failed(self, spec: FeedSpec, token: int, undone: Undone) -> None:
        with fenced_delivery(self.session, spec.group, token) as cursor:
            cursor.execute(
                """insert into delivery_failure (group_name, item, failures, since, retry_at, what) values (%s, %s, %s, %s, %s, %s)
                   on conflict (group_name, item) do update
                   set failures = excluded.failures, retry_at = excluded.retry_at, what = excluded.what""",
                (spec.group, undone.item, undone.failures, undone.since, undone.retry_at, undone.what),
            )

    def compacted(self, spec: FeedSpec, token: int) -> None:
        """Note that the state of a feed is merged."""
        with fenced_delivery(self.session, spec.group, token) as cursor:
            _done(cursor, spec, of_state(spec.name))


def _done(cursor: Cursor, spec: FeedSpec, item: str) -> None:
    """Forget that an item failed."""
    cursor.execute("delete from delivery_failure where group_name = %s and item = %s", (spec.group, item))


def _undelivered(row: DictRow) -> Undelivered:
    return Undelivered(
        file=ledger_file(row),
        location=row["location"],
        location_key=row["location_key"],
        rejects_key=row["rejects"]["key"] if row["rejects"] else None,
        report=(row["report"] or {}) | _decision(row),
    )


def _decision(row: dict[str, object]) -> dict[str, object]:
    """What the ledger adds to the gate's report: the decision, which may also rest on other files."""
    return {
        "file_id": row["file_id"],
        "feed": row["feed"],
        "seq": row["seq"],
        "bucket": row["bucket"],
        "key": row["key"],
        "etag": row["etag"],
        "size": row["size"],
        "sha256": row["sha256"],
        "state": row["state"],
        "kind": row["kind"],
        "parent": row["parent"],
        "reason_code": row["reason_code"],
        "reason": row["reason"],
        "lines": row["lines"],
        "accepted": row["accepted"],
        "rejected": row["rejected"],
        "code_version": row["code_version"],
        "contract_digest": row["contract_digest"],
        "suite_digest": row["suite_digest"],
    }
