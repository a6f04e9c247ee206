"""How an object of ours is written as Parquet, and read."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

# Small enough that a reader of a few rows skips the rest, large enough to cost nothing.
ROW_GROUP_ROWS = 128 * 1024


def parquet_writer(sink: object, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer as every state object is written: a page index, so that a reader of few rows reads few pages."""
    return pq.ParquetWriter(sink, schema, compression="zstd", write_page_index=True)


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as one Parquet object."""
    sink = io.BytesIO()
    with parquet_writer(sink, table.schema) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
    return sink.getvalue()


def parquet_table(body: bytes) -> pa.Table:
    """The rows of one Parquet object, without Arrow's threads: a process that has started them is aborted at its exit now and then."""
    with pq.ParquetFile(pa.BufferReader(body), pre_buffer=False) as parquet:
        return parquet.read(use_threads=False)
