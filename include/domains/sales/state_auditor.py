"""The objects that hold a dimension, held against the ledger: what is lost or damaged is made again where the recorded bytes result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.domains.sales.request import DimensionManifest, DimensionObjects
from include.errors import ObjectGone
from include.files.batch import RecordedBatch
from include.files.file import ObjectRef
from include.ledger.files import object_refs
from include.ledger.leases import shared_gc_lock
from include.ledger.session import LedgerSession, check_token
from include.pipeline.message import JobObject
from include.pipeline.shadow import remove_shadow, shadow
from include.reconcile.context import ReconcileContext
from include.reconcile.finding import Code, Finding

_BACK = "put the object back from a copy of the bucket; until then no batch of the feed can be processed"
_OBJECTS = """
select * from sales.dimension_state
where feed = %(feed)s and (not %(newest)s or batch = (select max(batch) from sales.dimension_state where feed = %(feed)s))
order by batch, name
"""
_BEFORE = """
select * from sales.dimension_state
where feed = %(feed)s and batch = (select max(batch) from sales.dimension_state where feed = %(feed)s and batch < %(batch)s)
order by name
"""
Row = Mapping[str, Any]
Problem = tuple[Code, str]


@dataclass(frozen=True)
class DimensionStateChecks:
    """One pass of reconciliation over the objects of a dimension, older batches first: the next one's are made of theirs."""

    ledger: LedgerSession

    def state(self, context: ReconcileContext) -> Iterator[Finding]:
        """The objects that hold the dimension after each of its batches; of one date only the newest, which the next batch reads."""
        rows = self.ledger.rows(_OBJECTS, {"feed": context.spec.name, "newest": context.scope.date is not None})
        for batch in sorted({row["batch"] for row in rows if self._problem(context, row, listed=True)}):
            with context.lease() as token:
                yield from self._made_good(context, token, batch)

    def _problem(self, context: ReconcileContext, row: Row, *, listed: bool) -> Problem | None:
        bucket, key = row["bucket"], row["key"]
        there = context.inventory.find(bucket, key) if listed and context.scope.date is None else None
        there = there or context.ports.store.head(bucket, key)  # published after the listing, or not listed
        if there is None:
            return Code.STATE_MISSING, "is not there"
        if (there.size, there.etag) != (row["size"], row["etag"]):
            return Code.STATE_DIFFERS, f"has {there.size} bytes and etag {there.etag}, recorded are {row['size']} and {row['etag']}"
        if context.scope.reads and context.damaged(bucket, key, row["etag"]):
            return Code.STATE_DIFFERS, "does not hold the bytes that its etag names"
        return None

    def _made_good(self, context: ReconcileContext, token: int, number: int) -> Iterator[Finding]:
        """What is wrong with the objects of a batch, each put back where the batch, evaluated beside what is published, gives its bytes."""
        rows = self.ledger.rows(
            "select * from sales.dimension_state where feed = %s and batch = %s order by name", (context.spec.name, number)
        )
        wrong = [(row, problem) for row in rows if (problem := self._problem(context, row, listed=False))]
        if not wrong:
            return
        (recorded,) = context.ports.ledger.batches.between(context.spec, number, number)
        folder, made = context.ports.new_id(), None
        why_not = self._why_not(context, recorded)
        published = DimensionManifest.from_json(recorded.manifest).objects
        try:
            if not why_not:
                made = DimensionManifest.from_json(shadow(context.ports, context.spec, recorded.batch, folder).manifest).objects
            for row, (code, what) in wrong:
                again = _object(made, row) if made is not None else None
                same = again is not None and again.sha256 == _object(published, row).sha256
                if again is not None and same:
                    self._restore(context, token, row, again.key)
                yield _finding(row, code, what, "" if same else why_not or "the job makes other bytes of the same rows now")
        finally:
            remove_shadow(context.ports, context.spec, folder)

    def _why_not(self, context: ReconcileContext, recorded: RecordedBatch) -> str:
        """Why a batch cannot be evaluated once more on what it was evaluated on; empty where it can."""
        batch = recorded.batch.number
        before = self.ledger.rows(_BEFORE, {"feed": context.spec.name, "batch": batch})
        for one in context.ports.ledger.batches.between(context.spec, before[0]["batch"], before[0]["batch"]) if before else ():
            for row in before:
                if not self._holds(context, row, _object(DimensionManifest.from_json(one.manifest).objects, row).sha256):
                    return f"{row['name']} after batch {row['batch']}, which it is made of, is lost too"
        for file in self.ledger.rows(
            """select file_id, bronze, bronze_digest from file
               where feed = %s and group_name = %s and batch = %s and accepted > 0 order by seq""",
            (context.spec.name, context.spec.group, batch),
        ):
            if context.ports.gate.reread(context.spec, file["file_id"], object_refs(file["bronze"])).digest != file["bronze_digest"]:
                return f"bronze of file {file['file_id']} is not what was recorded"
        return ""

    @staticmethod
    def _holds(context: ReconcileContext, row: Row, sha256: str | None) -> bool:
        try:
            return hashlib.sha256(context.ports.store.read_bytes(row["bucket"], row["key"])).hexdigest() == sha256
        except ObjectGone:
            return False

    def _restore(self, context: ReconcileContext, token: int, row: Row, made: str) -> None:
        """Put the bytes under the name that is recorded; the store may give them another etag than before."""
        body = context.ports.store.read_bytes(context.ports.bucket, made)
        ref: ObjectRef = context.ports.store.put(row["bucket"], row["key"], body, rows=row["rows"])
        with self.ledger.transaction(context.run) as cursor:
            check_token(cursor, context.spec, token)
            shared_gc_lock(cursor)
            cursor.execute(
                "update sales.dimension_state set size = %s, etag = %s where feed = %s and batch = %s and name = %s and key = %s",
                (ref.size, ref.etag, row["feed"], row["batch"], row["name"], row["key"]),
            )


def _object(objects: DimensionObjects, row: Row) -> JobObject:
    """What a manifest says of the object that a row of `dimension_state` points at."""
    return {"upserts": objects.upserts, "versions": objects.versions}[row["name"]]


def _finding(row: Row, code: Code, what: str, why_not: str) -> Finding:
    whole = f"{row['name']} of {row['feed']} after batch {row['batch']}, {what}"
    where = f"s3://{row['bucket']}/{row['key']}"
    if why_not:
        return Finding(code, where, f"{whole}, and cannot be made again: {why_not}", _BACK)
    return Finding(code, where, whole, repaired=True)
