"""The state of the transactions feed as Parquet: which columns, in which order, how an object is written."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

# The partial aggregates of a batch, one row per file, merchant and customer, sorted by (merchant, customer, seq).
PARTIALS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("merchant", pa.string(), nullable=False),
        pa.field("customer", pa.string(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("cents", pa.int64(), nullable=False),
        pa.field("gender", pa.string(), nullable=False),
    ]
)

# Several partials added up, one row per merchant and customer, sorted so; `gender` is the one that `first_seq` saw.
COMPACTED = pa.schema(
    [
        pa.field("merchant", pa.string(), nullable=False),
        pa.field("customer", pa.string(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("cents", pa.int64(), nullable=False),
        pa.field("gender", pa.string(), nullable=False),
        pa.field("first_seq", pa.int64(), nullable=False),
    ]
)

# The reference, aggregated: `weight_nano` is w(c,m) in billionths, rounded half-even.
REFERENCE = pa.schema(
    [
        pa.field("customer", pa.string(), nullable=False),
        pa.field("merchant", pa.string(), nullable=False),
        pa.field("weight_nano", pa.int64(), nullable=False),
    ]
)

DETECTIONS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("pattern_id", pa.string(), nullable=False),
        pa.field("merchant", pa.string(), nullable=False),
        pa.field("customer", pa.string()),
    ]
)

COUNTERS = pa.schema(
    [
        pa.field("merchant", pa.string(), nullable=False),
        pa.field("transactions", pa.int64(), nullable=False),
    ]
)

# Small enough that a reader of one merchant skips the rest, large enough to cost nothing.
ROW_GROUP_ROWS = 128 * 1024


def parquet_writer(sink: object, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer as every state object is written: a page index, so that a reader of few merchants reads few pages."""
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
