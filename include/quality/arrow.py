"""Bytes of records beside each other as pyarrow sees them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.quality.records import Ints, Mask

TEXT = pa.dictionary(pa.int32(), pa.string())


def side_by_side(data: bytes, bounds: Ints) -> pa.Array:
    """The spans of the data between neighbouring bounds, without a copy."""
    return pa.Array.from_buffers(pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(data)])


def mask_of(booleans: pa.Array) -> Mask:
    mask: Mask = booleans.to_numpy(zero_copy_only=False)
    return mask.copy()


def utf8(spans: pa.Array, data: bytes) -> Mask:
    """Which spans are UTF-8; `data` is where all of them lie."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return np.fromiter((_is_utf8(span) for span in spans.to_pylist()), np.bool_, len(spans))
    return np.ones(len(spans), np.bool_)


def without_empty(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Empty text is null."""
    empty = pc.equal(column.dictionary, "")
    if not pc.any(empty).as_py():
        return column
    indices = pc.if_else(empty.take(column.indices), pa.scalar(None, column.indices.type), column.indices)
    return pa.DictionaryArray.from_arrays(indices, column.dictionary)


def _is_utf8(span: bytes) -> bool:
    try:
        span.decode()
    except UnicodeDecodeError:
        return False
    return True
