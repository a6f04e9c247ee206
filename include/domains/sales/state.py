"""What the jobs of the star stand on: which objects hold a dimension, and which files of facts are in force."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from include.domains.sales.request import PublishedFacts
from include.domains.sales.schema import DIMENSIONS
from include.files.file import ObjectRef
from include.ledger.files import object_refs
from include.ledger.session import Cursor, LedgerSession

_NEWEST = 2**62


def versions_of(ledger: LedgerSession, before_batch: int = _NEWEST) -> dict[str, str]:
    """The object with the versions of each dimension that has any, by feed; as of before a batch, or as they are."""
    found = {feed: dimension_object(ledger, feed, "versions", before_batch) for feed in DIMENSIONS}
    return {feed: key for feed, key in found.items() if key is not None}


def dimension_object(ledger: LedgerSession, feed: str, name: str, before_batch: int) -> str | None:
    """The key of the object that holds a dimension as of before a batch; None where none of its batches came before."""
    row = ledger.row(
        "select key from sales.dimension_state where feed = %s and name = %s and batch < %s order by batch desc limit 1",
        (feed, name, before_batch),
    )
    return None if row is None else str(row["key"])


def point_at(cursor: Cursor, feed: str, batch: int, name: str, bucket: str, ref: ObjectRef) -> None:
    """Make an object what the published dimension is read from."""
    cursor.execute(
        """insert into sales.dimension_state (feed, batch, name, bucket, key, size, etag, rows)
           values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (feed, batch, name, bucket, ref.key, ref.size, ref.etag, ref.rows),
    )


def file_dates(ledger: LedgerSession, file_ids: Collection[int]) -> dict[int, dt.date]:
    rows = ledger.rows("select file_id, date from file where file_id = any(%s)", (list(file_ids),))
    return {row["file_id"]: row["date"] for row in rows}


def published_facts(ledger: LedgerSession) -> tuple[PublishedFacts, ...]:
    """Every file of facts in force that has rows, in seq order."""
    rows = ledger.rows(
        """select f.file_id, f.bronze, m.first_month, m.last_month,
                  exists (select from sales.unresolved u where u.file_id = f.file_id and u."column" = 'product_name') as unknown_products
           from (select file_id, min(sales_month) as first_month, max(sales_month) as last_month from sales.fact_file group by file_id) m
           join file f using (file_id) order by f.seq"""
    )
    return tuple(
        PublishedFacts(
            row["file_id"],
            tuple(ref.key for ref in object_refs(row["bronze"])),
            row["first_month"],
            row["last_month"],
            row["unknown_products"],
        )
        for row in rows
    )
