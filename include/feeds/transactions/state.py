"""The state of the transactions feed as Parquet: which columns, in which order."""

from __future__ import annotations

import pyarrow as pa

from include.feeds.parquet import ROW_GROUP_ROWS, parquet_bytes, parquet_table, parquet_writer

__all__ = [
    "COMPACTED",
    "COUNTERS",
    "DETECTIONS",
    "PARTIALS",
    "REFERENCE",
    "ROW_GROUP_ROWS",
    "parquet_bytes",
    "parquet_table",
    "parquet_writer",
]

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
