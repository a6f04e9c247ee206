"""Columns of Parquet as the text that the contract's rules read, and as JSON."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from include.quality.arrow import without_empty
from include.storage.decoded import is_text

_FRACTION = r"(\.[0-9]*?)0+(Z?)$"
_POINT = r"\.(Z?)$"


def readable(kind: pa.DataType) -> bool:
    """Whether a column of the contract may be of this type: never a float."""
    if types.is_dictionary(kind):
        return readable(kind.value_type)
    return is_text(kind) or _is_number(kind) or types.is_date(kind) or types.is_timestamp(kind) or types.is_null(kind)


def text_of(column: pa.Array) -> pa.DictionaryArray:
    """The values of a readable column as text; empty text is null."""
    if types.is_dictionary(column.type):
        used = _used(column)
        return _of_values(used, text_of(used.dictionary))
    if types.is_null(column.type):
        return pa.nulls(len(column), pa.string()).dictionary_encode()
    if types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    if types.is_date64(column.type):
        column = column.cast(pa.date32())
    if is_text(column.type):
        return without_empty(column.cast(pa.string()).dictionary_encode())
    encoded = column.dictionary_encode()
    texts = encoded.dictionary.cast(pa.string())
    if types.is_timestamp(column.type):
        texts = pc.replace_substring(texts, " ", "T")
        texts = pc.replace_substring_regex(pc.replace_substring_regex(texts, _FRACTION, r"\1\2"), _POINT, r"\1")
    return pa.DictionaryArray.from_arrays(encoded.indices, texts)


def json_of(column: pa.Array) -> tuple[pa.DictionaryArray, list[str]]:
    """A column of any type as different values, and how JSON writes each."""
    if readable(column.type):
        encoded = text_of(column)
        texts = encoded.dictionary.to_pylist()
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        return encoded, texts if _is_number(kind) else [json.dumps(text, ensure_ascii=False) for text in texts]
    if types.is_dictionary(column.type):
        used = _used(column)
        inner, values = json_of(used.dictionary)
        return _of_values(used, inner), values
    written_values = [None if value is None else _written(value) for value in column.to_pylist()]
    encoded = pa.array(written_values, pa.string()).dictionary_encode()
    return encoded, encoded.dictionary.to_pylist()


def _used(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The column with a dictionary of the values that it has, and no others."""
    indices = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
    is_used = np.bincount(indices[indices >= 0], minlength=len(column.dictionary)) > 0
    places = np.append(np.cumsum(is_used) - 1, -1)[indices].astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(places, mask=places < 0), column.dictionary.take(pa.array(np.flatnonzero(is_used))))


def _of_values(column: pa.DictionaryArray, values: pa.DictionaryArray) -> pa.DictionaryArray:
    """What the values of a column became, in its rows."""
    return pa.DictionaryArray.from_arrays(values.indices.take(column.indices), values.dictionary)


def _is_number(kind: pa.DataType) -> bool:
    """Numbers that are exact, and truth: JSON writes both without quotes."""
    return bool(types.is_integer(kind) or types.is_decimal(kind) or types.is_boolean(kind))


def _written(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    """A value of Python as JSON has it: what JSON has no word for becomes text."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal | dt.timedelta):
        return str(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value
