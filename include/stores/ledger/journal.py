"""The journal's side of the ledger: the rows that an entry keeps, and putting them back into a ledger that lacks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from include.ingestion.errors import JournalIncomplete
from include.ingestion.feed import FeedSpec
from include.ingestion.ports import Results
from include.ingestion.repair.journal import Added, Position
from include.ingestion.run import Run
from include.stores.ledger.batches import batch_from
from include.stores.ledger.session import Cursor, LedgerSession

Rows = Mapping[str, Sequence[Mapping[str, Any]]]

# What is delivered, what was published with it, and everything before it that no earlier entry has: seqs stay without a hole.
_FILES = """
with given as (
    select file_id, seq from file
    where file_id = any(%(files)s) or (group_name = %(group)s and batch = any(%(batches)s) and state in ('published', 'superseded'))
)
select f.file_id from file f
where f.feed = %(feed)s
  and (f.file_id in (select file_id from given) or (f.delivered_at is null and f.seq < (select max(seq) from given)))
"""
_KEPT = {
    "reference": "select to_jsonb(t) as row from reference t where feed = %(feed)s order by name, version",
    "batch": "select to_jsonb(t) as row from batch t where group_name = %(group)s and batch = any(%(batches)s) order by batch",
    "batch_attempt": """select to_jsonb(t) as row from batch_attempt t where group_name = %(group)s and batch = any(%(batches)s)
                        order by batch, attempt""",
    "file": "select to_jsonb(t) as row from file t where file_id = any(%(files)s) order by seq",
    "file_event": "select to_jsonb(t) as row from file_event t where file_id = any(%(files)s) order by event_id",
    "fixed_line": "select to_jsonb(t) as row from fixed_line t where file_id = any(%(files)s) order by parent, line",
    "feed_group": "select to_jsonb(t) as row from feed_group t where group_name = %(group)s",
}
_WAITING = ("registered", "accepted", "replaying")


class Journal(LedgerSession):
    """Keeping and putting back."""

    def position(self, spec: FeedSpec) -> Position:
        """How far the ledger has come."""
        found = self.row(
            "select f.last_seq as seq, g.state_version from feed f join feed_group g using (group_name) where f.feed = %s", (spec.name,)
        )
        return Position(**found) if found else Position(0, 0)

    def delivered_position(self, spec: FeedSpec) -> Position:
        """How far entries of the journal reach that were written before."""
        found = self.row(
            """select coalesce((select max(seq) from file where feed = %(feed)s and delivered_at is not null), 0) as seq,
                      coalesce((select max(state_version) from batch where feed = %(feed)s and delivered_at is not null), 0)
                      as state_version""",
            {"feed": spec.name},
        )
        return Position(**found) if found else Position(0, 0)

    def journal_rows(self, spec: FeedSpec, batches: Sequence[int], files: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
        """The rows of files and batches, with whatever they cannot stand without."""
        with self.transaction() as cursor:
            cursor.execute("set transaction isolation level repeatable read")
            cursor.execute(
                "select distinct batch from file where file_id = any(%s) and state in ('published', 'superseded')", (list(files),)
            )
            wanted = {"feed": spec.name, "group": spec.group, "batches": sorted({*batches, *(row["batch"] for row in cursor.fetchall())})}
            cursor.execute(_FILES, wanted | {"files": list(files)})
            wanted["files"] = sorted(row["file_id"] for row in cursor.fetchall())
            kept = {}
            for table, query in _KEPT.items():
                cursor.execute(query.encode(), wanted)
                kept[table] = [row["row"] for row in cursor.fetchall()]
        return kept

    def put_back(self, spec: FeedSpec, token: int, run: Run, rows: Rows, results: Results) -> Added:
        """Take one entry in, in one transaction: files as they were decided, batches published once more from what their jobs wrote.

        Raises:
            JournalIncomplete: a batch before one of these is missing.
        """
        produced = {row["batch"]: results.read(row["manifest"]) for row in rows["batch"] if not self._has_published(spec, row["batch"])}
        with self.fenced(spec, token, run) as cursor:
            cursor.execute("alter table file disable trigger user")
            _insert(cursor, "reference", rows["reference"], "do nothing")
            _upsert(cursor, "batch", ("group_name", "batch"), [row for row in rows["batch"] if row["batch"] in produced])
            _insert(cursor, "batch_attempt", rows["batch_attempt"], "do nothing")
            files = _unknown_or_older(cursor, rows)
            _outdate_versions(cursor, files)
            _upsert(cursor, "file", ("file_id",), [_waiting(row) for row in files])
            _insert(cursor, "file_event", rows["file_event"], "do nothing")
            _insert(cursor, "fixed_line", rows["fixed_line"], "do nothing")
            cursor.execute("alter table file enable trigger user")
            for row in rows["batch"]:
                if row["batch"] in produced:
                    _publish_again(cursor, spec, row["batch"], results, produced[row["batch"]])
            _move_on(cursor, spec, rows)
        leases = max((group["lease_token"] for group in rows["feed_group"]), default=0)
        return Added(frozenset(row["file_id"] for row in files), frozenset(produced), leases)

    def outdate_leases(self, spec: FeedSpec, token: int) -> None:
        """Let the next lease be newer than any that was given, so that a run from before the backup can write nothing."""
        with self.transaction() as cursor:
            cursor.execute(
                "update feed_group set lease_token = greatest(lease_token, %s) + 1 where group_name = %s and lease_holder is null",
                (token, spec.group),
            )

    def _has_published(self, spec: FeedSpec, batch: int) -> bool:
        return self.row("select from batch where group_name = %s and batch = %s and state = 'published'", (spec.group, batch)) is not None


def _unknown_or_older(cursor: Cursor, rows: Rows) -> list[Mapping[str, Any]]:
    """The files of an entry that the ledger lacks, or has as they were before."""
    newest: dict[int, int] = {}
    for event in rows["file_event"]:
        newest[event["file_id"]] = max(newest.get(event["file_id"], 0), event["event_id"])
    cursor.execute(
        "select file_id, max(event_id) as newest from file_event where file_id = any(%s) group by file_id",
        ([row["file_id"] for row in rows["file"]],),
    )
    known = {row["file_id"]: row["newest"] for row in cursor.fetchall()}
    return [row for row in rows["file"] if newest.get(row["file_id"], 0) > known.get(row["file_id"], -1)]


def _waiting(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A file that no batch had published belongs to none: it waits for the next."""
    return {**row, "group_name": None, "batch": None} if row["state"] in _WAITING else row


def _outdate_versions(cursor: Cursor, files: Sequence[Mapping[str, Any]]) -> None:
    """What registration did to the versions before these: no row of an entry says so, since it was no change of their state."""
    columns = [[row[name] for row in files] for name in ("feed", "bucket", "key", "version")]
    cursor.execute(
        """update file f set latest = false, location = case when location = 'landing' then 'overwritten' else location end
           from unnest(%s::text[], %s::text[], %s::text[], %s::int[]) as n (feed, bucket, key, version)
           where (f.feed, f.bucket, f.key) = (n.feed, n.bucket, n.key) and f.version < n.version and f.latest""",
        columns,
    )


def _publish_again(cursor: Cursor, spec: FeedSpec, number: int, results: Results, produced: Any) -> None:
    """What the publish transaction did, at the instant at which it did it."""
    cursor.execute("select * from batch where group_name = %s and batch = %s", (spec.group, number))
    row = cursor.fetchone()
    cursor.execute("select state_version from feed_group where group_name = %s", (spec.group,))
    group = cursor.fetchone()
    assert row is not None, "written in this transaction"
    assert group is not None, "locked in this transaction"
    if row["state_version"] != group["state_version"] + 1:
        raise JournalIncomplete(spec.name, f"batch {number} made state {row['state_version']}, the ledger is at {group['state_version']}")
    cursor.execute(
        "select file_id, seq, key, accepted, bronze, touched from file where group_name = %s and batch = %s order by seq",
        (spec.group, number),
    )
    results.publish(cursor, batch_from(row, cursor.fetchall()), produced, row["published_at"])
    cursor.execute("drop table if exists found")
    cursor.execute("update feed_group set state_version = %s where group_name = %s", (row["state_version"], spec.group))


def _move_on(cursor: Cursor, spec: FeedSpec, rows: Rows) -> None:
    """Let every counter be at least where it was, so that no number is given twice."""
    seqs = [row["seq"] for row in rows["file"]]
    cursor.execute("update feed set last_seq = greatest(last_seq, %s) where feed = %s", (max(seqs, default=0), spec.name))
    for group in rows["feed_group"]:
        cursor.execute(
            "update feed_group set last_batch = greatest(last_batch, %s) where group_name = %s", (group["last_batch"], group["group_name"])
        )
    for table, column in (("file", "file_id"), ("file_event", "event_id")):
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        cursor.execute(
            sql.SQL("select setval(pg_get_serial_sequence(%s, %s), greatest((select max({column}) from {table}), 1))").format(**names),
            (table, column),
        )


def _upsert(cursor: Cursor, table: str, key: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    changed = [name for name in _columns(rows) if name not in key]
    assignments = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in changed)
    conflict = sql.SQL("on conflict ({}) do update set {}").format(sql.SQL(", ").join(map(sql.Identifier, key)), assignments)
    _insert_rows(cursor, table, rows, conflict)


def _insert(cursor: Cursor, table: str, rows: Sequence[Mapping[str, Any]], conflict: str) -> None:
    _insert_rows(cursor, table, rows, sql.SQL("on conflict {}").format(sql.SQL(conflict)))


def _insert_rows(cursor: Cursor, table: str, rows: Sequence[Mapping[str, Any]], conflict: sql.Composable) -> None:
    """Insert rows as `to_jsonb` made them; columns that came after the entry was written get their defaults."""
    if not rows:
        return
    columns = sql.SQL(", ").join(map(sql.Identifier, _columns(rows)))
    cursor.execute(
        sql.SQL(
            """insert into {table} ({columns}) overriding system value
               select {columns} from jsonb_populate_recordset(null::{table}, %s) {conflict}"""
        ).format(table=sql.Identifier(table), columns=columns, conflict=conflict),
        (Jsonb(list(rows)),),
    )


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(rows[0]) if rows else []
