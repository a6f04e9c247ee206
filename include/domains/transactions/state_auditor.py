"""The state of the transactions feed, held against the ledger: what is lost or damaged is made again from bronze, or the level below."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from include.domains.transactions.partials import (
    OF_BRONZE,
    contribution,
    contributions,
    merge_objects,
    merged_objects,
    same_rows,
    sums_by_seq,
)
from include.domains.transactions.queries import state_object
from include.domains.transactions.request import DetectManifest
from include.errors import ObjectGone, refuse_if_short
from include.files import keys
from include.files.file import FileStamp, ObjectRef
from include.ledger.files import object_refs
from include.ledger.leases import shared_gc_lock
from include.ledger.session import LedgerSession, check_token
from include.reconcile.context import ReconcileContext
from include.reconcile.finding import Code, Finding
from include.storage.parquet import parquet_bytes, parquet_table

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
class Recorded:
    """What the manifest of the published attempt says of a batch's contribution; `sums`: rows and cents by seq."""

    batch: int | None
    key: str | None
    sha256: str | None
    sums: Mapping[int, tuple[int, int]]


@dataclass(frozen=True)
class Rebuilt:
    """An object made again, or why it cannot be."""

    ref: ObjectRef | None
    why_not: str = ""


@dataclass(frozen=True)
class StateChecks:
    """One pass of reconciliation over the feed's state, lower levels first: the higher ones are made of them."""

    ledger: LedgerSession

    def state(self, context: ReconcileContext) -> Iterator[Finding]:
        """State objects that are missing or damaged."""
        for row in self.ledger.rows(_OBJECTS, {"feed": context.spec.name, "date": context.scope.date}):
            if self._problem(context, row, listed=True) is None or self._problem(context, row, listed=False) is None:
                continue
            with context.lease() as token:
                now = self.ledger.row(
                    "select * from state_object where feed = %s and level = %s and first_seq = %s",
                    (context.spec.name, row["level"], row["first_seq"]),
                )
                problem = self._problem(context, now, listed=False) if now else None
                if now is not None and problem is not None:
                    yield self._made_good(context, token, now, *problem)

    def _problem(self, context: ReconcileContext, row: Mapping[str, Any], *, listed: bool) -> tuple[Code, str] | None:
        there = self._there(context, row, listed=listed)
        if there is None:
            return Code.STATE_MISSING, "is not there"
        if (there.size, there.etag) != (row["size"], row["etag"]):
            what = f"has {there.size} bytes and etag {there.etag}, recorded are {row['size']} and {row['etag']}"
            return Code.STATE_DIFFERS, what
        if not context.scope.reads:
            return None
        try:
            what = self._difference(context, row)
            if not what and context.damaged(row["bucket"], row["key"], row["etag"]):
                what = "does not hold the bytes that its etag names"
        except ObjectGone:
            return Code.STATE_MISSING, "is not there"
        except DAMAGED as damaged:
            refuse_if_short(damaged)
            what = f"cannot be read as the Parquet that was written ({type(damaged).__name__})"
        return (Code.STATE_DIFFERS, what) if what else None

    def _there(self, context: ReconcileContext, row: Mapping[str, Any], *, listed: bool) -> FileStamp | None:
        if listed and context.scope.date is None:
            return context.inventory.find(row["bucket"], row["key"])
        return context.ports.store.head(row["bucket"], row["key"])

    def _difference(self, context: ReconcileContext, row: Mapping[str, Any]) -> str:
        """What an object holds that it should not, in words; empty where it holds what it should."""
        store = context.ports.store
        if row["level"] == 0:
            body = store.read_bytes(row["bucket"], row["key"])
            recorded = self._recorded(context.spec.name, row)
            if recorded.key == row["key"] and recorded.sha256:
                return "" if hashlib.sha256(body).hexdigest() == recorded.sha256 else "does not have the recorded sha256"
            return "" if sums_by_seq(parquet_table(body)) == recorded.sums else "does not hold the recorded rows and cents of each file"
        with ExitStack() as stack:
            held = merged_objects(store, row["bucket"], [state_object(row)], stack)
            below = merged_objects(store, row["bucket"], [state_object(part) for part in self._below(context.spec.name, row)], stack)
            return "" if same_rows(held, below) else f"does not hold the sum of the objects of level {row['level'] - 1} below it"

    def _recorded(self, feed: str, row: Mapping[str, Any]) -> Recorded:
        found = self.ledger.row(
            "select batch, manifest from batch where feed = %s and state = 'published' and first_seq = %s and last_seq = %s",
            (feed, row["first_seq"], row["last_seq"]),
        )
        if found is None:
            return Recorded(None, None, None, {})
        made = DetectManifest.from_json(found["manifest"])
        sums = {file.seq: (file.rows, file.cents or 0) for file in made.files if file.rows}
        return Recorded(found["batch"], made.objects.partials.key, made.objects.partials.sha256, sums)

    def _below(self, feed: str, row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return self.ledger.rows(
            """select key, level, first_seq, last_seq, rows from state_object
               where feed = %s and level = %s and first_seq >= %s and last_seq <= %s order by first_seq""",
            (feed, row["level"] - 1, row["first_seq"], row["last_seq"]),
        )

    def _made_good(self, context: ReconcileContext, token: int, row: Mapping[str, Any], code: Code, what: str) -> Finding:
        where = f"s3://{row['bucket']}/{row['key']}"
        seqs = f"state of seq {row['first_seq']}-{row['last_seq']}, level {row['level']}"
        try:
            rebuilt = self._partials_again(context, row) if row["level"] == 0 else self._merged_again(context, row)
        except (ObjectGone, *DAMAGED) as damaged:
            refuse_if_short(damaged)
            rebuilt = Rebuilt(None, f"an object that it is made of is not there or damaged ({damaged})")
        if rebuilt.ref is None:
            return Finding(code, where, f"{seqs}, {what}, and cannot be made again: {rebuilt.why_not}", _BACK)
        self._point(context, token, row, rebuilt.ref)
        return Finding(code, where, f"{seqs}, {what}; now at {rebuilt.ref.key}", repaired=True)

    def _partials_again(self, context: ReconcileContext, row: Mapping[str, Any]) -> Rebuilt:
        """A batch's contribution from the bronze rows of its files, each proven by its recorded digest first."""
        recorded = self._recorded(context.spec.name, row)
        files = self.ledger.rows(
            """select file_id, seq, bronze, bronze_digest from file
               where feed = %s and batch = %s and group_name = %s and accepted > 0 order by seq""",
            (context.spec.name, recorded.batch, context.spec.group),
        )
        parts = []
        for file in files:
            refs = object_refs(file["bronze"])
            again = context.ports.gate.reread(context.spec, file["file_id"], refs)
            if again.digest != file["bronze_digest"]:
                return Rebuilt(None, f"bronze of file {file['file_id']} is not what was recorded")
            tables = [parquet_table(context.ports.store.read_bytes(row["bucket"], ref.key)).select(OF_BRONZE) for ref in refs]
            parts.append(contribution(file["seq"], pa.concat_tables(tables)))
        table = contributions(parts) if parts else None
        if table is None or sums_by_seq(table) != recorded.sums:
            return Rebuilt(None, "the rows and cents of its files are not those that its batch recorded")
        body = parquet_bytes(table)
        same = recorded.key == row["key"] and hashlib.sha256(body).hexdigest() == recorded.sha256
        key = row["key"] if same else keys.rebuilt_state(context.spec.name, row["first_seq"], row["last_seq"], context.ports.new_id())
        return Rebuilt(context.ports.store.put(row["bucket"], key, body, rows=table.num_rows))

    def _merged_again(self, context: ReconcileContext, row: Mapping[str, Any]) -> Rebuilt:
        """An object of a higher level from those below it, which were looked at before it."""
        below = self._below(context.spec.name, row)
        if not below:
            return Rebuilt(None, f"no objects of level {row['level'] - 1} hold its seqs")
        key = keys.compacted_state(context.spec.name, row["level"], row["first_seq"], row["last_seq"], context.ports.new_id())
        return Rebuilt(merge_objects(context.ports.store, row["bucket"], [state_object(part) for part in below], key))

    def _point(self, context: ReconcileContext, token: int, row: Mapping[str, Any], ref: ObjectRef) -> None:
        with self.ledger.transaction(context.run) as cursor:
            check_token(cursor, context.spec, token)
            shared_gc_lock(cursor)
            if context.ports.store.head(row["bucket"], ref.key) is None:
                raise ObjectGone(row["bucket"], ref.key, ref.etag, "deleted as unreferred")
            cursor.execute(
                """update state_object set key = %s, size = %s, etag = %s, rows = %s
                   where feed = %s and level = %s and first_seq = %s and last_seq = %s""",
                (ref.key, ref.size, ref.etag, ref.rows, context.spec.name, row["level"], row["first_seq"], row["last_seq"]),
            )
