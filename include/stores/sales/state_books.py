"""The objects that hold a dimension, held against the ledger: what is lost or damaged is made again where the recorded bytes result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from include.ingestion.errors import ObjectGone
from include.ingestion.file import ObjectRef
from include.ingestion.past.recorded import RecordedBatch
from include.ingestion.past.shadow import remove_shadow, shadow
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.look import Look
from include.stores.ledger.books import begin_to_point
from include.stores.ledger.files import object_refs
from include.stores.ledger.session import LedgerSession, check_token

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


class DimensionStateBooks:
    """One pass of reconciliation over the objects of a dimension, older batches first: the next one's are made of theirs."""

    def __init__(self, ledger: LedgerSession) -> None:
        self._ledger = ledger

    def state(self, look: Look) -> Iterator[Finding]:
        """The objects that hold the dimension after each of its batches; of one date only the newest, which the next batch reads."""
        rows = self._ledger.rows(_OBJECTS, {"feed": look.spec.name, "newest": look.scope.date is not None})
        for batch in sorted({row["batch"] for row in rows if self._problem(look, row, listed=True)}):
            with look.lease() as token:
                yield from self._made_good(look, token, batch)

    def _problem(self, look: Look, row: Row, *, listed: bool) -> Problem | None:
        bucket, key = row["bucket"], row["key"]
        there = look.inventory.find(bucket, key) if listed and look.scope.date is None else None
        there = there or look.ports.store.head(bucket, key)  # published after the listing, or not listed
        if there is None:
            return Code.STATE_MISSING, "is not there"
        if (there.size, there.etag) != (row["size"], row["etag"]):
            return Code.STATE_DIFFERS, f"has {there.size} bytes and etag {there.etag}, recorded are {row['size']} and {row['etag']}"
        if look.scope.reads and look.damaged(bucket, key, row["etag"]):
            return Code.STATE_DIFFERS, "does not hold the bytes that its etag names"
        return None

    def _made_good(self, look: Look, token: int, number: int) -> Iterator[Finding]:
        """What is wrong with the objects of a batch, each put back where the batch, evaluated beside what is published, gives its bytes."""
        rows = self._ledger.rows(
            "select * from sales.dimension_state where feed = %s and batch = %s order by name", (look.spec.name, number)
        )
        wrong = [(row, problem) for row in rows if (problem := self._problem(look, row, listed=False))]
        if not wrong:
            return
        (recorded,) = look.ports.ledger.batches_between(look.spec, number, number)
        folder, made = look.ports.new_id(), {}
        why_not = self._why_not(look, recorded)
        try:
            if not why_not:
                made = shadow(look.ports, look.spec, recorded.batch, folder).manifest["objects"]
            for row, (code, what) in wrong:
                same = bool(made) and made[row["name"]]["sha256"] == recorded.manifest["objects"][row["name"]]["sha256"]
                if same:
                    self._put_back(look, token, row, made[row["name"]]["key"])
                yield _finding(row, code, what, "" if same else why_not or "the job makes other bytes of the same rows now")
        finally:
            remove_shadow(look.ports, look.spec, folder)

    def _why_not(self, look: Look, recorded: RecordedBatch) -> str:
        """Why a batch cannot be evaluated once more on what it was evaluated on; empty where it can."""
        batch = recorded.batch.number
        before = self._ledger.rows(_BEFORE, {"feed": look.spec.name, "batch": batch})
        for one in look.ports.ledger.batches_between(look.spec, before[0]["batch"], before[0]["batch"]) if before else ():
            for row in before:
                if not self._holds(look, row, one.manifest["objects"][row["name"]]["sha256"]):
                    return f"{row['name']} after batch {row['batch']}, which it is made of, is lost too"
        for file in self._ledger.rows(
            """select file_id, bronze, bronze_digest from file
               where feed = %s and group_name = %s and batch = %s and accepted > 0 order by seq""",
            (look.spec.name, look.spec.group, batch),
        ):
            if look.ports.gate.reread(look.spec, file["file_id"], object_refs(file["bronze"])).digest != file["bronze_digest"]:
                return f"bronze of file {file['file_id']} is not what was recorded"
        return ""

    @staticmethod
    def _holds(look: Look, row: Row, sha256: str) -> bool:
        try:
            return hashlib.sha256(look.ports.store.read_bytes(row["bucket"], row["key"])).hexdigest() == sha256
        except ObjectGone:
            return False

    def _put_back(self, look: Look, token: int, row: Row, made: str) -> None:
        """Put the bytes under the name that is recorded; the store may give them another etag than before."""
        body = look.ports.store.read_bytes(look.ports.bucket, made)
        ref: ObjectRef = look.ports.store.put(row["bucket"], row["key"], body, rows=row["rows"])
        with self._ledger.transaction(look.run) as cursor:
            check_token(cursor, look.spec, token)
            begin_to_point(cursor)
            cursor.execute(
                "update sales.dimension_state set size = %s, etag = %s where feed = %s and batch = %s and name = %s and key = %s",
                (ref.size, ref.etag, row["feed"], row["batch"], row["name"], row["key"]),
            )


def _finding(row: Row, code: Code, what: str, why_not: str) -> Finding:
    said = f"{row['name']} of {row['feed']} after batch {row['batch']}, {what}"
    where = f"s3://{row['bucket']}/{row['key']}"
    if why_not:
        return Finding(code, where, f"{said}, and cannot be made again: {why_not}", _BACK)
    return Finding(code, where, said, repaired=True)
