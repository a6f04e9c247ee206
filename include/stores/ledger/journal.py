"""The journal's side of the ledger: the rows that an entry keeps, and putting them back into a ledger that lacks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb

from include.ingestion.errors import JournalIncomplete, NotTheOwner
from include.ingestion.feed import FeedSpec
from include.ingestion.ports import Results
from include.ingestion.repair.journal import Added, Position
from include.ingestion.run import Run
from include.stores.ledger.batches import FILES_OF_BATCHES, batch_from
from include.stores.ledger.session import Cursor, LedgerSession

Rows = Mapping[str, Sequence[Mapping[str, Any]]]

# What is published and not yet delivered, and the batches of the files that are: no file of an entry is without its batch.
_BATCHES = """
select batch from batch where group_name = %(group)s and (batch = any(%(batches)s) or (state = 'published' and delivered_at is null))
union
select batch from file where file_id = any(%(files)s) and state in ('published', 'superseded')
"""
# What is delivered, what was published with it, and everything before it that no earlier entry has: seqs stay without a hole. With
# them the files that they stand in for or correct: what was decided of the one was said of the other.
_FILES = """
with given as (
    select file_id, feed, seq from file
    where file_id = any(%(files)s) or (group_name = %(group)s and batch = any(%(batches)s) and state in ('published', 'superseded'))
), reached as (
    select feed, max(seq) as seq from given group by feed
), entered as (
    select f.file_id, f.parent from file f join reached r using (feed)
    where f.file_id in (select file_id from given) or (f.delivered_at is null and f.seq < r.seq)
)
select file_id from entered union select parent from entered where parent is not null
"""
_KEPT = {
    "reference": """select to_jsonb(t) as row from reference t
                    where feed in (select feed from feed where group_name = %(group)s) order by feed, name, version""",
    "batch": "select to_jsonb(t) as row from batch t where group_name = %(group)s and batch = any(%(batches)s) order by batch",
    "batch_attempt": """select to_jsonb(t) as row from batch_attempt t where group_name = %(group)s and batch = any(%(batches)s)
                        order by batch, attempt""",
    "file": "select to_jsonb(t) as row from file t where file_id = any(%(files)s) order by feed, seq",
    "file_event": "select to_jsonb(t) as row from file_event t where file_id = any(%(files)s) order by event_id",
    "fixed_line": "select to_jsonb(t) as row from fixed_line t where file_id = any(%(files)s) order by parent, line",
    "feed_group": "select to_jsonb(t) as row from feed_group t where group_name = %(group)s",
}
_WAITING = ("registered", "accepted", "replaying")


class Journal(LedgerSession):
    """Keeping and putting back."""

    def position(self, spec: FeedSpec) -> Position:
        """How far the ledger has come with the feeds of the group."""
        found = self.row(
            """select jsonb_object_agg(feed, last_seq) as seqs,
                      (select state_version from feed_group where group_name = %(group)s) as state_version
               from feed where group_name = %(group)s""",
            {"group": spec.group},
        )
        assert found is not None, "an aggregate is one row"
        return Position(found["seqs"] or {}, found["state_version"] or 0)

    def journal_rows(self, spec: FeedSpec, batches: Sequence[int], files: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
        """The rows of files and batches of the group, with whatever they cannot stand without."""
        with self.transaction() as cursor:
            cursor.execute("set transaction isolation level repeatable read")
            wanted = {"group": spec.group, "batches": list(batches), "files": list(files)}
            cursor.execute(_BATCHES, wanted)
            wanted["batches"] = sorted(row["batch"] for row in cursor.fetchall())
            cursor.execute(_FILES, wanted)
            wanted["files"] = sorted(row["file_id"] for row in cursor.fetchall())
            kept = {}
            for table, query in _KEPT.items():
                cursor.execute(query.encode(), wanted)
                kept[table] = [row["row"] for row in cursor.fetchall()]
        return kept

    def put_back(self, spec: FeedSpec, token: int, run: Run, rows: Rows, results_of: Callable[[str], Results]) -> Added:
        """Take one entry in, in one transaction: files as they were decided, batches published once more from what their jobs wrote.

        Raises:
            JournalIncomplete: a batch before one of these is missing.
            NotTheOwner: the tables are another role's.
        """
        missing = [row for row in rows["batch"] if not self._has_published(spec, row["batch"])]
        produced = {row["batch"]: results_of(row["feed"]).read(row["manifest"]) for row in missing}
        with self.fenced(spec, token, run) as cursor:
            _lift_rules(cursor, spec)
            _insert(cursor, "reference", rows["reference"], "do nothing")
            _upsert(cursor, "batch", ("group_name", "batch"), missing)
            _insert(cursor, "batch_attempt", rows["batch_attempt"], "do nothing")
            files = _unknown_or_older(cursor, rows)
            _outdate_versions(cursor, files)
            _upsert(cursor, "file", ("file_id",), [_waiting(row) for row in files])
            _insert(cursor, "file_event", rows["file_event"], "do nothing")
            cursor.execute("delete from fixed_line where file_id = any(%s)", ([row["file_id"] for row in files],))
            _insert(cursor, "fixed_line", rows["fixed_line"], "do nothing")
            cursor.execute("alter table file enable trigger user")
            for row in missing:
                _publish_again(cursor, spec, row["batch"], results_of(row["feed"]), produced[row["batch"]])
            _move_on(cursor, rows)
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


def _lift_rules(cursor: Cursor, spec: FeedSpec) -> None:
    """Let files be written as they were decided, without the moves that led there."""
    try:
        cursor.execute("alter table file disable trigger user")
    except InsufficientPrivilege:
        raise NotTheOwner(spec.name) from None


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
    cursor.execute(FILES_OF_BATCHES.encode(), (spec.group, [number]))
    results.publish(cursor, batch_from(row, cursor.fetchall()), produced, row["published_at"])
    cursor.execute("drop table if exists found")
    cursor.execute("update feed_group set state_version = %s where group_name = %s", (row["state_version"], spec.group))


def _move_on(cursor: Cursor, rows: Rows) -> None:
    """Let every counter be at least where it was, so that no number is given twice."""
    for feed in sorted({row["feed"] for row in rows["file"]}):
        newest = max(row["seq"] for row in rows["file"] if row["feed"] == feed)
        cursor.execute("update feed set last_seq = greatest(last_seq, %s) where feed = %s", (newest, feed))
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
