"""Tables on their way from a job to PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.csv

from include.feeds.parquet import Spooled, parquet_table
from include.ingestion.errors import ObjectGone
from include.ingestion.ports import ObjectStore
from include.stores.ledger.session import Cursor

# Text is quoted and a null is not: just as PostgreSQL reads it.
_AS_CSV = pyarrow.csv.WriteOptions(include_header=False)


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


def table_as_it_lies(store: ObjectStore, bucket: str, key: str) -> pa.Table:
    """A Parquet object as it is now, whatever its etag is.

    Raises:
        ObjectGone: it is not there, or no Parquet any more.
    """
    try:
        return parquet_table(store.read_bytes(bucket, key))
    except pa.ArrowException as broken:
        raise ObjectGone(bucket, key, "recorded", "became unreadable as Parquet") from broken
