"""Tables on their way from a job to PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from include.feeds.parquet import parquet_table
from include.ingestion.ports import ObjectStore
from include.stores.ledger.session import Cursor


def read_tables(store: ObjectStore, bucket: str, manifest: Mapping[str, Any], names: Collection[str]) -> dict[str, pa.Table]:
    """Some of the objects that a manifest names, exactly as it names them."""
    refs = {name: manifest["objects"][name] for name in names}
    return {name: parquet_table(store.read_bytes(bucket, ref["key"], ref["etag"])) for name, ref in refs.items()}


def copy_in(transaction: Cursor, table: str, columns: str, rows: pa.Table) -> None:
    """Copy the rows of an Arrow table, in the order of its columns."""
    with transaction.copy(f"copy {table} ({columns}) from stdin".encode()) as copy:
        for batch in rows.to_batches(max_chunksize=10_000):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                copy.write_row(row)
