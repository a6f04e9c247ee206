"""The journal's side of the ledger: the rows that an entry keeps, and putting them back into a ledger that lacks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast

from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb

from include.errors import JournalIncomplete, LedgerMixed, NotTheOwner
from include.feed import FeedSpec
from include.files.journal import SHARED_IDS, Added, Event, FileRow, Position, Rows, newest_ids
from include.ledger.batches import FILES_OF_BATCHES, Publish, batch_from
from include.ledger.session import Cursor, LedgerPart
from include.run import Run

# What is published and not yet delivered, and the batches of the files that are: no file of an entry is without its batch.
_BATCHES = """
select batch from batch where group_name = %(group)s and batch = any(%(batches)s)
union
select batch from work where group_name = %(group)s and batch is not null and step = 'deliver'
union
select batch from file where file_id = any(%(files)s) and state in ('published', 'superseded')
"""
# What is delivered, what was published with it, and everything before it that no earlier entry has: seqs stay without a hole. With
# them the files that they stand in for or correct: what was decided of the one was said of the other.
_FILES = """
with given as (
    select file_id, feed, seq, parent from file where file_id = any(%(files)s)
    union
    select file_id, feed, seq, parent from file
    where group_name = %(group)s and batch = any(%(batches)s) and state in ('published', 'superseded')
), reached as (
    select feed, max(seq) as seq from given group by feed
), entered as (
    select file_id, parent from given
    union
    select f.file_id, f.parent from work w join reached r on r.feed = w.feed and w.seq < r.seq join file f using (file_id)
    where f.delivered_at is null
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
# Columns of `file` that an entry of an older release names otherwise, or has beside those of today.
_RENAMED = {"judged_at": "validated_at", "touched": "touched_values", "asked_by": "requested_by"}
_NO_MORE = frozenset({"retry_at"})
# What a file's way through the states is held to; what is to be done for it is still noted without these.
_RULES = ("file_guard", "file_record_move", "file_dense")
_WAITING = ("registered", "accepted", "replaying")
# What an entry has and the ledger has given to something else: what it is in the journal, and what in the ledger.
_GIVEN_TO_ANOTHER = {
    "file": """
        select format('file %%s is %%s seq %%s, %%s', n.file_id, n.feed, n.seq, n.key) as said,
               format('file %%s, %%s seq %%s, %%s', f.file_id, f.feed, f.seq, f.key) as found
        from jsonb_populate_recordset(null::file, %(rows)s) n
        cross join lateral (select * from file f where f.file_id = n.file_id
                            union select * from file f where (f.feed, f.seq) = (n.feed, n.seq)
                            union select * from file f where (f.feed, f.bucket, f.key, f.version) = (n.feed, n.bucket, n.key, n.version)) f
        where (f.file_id, f.feed, f.seq, f.bucket, f.key, f.version, f.etag)
              is distinct from (n.file_id, n.feed, n.seq, n.bucket, n.key, n.version, n.etag)
        order by n.file_id limit 1""",
    "file_event": """
        select format('event %%s is of file %%s', n.event_id, n.file_id) as said, format('one of file %%s', e.file_id) as found
        from jsonb_populate_recordset(null::file_event, %(rows)s) n join file_event e using (event_id)
        where e.file_id <> n.file_id and e.file_id <> all(%(taken)s) order by event_id limit 1""",
    "batch": """
        select format('batch %%s of %%s is seq %%s-%%s of %%s', n.batch, group_name, n.first_seq, n.last_seq, n.feed) as said,
               format('one of seq %%s-%%s of %%s, published %%s', b.first_seq, b.last_seq, b.feed, b.published_at) as found
        from jsonb_populate_recordset(null::batch, %(rows)s) n join batch b using (group_name, batch)
        where b.state = 'published' and (b.feed, b.first_seq, b.last_seq, b.published_at)
                                        is distinct from (n.feed, n.first_seq, n.last_seq, n.published_at)
        order by batch limit 1""",
    "reference": """
        select format('reference %%s version %%s of %%s is %%s', name, version, feed, n.key) as said, r.key as found
        from jsonb_populate_recordset(null::reference, %(rows)s) n join reference r using (feed, name, version)
        where r.key <> n.key order by version limit 1""",
}


_Row = Mapping[str, object]
Prepare = Callable[[str, Mapping[str, object]], Publish]


class Journal(LedgerPart):
    """Keeping and putting back."""

    def positions(self) -> dict[str, Position]:
        """How far the ledger has come with the feeds of each group; what happened last is asked by `known_events`."""
        found = self.session.rows(
            """select group_name, state_version, jsonb_object_agg(feed, last_seq) as seqs
               from feed_group join feed using (group_name) group by group_name"""
        )
        return {row["group_name"]: Position(row["seqs"], row["state_version"]) for row in found}

    def known_events(self, events: Sequence[Event]) -> set[Event]:
        """Those of these events that the ledger has."""
        found = self.session.rows("select event_id, file_id from file_event where event_id = any(%s)", ([one.event_id for one in events],))
        return {Event(**row) for row in found} & set(events)

    def missing_seq(self) -> tuple[str, int] | None:
        """A feed and the first seq that was given and that no file has; None where there is none, as it always is."""
        found = self.session.row(
            """select feed, (select min(seq) from generate_series(1, last_seq) seq
                             where not exists (select from file where file.feed = feed.feed and file.seq = seq.seq)) as seq
               from feed where last_seq <> (select count(*) from file where file.feed = feed.feed) order by feed limit 1"""
        )
        return None if found is None else (found["feed"], found["seq"])

    def reserve_ids(self, newest: Mapping[str, int]) -> None:
        """Let ids of these tables, up to the newest of each, be given to nothing."""
        with self.session.transaction() as cursor:
            _reserve_ids(cursor, newest)

    def rows_of(self, spec: FeedSpec, batches: Sequence[int], files: Sequence[int]) -> Rows:
        """The rows of files and batches of the group, with whatever they cannot stand without."""
        with self.session.transaction() as cursor:
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
        return cast("Rows", kept)

    def restore(self, spec: FeedSpec, token: int, run: Run, rows: Rows, prepare: Prepare) -> Added:
        """Take one entry in, in one transaction: files as they were decided, batches published once more from what their jobs wrote.

        `prepare` reads what the job of a feed's batch wrote, before the transaction, and gives what publishes it.

        Raises:
            JournalIncomplete: a batch before one of these is missing.
            LedgerMixed: the ledger has something else under a number that the entry names.
            NotTheOwner: the tables are another role's.
        """
        rows = _as_named_now(rows)
        missing = [row for row in rows["batch"] if not self._has_published(spec, row["batch"])]
        publish = {row["batch"]: prepare(row["feed"], row["manifest"]) for row in missing}
        with self.session.fenced(spec, token, run) as cursor:
            _lift_rules(cursor, spec)
            files = _unknown_or_older(cursor, rows)
            ids = [row["file_id"] for row in files]
            _refuse_given_to_another(cursor, spec, rows, ids)
            _insert(cursor, "reference", rows["reference"], "do nothing")
            _upsert(cursor, "batch", ("group_name", "batch"), missing)
            _insert(cursor, "batch_attempt", rows["batch_attempt"], "do nothing")
            _invalidate_versions(cursor, files)
            _upsert(cursor, "file", ("file_id",), [_waiting(row) for row in files])
            _take_events(cursor, rows, ids)
            cursor.execute("delete from fixed_line where file_id = any(%s)", (ids,))
            _insert(cursor, "fixed_line", rows["fixed_line"], "do nothing")
            _switch_rules(cursor, "enable")
            for row in missing:
                _publish_again(cursor, spec, row["batch"], publish[row["batch"]])
            _move_on(cursor, rows)
        leases = max((group["lease_token"] for group in rows["feed_group"]), default=0)
        return Added(frozenset(ids), frozenset(publish), leases)

    def invalidate_leases(self, spec: FeedSpec, token: int) -> None:
        """Let the next lease be newer than any that was given, so that a run from before the backup can write nothing."""
        with self.session.transaction() as cursor:
            cursor.execute(
                "update feed_group set lease_token = greatest(lease_token, %s) + 1 where group_name = %s and lease_holder is null",
                (token, spec.group),
            )

    def _has_published(self, spec: FeedSpec, batch: int) -> bool:
        return (
            self.session.row("select from batch where group_name = %s and batch = %s and state = 'published'", (spec.group, batch))
            is not None
        )


def _as_named_now(rows: Rows) -> Rows:
    """Rows of an entry with the columns that there are now, called as they are now."""
    tables = cast("Mapping[str, Sequence[_Row]]", rows)
    named = {
        table: [{_RENAMED.get(name, name): value for name, value in row.items() if name not in _NO_MORE} for row in of]
        for table, of in tables.items()
    }
    return cast("Rows", named)


def _lift_rules(cursor: Cursor, spec: FeedSpec) -> None:
    """Let files be written as they were decided, without the moves that led there."""
    try:
        _switch_rules(cursor, "disable")
    except InsufficientPrivilege:
        raise NotTheOwner(spec.name) from None


def _switch_rules(cursor: Cursor, how: Literal["enable", "disable"]) -> None:
    cursor.execute(sql.SQL("alter table file ") + sql.SQL(", ").join(sql.SQL(f"{how} trigger {rule}") for rule in _RULES))


def _take_events(cursor: Cursor, rows: Rows, taken: Sequence[int]) -> None:
    """An entry has all that ever happened to its files, so it replaces what is known of those that it knows better."""
    cursor.execute("delete from file_event where file_id = any(%s)", (taken,))
    _insert(cursor, "file_event", rows["file_event"], "do nothing")


def _refuse_given_to_another(cursor: Cursor, spec: FeedSpec, rows: Rows, taken: Sequence[int]) -> None:
    """Put nothing over what has the same number and is not the same; the events of files that are taken from the entry are its own."""
    for table, query in _GIVEN_TO_ANOTHER.items():
        cursor.execute(query.encode(), {"rows": Jsonb(list(cast("Mapping[str, Sequence[_Row]]", rows)[table])), "taken": list(taken)})
        if found := cursor.fetchone():
            raise LedgerMixed(spec.name, f"{found['said']} in the journal, and here it is {found['found']}")


def _unknown_or_older(cursor: Cursor, rows: Rows) -> list[FileRow]:
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


def _waiting(row: FileRow) -> FileRow:
    """A file that no batch had published belongs to none: it waits for the next."""
    return {**row, "group_name": None, "batch": None} if row["state"] in _WAITING else row


def _invalidate_versions(cursor: Cursor, files: Sequence[FileRow]) -> None:
    """What registration did to the versions before these: no row of an entry says so, since it was no change of their state."""
    columns = [[row[name] for row in files] for name in ("feed", "bucket", "key", "version")]
    cursor.execute(
        """update file f set latest = false, location = case when location = 'landing' then 'overwritten' else location end
           from unnest(%s::text[], %s::text[], %s::text[], %s::int[]) as n (feed, bucket, key, version)
           where (f.feed, f.bucket, f.key) = (n.feed, n.bucket, n.key) and f.version < n.version and f.latest""",
        columns,
    )


def _publish_again(cursor: Cursor, spec: FeedSpec, number: int, publish: Publish) -> None:
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
    publish(cursor, batch_from(row, cursor.fetchall()))
    cursor.execute("update feed_group set state_version = %s where group_name = %s", (row["state_version"], spec.group))


def _move_on(cursor: Cursor, rows: Rows) -> None:
    """Let every counter be at least where it was, so that no number is given twice; a seq that no entry has yet is waited for."""
    cursor.execute(
        """update feed set last_seq = coalesce((
               select max(seq) from (
                   select seq, last_seq + row_number() over (order by seq) as next from file where file.feed = feed.feed and seq > last_seq
               ) later where seq = next), last_seq)
           where feed = any(%s)""",
        (sorted({row["feed"] for row in rows["file"]}),),
    )
    for group in rows["feed_group"]:
        cursor.execute(
            "update feed_group set last_batch = greatest(last_batch, %s) where group_name = %s", (group["last_batch"], group["group_name"])
        )
    _reserve_ids(cursor, newest_ids(rows))


def _reserve_ids(cursor: Cursor, newest: Mapping[str, int]) -> None:
    for table, column in SHARED_IDS:
        cursor.execute(
            """select setval(sequence, greatest(pg_sequence_last_value(sequence), %(newest)s))
               from (select pg_get_serial_sequence(%(table)s, %(column)s)::regclass as sequence) found where %(newest)s > 0""",
            {"table": table, "column": column, "newest": newest.get(table, 0)},
        )


def _upsert(cursor: Cursor, table: str, key: Sequence[str], rows: Sequence[_Row]) -> None:
    changed = [name for name in _columns(rows) if name not in key]
    assignments = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in changed)
    conflict = sql.SQL("on conflict ({}) do update set {}").format(sql.SQL(", ").join(map(sql.Identifier, key)), assignments)
    _insert_rows(cursor, table, rows, conflict)


def _insert(cursor: Cursor, table: str, rows: Sequence[_Row], conflict: str) -> None:
    _insert_rows(cursor, table, rows, sql.SQL("on conflict {}").format(sql.SQL(conflict)))


def _insert_rows(cursor: Cursor, table: str, rows: Sequence[_Row], conflict: sql.Composable) -> None:
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


def _columns(rows: Sequence[_Row]) -> list[str]:
    return list(rows[0]) if rows else []
