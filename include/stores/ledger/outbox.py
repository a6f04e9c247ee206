"""The outbox: what is published or refused and not yet delivered. Every run drains it."""

from __future__ import annotations

from psycopg.rows import DictRow

from include.ingestion.batch import Batch
from include.ingestion.feed import FeedSpec
from include.ingestion.ports import Undelivered
from include.ingestion.run import Run
from include.stores.ledger.batches import FILES_OF_BATCHES, batch_from
from include.stores.ledger.files import IN_THE_OUTBOX, ledger_file
from include.stores.ledger.session import LedgerSession


class Outbox(LedgerSession):
    """What deliver has to do, and that it was done. Both may be repeated."""

    def undelivered_batches(self, spec: FeedSpec) -> list[Batch]:
        """The batches of the group with their files, in their order."""
        found = self.rows(
            "select * from batch where group_name = %s and state = 'published' and delivered_at is null order by batch", (spec.group,)
        )
        files = self.rows(FILES_OF_BATCHES, (spec.group, [row["batch"] for row in found])) if found else []
        return [batch_from(row, [file for file in files if file["batch"] == row["batch"]]) for row in found]

    def deliver_again(self, spec: FeedSpec, token: int) -> int:
        """Put every published batch of the group back into the outbox, for what follows them is to be made anew. How many."""
        with self.fenced(spec, token) as cursor:
            cursor.execute("update batch set delivered_at = null where group_name = %s and state = 'published'", (spec.group,))
            return cursor.rowcount

    def undelivered_files(self, spec: FeedSpec) -> list[Undelivered]:
        """Files of the group in an end state for which something may be left to do, in seq order."""
        found = self.rows(
            f"""select *, judged_at is not null as judged from file
                where feed in (select feed from feed where group_name = %s) and delivered_at is null and {IN_THE_OUTBOX}
                order by feed, seq""",
            (spec.group,),
        )
        return [_undelivered(row) for row in found]

    def told(self, file_id: int) -> Undelivered:
        """What people are told of a file, delivered or not."""
        found = self.row("select *, judged_at is not null as judged from file where file_id = %s", (file_id,))
        assert found is not None, "the ledger never forgets a file"
        return _undelivered(found)

    def delivered_batch(self, batch: Batch) -> None:
        with self.transaction() as cursor:
            cursor.execute(
                "update batch set delivered_at = clock_timestamp() where feed = %s and batch = %s and delivered_at is null",
                (batch.feed, batch.number),
            )

    def delivered_file(self, file_id: int, run: Run, location: str | None, location_key: str | None) -> None:
        """Note that nothing is left to do for a file, and where its original bytes lie if they were moved."""
        with self.transaction(run) as cursor:
            cursor.execute(
                """update file set delivered_at = clock_timestamp(), location = coalesce(%s::file_location, location),
                          location_key = case when %s::text is null then location_key else %s end
                   where file_id = %s and delivered_at is null returning key""",
                (location, location, location_key, file_id),
            )
            if cursor.fetchone() is not None and location is not None:
                cursor.execute(
                    "insert into file_event (file_id, kind, reason, run_id) values (%s, 'relocated', %s, %s)",
                    (file_id, f"{location}: {location_key}" if location_key else location, run.run_id),
                )


def _undelivered(row: DictRow) -> Undelivered:
    return Undelivered(
        file=ledger_file(row),
        location=row["location"],
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
