"""Every column of the transactions feed's state and results, once: the job, publish, reconcile and the merging of state read them here."""

from __future__ import annotations

import pyarrow as pa

_ID, _TEXT = pa.int64(), pa.string()


def _never_null(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


# The columns of accepted rows that the job looks at.
BRONZE = pa.schema([("_file_id", _ID), ("_line", _ID), ("merchant", _TEXT), ("customer", _TEXT), ("gender", _TEXT), ("amount_cents", _ID)])

# The partial aggregates of a batch, one row per file, merchant and customer, sorted by (merchant, customer, seq).
PARTIALS = _never_null(seq=_ID, merchant=_TEXT, customer=_TEXT, n=_ID, cents=_ID, gender=_TEXT)

# Several partials added up, one row per merchant and customer, sorted so; `gender` is the one that `first_seq` saw.
COMPACTED = _never_null(merchant=_TEXT, customer=_TEXT, n=_ID, cents=_ID, gender=_TEXT, first_seq=_ID)

# The reference, aggregated: `weight_nano` is w(c,m) in billionths, rounded half-even.
REFERENCE = _never_null(customer=_TEXT, merchant=_TEXT, weight_nano=_ID)

DETECTIONS = _never_null(seq=_ID, pattern_id=_TEXT, merchant=_TEXT).append(pa.field("customer", _TEXT))
COUNTERS = _never_null(merchant=_TEXT, transactions=_ID)
