"""What the jobs of the star stand on: which objects hold a dimension, and which files of facts are in force."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.csv

from include.feeds.parquet import Spooled, parquet_table
from include.feeds.sales.job import PublishedFacts
from include.ingestion.ports import ObjectStore
from include.stores.ledger.files import object_refs
from include.stores.ledger.session import Cursor, LedgerSession

# Text is quoted and a null is not: just as PostgreSQL reads it.
_AS_CSV = pyarrow.csv.WriteOptions(include_header=False)


def dimension_objects(ledger: LedgerSession, feed: str, name: str, before_batch: int) -> str | None:
    """The key of the object that holds a dimension as of before a batch; None where none of its batches came before."""
    row = ledger.row(
        "select key from sales.dimension_state where feed = %s and name = %s and batch < %s order by batch desc limit 1",
        (feed, name, before_batch),
    )
    return None if row is None else str(row["key"])


def point_at(transaction: Cursor, feed: str, batch: int, name: str, bucket: str, ref: Mapping[str, Any]) -> None:
    """Make an object what the published dimension is read from."""
    transaction.execute(
        """insert into sales.dimension_state (feed, batch, name, bucket, key, size, etag, rows)
           values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (feed, batch, name, bucket, ref["key"], ref["size"], ref["etag"], ref["rows"]),
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


def read_tables(store: ObjectStore, bucket: str, manifest: Mapping[str, Any], names: Collection[str]) -> dict[str, pa.Table]:
    """Some of the objects that a manifest names, exactly as it names them."""
    refs = {name: manifest["objects"][name] for name in names}
    return {name: parquet_table(store.read_bytes(bucket, ref["key"], ref["etag"])) for name, ref in refs.items()}


def spooled(store: ObjectStore, bucket: str, manifest: Mapping[str, Any], name: str) -> Spooled:
    """One of the objects that a manifest names, exactly as it names it, to be read piece by piece."""
    ref = manifest["objects"][name]
    with closing(store.read(bucket, ref["key"], ref["etag"])) as body:
        return Spooled(body)


def copy_in(transaction: Cursor, table: str, columns: str, pieces: Iterable[pa.Table]) -> int:
    """Copy the rows of Arrow tables, in the order of their columns; how many that were."""
    rows = 0
    with transaction.copy(f"copy {table} ({columns}) from stdin (format csv)".encode()) as copy:
        for piece in pieces:
            text = pa.BufferOutputStream()
            pa.csv.write_csv(piece, text, _AS_CSV)
            copy.write(memoryview(text.getvalue()))
            rows += piece.num_rows
    return rows
