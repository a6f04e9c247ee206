"""Detections and state of the transactions feed, as people and the feed's own parts ask for them. Nothing is changed here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.domains.transactions.request import StateObject
from include.ledger.session import LedgerSession
from include.storage.object_store import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Detection:
    """A published detection, as files tell of it."""

    number: int
    pattern_id: str
    action_type: str
    customer_name: str | None
    merchant_id: str
    detected_at: dt.datetime
    y_start_at: dt.datetime


_HOLDING = """
with usable as (
    select * from state_object
    where feed = %(feed)s and (last_seq <= %(seq)s or (%(cut)s and level = 0 and first_seq <= %(seq)s))
)
select key, level, first_seq, last_seq, rows, etag from usable u
where not exists (select from usable h where h.level > u.level and h.first_seq <= u.first_seq and h.last_seq >= u.last_seq)
order by first_seq
"""


def detections_between(ledger: LedgerSession, first: int, last: int) -> list[Detection]:
    """The detections of these numbers, in order."""
    rows = ledger.rows(
        """select number, pattern_id, action_type, customer_name, merchant_id, detected_at, y_start_at
           from detection where number between %s and %s order by number""",
        (first, last),
    )
    return [Detection(**row) for row in rows]


def list_detections(
    ledger: LedgerSession, pattern: str | None = None, merchant: str | None = None, file_id: int | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Published detections in number order, all or those after one file; with a limit the newest."""
    return ledger.rows(
        """select * from (
               select d.number, d.seq, f.key as file_key, d.pattern_id, d.action_type, d.customer_name, d.merchant_id,
                      d.detected_at, d.y_start_at
               from detection d join file f on f.feed = 'transactions' and f.seq = d.seq
               where (%(pattern)s::text is null or d.pattern_id = %(pattern)s)
                 and (%(merchant)s::text is null or d.merchant_id = %(merchant)s)
                 and (%(file_id)s::bigint is null or f.file_id = %(file_id)s)
               order by d.number desc limit %(limit)s
           ) newest order by number""",
        {"pattern": pattern, "merchant": merchant, "file_id": file_id, "limit": limit},
    )


def counts_by_pattern(ledger: LedgerSession) -> dict[str, int]:
    """How many detections there are of each pattern."""
    rows = ledger.rows("select pattern_id, count(*) as n from detection group by pattern_id order by 1")
    return {row["pattern_id"]: row["n"] for row in rows}


def newest_published_seq(ledger: LedgerSession, feed: str) -> int:
    """The highest published seq, 0 if there is none."""
    found = ledger.row("select coalesce(max(seq), 0) as seq from file where feed = %s and state = 'published'", (feed,))
    return found["seq"] if found else 0


def uncovered_state(ledger: LedgerSession, feed: str) -> list[StateObject]:
    """The objects that together hold every published seq once."""
    rows = ledger.rows(
        "select key, level, first_seq, last_seq, rows from state_object where feed = %s and not covered order by first_seq", (feed,)
    )
    return [StateObject(**row) for row in rows]


def state_until(ledger: LedgerSession, feed: str, seq: int) -> list[StateObject]:
    """The objects that together hold what is published up to the end of a batch."""
    return [state_object(row) for row in ledger.rows(_HOLDING, {"feed": feed, "seq": seq, "cut": False})]


def state_object(row: Mapping[str, Any]) -> StateObject:
    return StateObject(row["key"], row["level"], row["first_seq"], row["last_seq"], row["rows"])


def state_as_of(
    ledger: LedgerSession, store: ObjectStore, bucket: str, feed: str, seq: int | None, merchant: str | None
) -> list[dict[str, Any]]:
    """(merchant, customer, n, cents, gender) as of a file, sorted by merchant and customer; None = all that is published."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from include.storage.parquet import parquet_table

    newest = newest_published_seq(ledger, feed) if seq is None else seq
    pieces: list[pa.Table] = []
    for part in ledger.rows(_HOLDING, {"feed": feed, "seq": newest, "cut": True}):  # the batch that the seq lies in too, to be cut
        table = parquet_table(store.read_bytes(bucket, part["key"], part["etag"]))
        if part["level"] == 0:
            table = table.filter(pc.less_equal(table["seq"], newest)).rename_columns({"seq": "first_seq"})
        if merchant is not None:
            table = table.filter(pc.equal(table["merchant"], merchant))
        pieces.append(table.select(["merchant", "customer", "first_seq", "n", "cents", "gender"]))
    if not pieces:
        return []
    rows = pa.concat_tables(pieces).sort_by("first_seq")
    summed = rows.group_by(["merchant", "customer"], use_threads=False).aggregate([("n", "sum"), ("cents", "sum"), ("gender", "first")])
    named = summed.rename_columns({"n_sum": "n", "cents_sum": "cents", "gender_first": "gender"})
    held: list[dict[str, Any]] = named.sort_by([("merchant", "ascending"), ("customer", "ascending")]).to_pylist()
    return held
