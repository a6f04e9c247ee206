"""What is put right: replacements of quarantined files, discarded ones, corrected rows."""

from __future__ import annotations

from psycopg.rows import DictRow

from include.errors import FileUnknown, UsageError
from include.feed import FeedSpec, OverwritePolicy
from include.files.file import FileStamp, Kind, LedgerFile, State
from include.files.fix import FixParent
from include.ledger.decisions import current_versions_under
from include.ledger.files import file_record, ledger_file
from include.ledger.session import Cursor, LedgerPart, act, note
from include.run import Run


class Replays(LedgerPart):
    """A person's corrections. They need no lease: they lock the feed's group, as every write under a lease does."""

    def fix_parent(self, feed: str, file_id: int, before_seq: int) -> FixParent | None:
        """A file that corrected rows refer to, and its lines that came in with files before a seq; None where the feed has no such file."""
        row = self.session.row(
            "select *, validated_at is not null as validated from file where feed = %s and file_id = %s", (feed, file_id)
        )
        if row is None:
            return None
        fixed = self.session.rows(
            "select l.line, l.file_id from fixed_line l join file f using (file_id) where l.parent = %s and f.seq < %s",
            (file_id, before_seq),
        )
        header = None if row["header"] is None else tuple(row["header"])
        return FixParent(file_record(row), header, {line["line"]: line["file_id"] for line in fixed})

    def register_replacement(self, spec: FeedSpec, run: Run, parent: int, stamp: FileStamp, by: str, why: str) -> LedgerFile:
        """Give the bytes that stand in for a quarantined file a row and the next seq; until they are decided the file is `replaying`.

        Raises:
            UsageError: the file is not quarantined, or bytes to stand in for it wait already.
        """
        with self.session.transaction(run) as cursor:
            act(cursor, by)
            file = _locked(cursor, spec, parent)
            _refuse_replay(file, _waiting_replacement(cursor, parent))
            _superseded_by_replay(cursor, spec, file)
            cursor.execute("update feed set last_seq = last_seq + 1 where feed = %s returning last_seq", (spec.name,))
            feed = cursor.fetchone()
            assert feed is not None
            cursor.execute(
                """insert into file (feed, seq, bucket, key, version, etag, size, last_modified, date, kind, parent, origin,
                                     requested_by, why)
                   values (%s, %s, %s, %s, 1, %s, %s, %s, %s, 'replacement', %s, %s, %s, %s)
                   returning *, validated_at is not null as validated""",
                (
                    *(spec.name, feed["last_seq"], stamp.bucket, stamp.key, stamp.etag, stamp.size, stamp.last_modified, file["date"]),
                    *(parent, file["origin"] or parent, by, why),
                ),
            )
            row = cursor.fetchone()
            assert row is not None
            cursor.execute("update file set state = 'replaying' where file_id = %s", (parent,))
            note(cursor, parent, "replay", f"file {row['file_id']} (seq {row['seq']}) is to take its place: {why}", by)
        return ledger_file(row)

    def discard(self, spec: FeedSpec, run: Run, file_id: int, by: str, why: str) -> None:
        """Mark a quarantined file as not wanted: by whom and why stays on record, and so do its bytes.

        Raises:
            UsageError: it is not quarantined.
        """
        with self.session.transaction(run) as cursor:
            act(cursor, by)
            file = _locked(cursor, spec, file_id)
            if file["state"] != State.QUARANTINED:
                raise UsageError(f"{file['key']} is {file['state']}: only a quarantined file can be discarded")
            cursor.execute(
                "update file set state = 'discarded', reason = %s, delivered_at = null where file_id = %s",
                (f"discarded by {by}: {why}", file_id),
            )

    def refuse_replay(self, spec: FeedSpec, file_id: int) -> None:
        """Refuse a file that cannot be replayed as it is now.

        Raises:
            UsageError: it is not quarantined, or it is being replayed.
        """
        with self.session.transaction() as cursor:
            file = _locked(cursor, spec, file_id)
            _refuse_replay(file, _waiting_replacement(cursor, file_id))
            _superseded_by_replay(cursor, spec, file)

    def takes_the_place_of(self, spec: FeedSpec, file_id: int) -> list[tuple[int, int]]:
        """The files and seqs in force whose place a file would take if its bytes were right now.

        Raises:
            UsageError: a newer version of its name is in force.
        """
        with self.session.transaction() as cursor:
            return _superseded_by_replay(cursor, spec, _locked(cursor, spec, file_id))

    def holder_of(self, spec: FeedSpec, sha256: str) -> tuple[int, int] | None:
        """The file and seq that was accepted with these bytes."""
        row = self.session.row(
            "select file_id, seq from file where feed = %s and sha256 = %s and state in ('accepted', 'published')", (spec.name, sha256)
        )
        return None if row is None else (row["file_id"], row["seq"])


def _refuse_replay(file: DictRow, waiting: DictRow | None) -> None:
    """Refuse what cannot be replayed, with what to do instead.

    Raises:
        UsageError: the file is in another state than quarantined, or is a kind that is put right in another way.
    """
    if waiting is not None:
        raise UsageError(
            f"{file['key']} is being replayed: file {waiting['file_id']} (seq {waiting['seq']}) waits to take its place, "
            f"asked for by {waiting['requested_by']}; `sluice ingest {file['feed']}` decides it"
        )
    if file["state"] != State.QUARANTINED:
        raise UsageError(f"{file['key']} (file {file['file_id']}) is {file['state']}: only a quarantined file can be replayed")
    if file["kind"] == Kind.ROW_FIX:
        raise UsageError(
            f"{file['key']} holds corrected rows: correct them again and put them below fixes/ under another name "
            "(docs/runbooks/rejected-rows.md)"
        )
    if file["kind"] == Kind.REPLACEMENT and file["parent_state"] == State.QUARANTINED:
        raise UsageError(f"{file['key']} was to take the place of file {file['parent']}: replay file {file['parent']}")


def _superseded_by_replay(cursor: Cursor, spec: FeedSpec, file: DictRow) -> list[tuple[int, int]]:
    """The files in force under the name of a file, where its feed's files supersede each other.

    Raises:
        UsageError: one of them is newer than the file.
    """
    if spec.overwrite is not OverwritePolicy.SUPERSEDE:
        return []
    cursor.execute("select bucket, key, seq from file where file_id = coalesce(%s, %s)", (file["origin"], file["file_id"]))
    landed = cursor.fetchone()
    assert landed is not None, "a file of the feed"
    current_versions = current_versions_under(cursor, spec, [(landed["bucket"], landed["key"])]).get((landed["bucket"], landed["key"]), [])
    if current_versions and current_versions[-1].version > landed["seq"]:
        raise UsageError(
            f"{landed['key']}, seq {landed['seq']}, is replayed no more: "
            f"file {current_versions[-1].file_id}, seq {current_versions[-1].seq}, a newer version of the same name is in force; "
            "land the corrected content under that name"
        )
    return [(one.file_id, one.seq) for one in current_versions]


def _locked(cursor: Cursor, spec: FeedSpec, file_id: int) -> DictRow:
    """A file's row while nobody else writes to its feed."""
    cursor.execute("select 1 from feed_group where group_name = %s for update", (spec.group,))
    cursor.execute(
        """select f.*, p.state as parent_state from file f left join file p on p.file_id = f.parent
           where f.feed = %s and f.file_id = %s""",
        (spec.name, file_id),
    )
    file = cursor.fetchone()
    if file is None:
        raise FileUnknown(str(file_id))
    return file


def _waiting_replacement(cursor: Cursor, parent: int) -> DictRow | None:
    cursor.execute(
        "select file_id, seq, requested_by from file where parent = %s and kind = 'replacement' and state = 'registered'", (parent,)
    )
    return cursor.fetchone()
