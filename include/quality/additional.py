"""`additional_column`: what a row says beyond the contract, as one JSON object of members that are joined column by column."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def objects(columns: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    """One JSON object a row of the members in the columns, in their order; null where all are empty. Rows that say the same share one text.

    Each member brings its comma, so that no row is joined of nulls alone: pyarrow 26 drops such a row when told to skip nulls.
    """
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        own = pc.fill_null(column.indices, len(column.dictionary)).to_numpy(zero_copy_only=False)
        codes = pa.array(codes * (len(column.dictionary) + 1) + own).dictionary_encode().indices.to_numpy().astype(np.int64)
    first = np.zeros(codes.max(initial=-1) + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    members = pc.binary_join_element_wise(*(column.take(pa.array(first)).cast(pa.string()).fill_null("") for column in columns), "")
    whole = pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(members, 1), "}", "")
    nothing = pc.equal(members, "").to_numpy(zero_copy_only=False)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=nothing[codes]), whole)


def strings(name: str, column: pa.DictionaryArray) -> pa.DictionaryArray:
    """A member a row of a column of text; nothing where it is null."""
    return written(name, column, [json.dumps(text, ensure_ascii=False) for text in column.dictionary.to_pylist()])


def written(name: str, column: pa.DictionaryArray, values: Sequence[str], absent: str | None = None) -> pa.DictionaryArray:
    """A member a row of a column whose different values are given as JSON writes them.

    Args:
        absent: what stands for null; where None, there is no member then.
    """
    key = json.dumps(name, ensure_ascii=False)
    indices = column.indices if absent is None else pc.fill_null(column.indices, len(values))
    known = values if absent is None else [*values, absent]
    return pa.DictionaryArray.from_arrays(indices, pa.array([f",{key}:{value}" for value in known], pa.string()))
