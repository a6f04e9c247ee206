"""`additional_column`: what a row says beyond the contract, as one JSON object of members that are joined column by column."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def objects(columns: Sequence[pa.Array]) -> pa.Array:
    """One JSON object a row of the members in the columns, in their order; null where all are empty.

    Each member brings its comma, so that no row is joined of nulls alone: pyarrow 26 drops such a row when told to skip nulls.
    """
    members = pc.binary_join_element_wise(*columns, "")
    whole = pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(members, 1), "}", "")
    return pc.if_else(pc.equal(members, ""), pa.scalar(None, pa.string()), whole)


def strings(name: str, column: pa.DictionaryArray) -> pa.Array:
    """A member a row of a column of text; nothing where it is null."""
    return written(name, column, [json.dumps(text, ensure_ascii=False) for text in column.dictionary.to_pylist()])


def written(name: str, column: pa.DictionaryArray, values: Sequence[str], absent: str | None = None) -> pa.Array:
    """A member a row of a column whose different values are given as JSON writes them.

    Args:
        absent: what stands for null; where None, there is no member then.
    """
    key = json.dumps(name, ensure_ascii=False)
    members = pa.array([f",{key}:{value}" for value in values], pa.string())
    return members.take(column.indices).fill_null("" if absent is None else f",{key}:{absent}")
