"""How much memory the rows of Parquet take once they are read, which its encoded size does not tell, and reading within a bound of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import types

Ints = NDArray[np.int64]

PIECE_BYTES = 16 * 2**20
_BUFFER_BYTES = 2**20
_FIRST_ROWS = 256  # what is read of a file to see how wide its rows are
_WORTH_A_RESTART = 4
_OF_BYTES = frozenset({"NONE", "STRING", "ENUM", "JSON", "BSON"})
_AS_DICTIONARY = frozenset({"PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "RLE", "BIT_PACKED"})


def texts_of(file: pq.ParquetFile) -> list[str]:
    """The texts and bytes of a file, inner ones too: read as dictionaries, a value that repeats takes its memory once.

    Those in an encoding that Arrow reads value by value alone are left out.
    """
    groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
    found = []
    for place in range(len(file.schema)):
        column = file.schema.column(place)
        if column.physical_type == "BYTE_ARRAY" and column.logical_type.type in _OF_BYTES:
            encodings = {encoding for group in groups for encoding in group.column(place).encodings}
            found += [column.path] if encodings <= _AS_DICTIONARY else []
    return found


def bounded_batches(
    file: pq.ParquetFile, most_rows: int, most_bytes: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """All rows of a file in order, a row at least and so many bytes of values at most at a time.

    The first rows say how many of them are read at once; texts are read as dictionaries where the file was opened like that, so that
    values which repeat are told apart from memory that they take. Arrow's threads stay out (see `parquet_table`).
    """
    rows_at_once = min(_FIRST_ROWS, most_rows)
    for group in range(file.num_row_groups):
        total, done = file.metadata.row_group(group).num_rows, 0
        while done < total:
            skipped = 0
            for batch in file.iter_batches(rows_at_once, row_groups=[group], columns=columns, use_threads=False):
                rest = batch.slice(max(done - skipped, 0))
                skipped += batch.num_rows
                if not rest.num_rows:
                    continue
                yield from spans(rest, most_bytes)
                done += rest.num_rows
                taken = min(batch.get_total_buffer_size(), decoded_size(batch))  # a value of a dictionary once, but no dictionary of others
                fitting = int(np.clip(most_bytes * batch.num_rows // max(taken, 1), 1, most_rows))
                if not rows_at_once // _WORTH_A_RESTART < fitting < rows_at_once * _WORTH_A_RESTART:
                    rows_at_once = fitting
                    break


def bounded_tables(source: Any, most_rows: int, most_bytes: int = PIECE_BYTES, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The rows of a Parquet object of ours, as `bounded_batches` cuts them and with the types that it was written with."""
    with pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES) as as_it_is:
        names = columns or as_it_is.schema_arrow.names
        schema, texts = pa.schema([as_it_is.schema_arrow.field(name) for name in names]), texts_of(as_it_is)
    with pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES, read_dictionary=texts) as parquet:
        for batch in bounded_batches(parquet, most_rows, most_bytes, names):
            yield pa.Table.from_batches([batch]).select(names).cast(schema)


def decoded_size(table: pa.Table | pa.RecordBatch) -> int:
    """Bytes of all values, each as often as it stands there."""
    columns = (chunk for column in table.columns for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column]))
    return sum(int(widths(column).sum()) for column in columns)


def widths(column: pa.Array) -> Ints:
    """How many bytes the value of each row has, whatever its type and however it is encoded."""
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return widths(column.storage)
    if types.is_dictionary(kind):
        known = np.append(widths(column.dictionary), 0)
        found: Ints = known[pc.fill_null(column.indices, len(known) - 1).to_numpy(zero_copy_only=False)]
        return found
    if is_bytes(kind):
        lengths: Ints = pc.fill_null(pc.binary_length(plain(column)), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        return lengths
    if types.is_struct(kind):
        return sum((widths(inner) for inner in column.flatten()), np.zeros(len(column), np.int64))
    if is_list(kind):
        parents, inner = elements(column)
        return np.bincount(parents, widths(inner), len(column)).astype(np.int64)
    return np.full(len(column), 0 if types.is_null(kind) else -(-kind.bit_width // 8), np.int64)


def is_bytes(kind: pa.DataType) -> bool:
    """Text or bytes of any length."""
    return is_text(kind) or bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_list(kind: pa.DataType) -> bool:
    kinds = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_map, types.is_list_view, types.is_large_list_view)
    return any(is_of(kind) for is_of in kinds)


def plain(column: pa.Array) -> pa.Array:
    """Text or bytes as bytes that every function of Arrow takes."""
    return column.cast(pa.large_binary() if column.type in {pa.large_string(), pa.large_binary()} else pa.binary())


def elements(column: pa.Array) -> tuple[Ints, pa.Array]:
    """The elements of lists or maps, and the row of each."""
    if types.is_map(column.type):
        column = column.cast(pa.list_(pa.struct([("key", column.type.key_type), ("value", column.type.item_type)])))
    if types.is_list_view(column.type) or types.is_large_list_view(column.type):
        column = pa.array(column.to_pylist(), pa.list_(column.type.value_type))
    parents = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.int64)
    return parents, column.flatten()


def spans(rows: pa.RecordBatch | pa.Array, most_bytes: int) -> Iterator[Any]:
    """Rows or values in spans that have so many bytes of values at most; one of a single row has what it has."""
    columns = rows.columns if isinstance(rows, pa.RecordBatch) else [rows]
    ends = np.cumsum(sum((widths(column) for column in columns), np.zeros(len(rows), np.int64)))
    start = 0
    while start < len(rows):
        before = int(ends[start - 1]) if start else 0
        end = max(int(np.searchsorted(ends, before + most_bytes, "right")), start + 1)
        yield rows.slice(start, end - start)
        start = end
