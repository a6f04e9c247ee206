"""The state of the transactions feed, held against the ledger: what is lost or damaged is made again from bronze, or the level below."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from include.feeds.transactions.compaction import compact, merged_objects
from include.feeds.transactions.job import StateObject
from include.feeds.transactions.partials import OF_BRONZE, contribution, contributions, same_rows, sums_by_seq
from include.feeds.transactions.spec import TRANSACTIONS
from include.feeds.transactions.state import parquet_bytes, parquet_table
from include.ingestion import keys
from include.ingestion.errors import ObjectGone
from include.ingestion.file import FileStamp, ObjectRef
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.look import Look
from include.ingestion.run import Run
from include.stores.ledger.books import begin_to_point
from include.stores.ledger.files import object_refs
from include.stores.ledger.session import LedgerSession, check_token

DAMAGED = (pa.ArrowException, KeyError, OSError, TypeError, ValueError, AttributeError)
_BACK = "put the original bytes of its files back, so that their bronze can be made again"

_OBJECTS = """
select s.level, s.first_seq, s.last_seq, s.bucket, s.key, s.size, s.etag, s.rows from state_object s
where s.feed = %(feed)s
  and (%(date)s::date is null
       or exists (select from file f where f.feed = s.feed and f.seq between s.first_seq and s.last_seq and f.date = %(date)s))
order by s.level, s.first_seq
"""


@dataclass(frozen=True)
class Rebuilt:
    """An object made again, or why it cannot be."""

    ref: ObjectRef | None
    why_not: str = ""


class StateBooks:
    """One pass of reconciliation over the feed's state, lower levels first: the higher ones are made of them."""

    def __init__(self, ledger: LedgerSession) -> None:
        self._ledger = ledger

    def state(self, look: Look) -> Iterator[Finding]:
        """State objects that are missing or damaged."""
        for row in self._ledger.rows(_OBJECTS, {"feed": look.spec.name, "date": look.scope.date}):
            if self._problem(look, row, listed=True) is None or self._problem(look, row, listed=False) is None:
                continue
            with look.lease() as token:
                now = self._ledger.row(
                    "select * from state_object where feed = %s and level = %s and first_seq = %s",
                    (look.spec.name, row["level"], row["first_seq"]),
                )
                problem = self._problem(look, now, listed=False) if now else None
                if now is not None and problem is not None:
                    yield self._made_good(look, token, now, *problem)

    def _problem(self, look: Look, row: Mapping[str, Any], *, listed: bool) -> tuple[Code, str] | None:
        there = self._there(look, row, listed=listed)
        if there is None:
            return Code.STATE_MISSING, "is not there"
        if (there.size, there.etag) != (row["size"], row["etag"]):
            what = f"has {there.size} bytes and etag {there.etag}, recorded are {row['size']} and {row['etag']}"
            return Code.STATE_DIFFERS, what
        if not look.scope.reads:
            return None
        try:
            what = self._difference(look, row)
            if not what and look.damaged(row["bucket"], row["key"], row["etag"]):
                what = "does not hold the bytes that its etag names"
        except ObjectGone:
            return Code.STATE_MISSING, "is not there"
        except DAMAGED as damaged:
            what = f"cannot be read as the Parquet that was written ({type(damaged).__name__})"
        return (Code.STATE_DIFFERS, what) if what else None

    def _there(self, look: Look, row: Mapping[str, Any], *, listed: bool) -> FileStamp | None:
        if listed and look.scope.date is None:
            return look.inventory.find(row["bucket"], row["key"])
        return look.ports.store.head(row["bucket"], row["key"])

    def _difference(self, look: Look, row: Mapping[str, Any]) -> str:
        """What an object holds that it should not, in words; empty where it holds what it should."""
        store = look.ports.store
        if row["level"] == 0:
            body = store.read_bytes(row["bucket"], row["key"])
            recorded = self._recorded(look.spec.name, row)
            if recorded["key"] == row["key"] and recorded["sha256"]:
                return "" if hashlib.sha256(body).hexdigest() == recorded["sha256"] else "does not have the recorded sha256"
            return "" if sums_by_seq(parquet_table(body)) == recorded["sums"] else "does not hold the recorded rows and cents of each file"
        with ExitStack() as stack:
            held = merged_objects(store, row["bucket"], [_state_object(row)], stack)
            below = merged_objects(store, row["bucket"], [_state_object(part) for part in self._below(look.spec.name, row)], stack)
            return "" if same_rows(held, below) else f"does not hold the sum of the objects of level {row['level'] - 1} below it"

    def _recorded(self, feed: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """What the manifest of the published attempt says of a batch's contribution: key, sha256, and (rows, cents) by seq."""
        found = self._ledger.row(
            "select batch, manifest from batch where feed = %s and state = 'published' and first_seq = %s and last_seq = %s",
            (feed, row["first_seq"], row["last_seq"]),
        )
        manifest = found["manifest"] if found else {"objects": {}, "files": []}
        partials = manifest["objects"].get("partials", {})
        return {
            "batch": found and found["batch"],
            "key": partials.get("key"),
            "sha256": partials.get("sha256"),
            "sums": {file["seq"]: (file["rows"], file["cents"]) for file in manifest["files"] if file["rows"]},
        }

    def _below(self, feed: str, row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return self._ledger.rows(
            """select key, level, first_seq, last_seq, rows from state_object
               where feed = %s and level = %s and first_seq >= %s and last_seq <= %s order by first_seq""",
            (feed, row["level"] - 1, row["first_seq"], row["last_seq"]),
        )

    def _made_good(self, look: Look, token: int, row: Mapping[str, Any], code: Code, what: str) -> Finding:
        where = f"s3://{row['bucket']}/{row['key']}"
        stretch = f"state of seq {row['first_seq']}-{row['last_seq']}, level {row['level']}"
        try:
            rebuilt = self._partials_again(look, row) if row["level"] == 0 else self._merged_again(look, row)
        except (ObjectGone, *DAMAGED) as damaged:
            rebuilt = Rebuilt(None, f"an object that it is made of is not there or damaged ({damaged})")
        if rebuilt.ref is None:
            return Finding(code, where, f"{stretch}, {what}, and cannot be made again: {rebuilt.why_not}", _BACK)
        self._point(look, token, look.run, row, rebuilt.ref)
        return Finding(code, where, f"{stretch}, {what}; now at {rebuilt.ref.key}", repaired=True)

    def _partials_again(self, look: Look, row: Mapping[str, Any]) -> Rebuilt:
        """A batch's contribution from the bronze rows of its files, each proven by its recorded digest first."""
        recorded = self._recorded(look.spec.name, row)
        files = self._ledger.rows(
            """select file_id, seq, bronze, bronze_digest from file
               where feed = %s and batch = %s and group_name = %s and accepted > 0 order by seq""",
            (look.spec.name, recorded["batch"], look.spec.group),
        )
        parts = []
        for file in files:
            refs = object_refs(file["bronze"])
            again = look.ports.gate.reread(look.spec, file["file_id"], refs)
            if again.digest != file["bronze_digest"]:
                return Rebuilt(None, f"bronze of file {file['file_id']} is not what was recorded")
            tables = [parquet_table(look.ports.store.read_bytes(row["bucket"], ref.key)).select(OF_BRONZE) for ref in refs]
            parts.append(contribution(file["seq"], pa.concat_tables(tables)))
        table = contributions(parts) if parts else None
        if table is None or sums_by_seq(table) != recorded["sums"]:
            return Rebuilt(None, "the rows and cents of its files are not those that its batch recorded")
        body = parquet_bytes(table)
        same = recorded["key"] == row["key"] and hashlib.sha256(body).hexdigest() == recorded["sha256"]
        key = row["key"] if same else keys.rebuilt_state(look.spec.name, row["first_seq"], row["last_seq"], look.ports.new_id())
        return Rebuilt(look.ports.store.put(row["bucket"], key, body, rows=table.num_rows))

    def _merged_again(self, look: Look, row: Mapping[str, Any]) -> Rebuilt:
        """An object of a higher level from those below it, which were looked at before it."""
        below = self._below(look.spec.name, row)
        if not below:
            return Rebuilt(None, f"no objects of level {row['level'] - 1} hold its seqs")
        key = keys.compacted_state(look.spec.name, row["level"], row["first_seq"], row["last_seq"], look.ports.new_id())
        return Rebuilt(compact(look.ports.store, row["bucket"], [_state_object(part) for part in below], key))

    def _point(self, look: Look, token: int, run: Run, row: Mapping[str, Any], ref: ObjectRef) -> None:
        with self._ledger.transaction(run) as cursor:
            check_token(cursor, look.spec, token)
            begin_to_point(cursor)
            if look.ports.store.head(row["bucket"], ref.key) is None:
                raise ObjectGone(row["bucket"], ref.key, ref.etag, "deleted as unreferred")
            cursor.execute(
                """update state_object set key = %s, size = %s, etag = %s, rows = %s
                   where feed = %s and level = %s and first_seq = %s and last_seq = %s""",
                (ref.key, ref.size, ref.etag, ref.rows, TRANSACTIONS.name, row["level"], row["first_seq"], row["last_seq"]),
            )


def _state_object(row: Mapping[str, Any]) -> StateObject:
    return StateObject(row["key"], row["level"], row["first_seq"], row["last_seq"], row["rows"])
