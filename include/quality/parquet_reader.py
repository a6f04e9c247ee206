"""Parquet content to rows: its footer is at its end, so it waits on disk, and is read batch by batch."""

from __future__ import annotations

import functools
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.contract import Column, Contract
from include.errors import refuse_if_short
from include.files.verdict import Fault
from include.quality.additional import objects, written
from include.quality.dialect import Unreadable
from include.quality.lines import Broken, Content, Quarantined
from include.quality.parquet_text import json_of, readable, text_of
from include.quality.records import Mask, Rows, with_columns
from include.quality.words import some, some_names
from include.storage.decoded import bounded_batches, decoded_size, elements, is_list, is_text, plain, texts_of

_MOST_ROWS = 131_072
_BUFFER_BYTES = 2**20


def read_parquet(content: Content, contract: Contract, piece_bytes: int) -> Iterator[Rows]:
    """The rows of the file, batch by batch.

    Raises:
        Quarantined: it is no Parquet file, its columns do not fit the contract, or it has no rows.
    """
    with tempfile.NamedTemporaryFile(prefix="sluice-", suffix=".parquet") as held:
        try:
            for block in content.blocks(piece_bytes):
                held.write(block)
        except Broken as broken:
            raise broken.refused from None
        held.flush()
        if not held.tell():
            raise Quarantined(Fault.EMPTY, "the file is empty; a file needs at least one row")
        try:
            yield from _rows_in(held.name, contract, piece_bytes)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            refuse_if_short(error)
            raise Quarantined(
                Fault.FORMAT, f"the content cannot be read as Parquet ({type(error).__name__}); it is of another format or damaged"
            ) from None


def _rows_in(path: str, contract: Contract, piece_bytes: int) -> Iterator[Rows]:
    with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as as_it_is:
        layout = _layout(as_it_is.schema_arrow, contract)
        texts = texts_of(as_it_is)
    with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False, read_dictionary=texts) as file:
        total = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
        if total > contract.max_bytes:
            raise Quarantined(
                Fault.TOO_LARGE, f"the content has {total:,} bytes, more than the {contract.max_bytes:,} that the contract allows"
            )
        if not file.metadata.num_rows:
            raise Quarantined(Fault.NO_ROWS, "the file has no rows; a file needs at least one")
        most_rows = max(1, min(_MOST_ROWS, piece_bytes * file.metadata.num_rows // max(total, 1)))
        most_bytes = min(piece_bytes, contract.max_line_bytes)
        first, size = 1, 0
        for batch in bounded_batches(file, most_rows, most_bytes, layout.wanted):
            taken = decoded_size(batch)
            size += taken
            _refuse_size(contract, size, first if taken > contract.max_line_bytes else None)
            yield _rows(batch, layout, first)
            first += batch.num_rows


def _refuse_size(contract: Contract, size: int, long_row: int | None) -> None:
    """Condemn a file by the bytes of its values so far, each as often as it stands there, or for a row that is too long alone."""
    if long_row is not None:
        raise Quarantined(
            Fault.LINE_TOO_LONG, f"row {long_row:,} is longer than the {contract.max_line_bytes:,} bytes that the contract allows"
        )
    if size > contract.max_bytes:
        limit = f"more than the {contract.max_bytes:,} bytes that the contract allows; send it as smaller files"
        raise Quarantined(Fault.TOO_LARGE, f"the values of the rows have {limit}")


@dataclass(frozen=True)
class _Layout:
    """Where a file keeps what the contract names, and what else it has, sorted."""

    contract: Contract
    paths: Mapping[str, tuple[str, ...]]
    extra: tuple[str, ...]

    @property
    def wanted(self) -> list[str]:
        """The columns of the file that are read."""
        return list(dict.fromkeys([*(path[0] for path in self.paths.values()), *self.extra]))


def _layout(schema: pa.Schema, contract: Contract) -> _Layout:
    doubled = sorted(name for name, times in Counter(schema.names).items() if times > 1)
    if doubled:
        raise Quarantined(Fault.COLUMN_DOUBLED, f"the file has {some_names(doubled)} more than once; every column needs a name of its own")
    if "" in schema.names:
        raise Quarantined(Fault.COLUMN_UNNAMED, f"a column (of {len(schema.names)}) has no name; every column needs one")
    fields = {column.name: _field(schema, column) for column in contract.columns}
    missing = [name for name in contract.mandatory if fields[name] is None]
    if missing:
        raise Quarantined(Fault.COLUMN_MISSING, f"missing columns {some_names(missing)} (found: {some_names(schema.names)})")
    found = {name: field for name, field in fields.items() if field is not None}
    unfit = [f"{name} ({kind})" for name, (_, kind) in found.items() if not readable(kind)]
    if unfit:
        allowed = "integer, decimal, date, timestamp, boolean or string, and never floating point"
        raise Quarantined(Fault.COLUMN_TYPE, f"the type of {some(unfit)} is not one that is read: {allowed}")
    paths = {name: path for name, (path, _) in found.items()}
    known = contract.ignored.union(path[0] for path in paths.values())
    return _Layout(contract, paths, tuple(sorted(set(schema.names) - known)))


def _field(schema: pa.Schema, column: Column) -> tuple[tuple[str, ...], pa.DataType] | None:
    """The path and type of a column of the contract; None where the file does not have it."""
    field = schema.field(column.keys[0]) if column.keys[0] in schema.names else None
    for key in column.keys[1:]:
        is_inside = field is not None and pa.types.is_struct(field.type) and field.type.get_field_index(key) >= 0
        field = field.type.field(key) if field is not None and is_inside else None
    return None if field is None else (column.keys, field.type)


def _rows(batch: pa.RecordBatch, layout: _Layout, first: int) -> Rows:
    faults: dict[int, Unreadable] = {}
    columns = {name: text_of(_fit(_inner(batch, path), name, faults)) for name, path in layout.paths.items()}
    extras = []
    for name in layout.extra:
        encoded, values = json_of(_fit(batch.column(name), name, faults))
        extras.append(written(name, encoded, values))
    texts = pa.table(columns)
    table = texts
    if faults:
        unreadable = np.zeros(batch.num_rows, np.bool_)
        unreadable[[*faults]] = True
        table = pa.table({name: _nulled(column, unreadable) for name, column in columns.items()})
    nowhere = np.zeros(batch.num_rows, np.int64)
    return Rows(
        table=with_columns(table, layout.contract.names),
        additional=objects(extras) if extras else None,
        lines=np.arange(first, first + batch.num_rows, dtype=np.int64),
        unreadable=faults,
        data=b"",
        starts=nowhere,
        ends=nowhere,
        header=layout.contract.names,
        render=functools.partial(_render, layout.paths, texts, extras),
    )


def _inner(batch: pa.RecordBatch, path: Sequence[str]) -> pa.Array:
    column = batch.column(path[0])
    for key in path[1:]:
        column = pc.struct_field(column, key)
    return column


def _fit(column: pa.Array, name: str, faults: dict[int, Unreadable]) -> pa.Array:
    """The column with null for each value with a text in it that cannot be kept, and a note of why."""
    unfit = _unfit(column)
    if not unfit.any():
        return column
    for row in np.flatnonzero(unfit).tolist():
        faults.setdefault(row, Unreadable("text", f"{name} holds a NUL or is not UTF-8", name))
    return column.take(pa.array(np.arange(len(column)), mask=unfit))


def _unfit(column: pa.Array) -> Mask:
    """The rows whose value is or holds a text with a NUL, or one that is not UTF-8, of whatever type of text."""
    kind = column.type
    unfit = np.zeros(len(column), np.bool_)
    if isinstance(column, pa.ExtensionArray):
        return _unfit(column.storage)
    if pa.types.is_dictionary(kind):
        known = np.append(_unfit(column.dictionary), False)
        of_rows: Mask = known[pc.fill_null(column.indices, len(known) - 1).to_numpy(zero_copy_only=False)]
        return of_rows
    if pa.types.is_struct(kind):
        for inner in column.flatten():
            unfit |= _unfit(inner)
    elif is_list(kind):
        parents, inner = elements(column)
        unfit[parents[_unfit(inner)]] = True
    elif is_text(kind):
        raw = plain(column)
        if pc.any(pc.match_substring(raw, b"\0")).as_py() or not _is_valid(column):
            unfit |= np.array([value is not None and not _is_text(value) for value in raw.to_pylist()], np.bool_)
    return unfit


def _is_valid(column: pa.Array) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in value


def _nulled(column: pa.DictionaryArray, rows: Mask) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        pc.if_else(pa.array(rows), pa.scalar(None, column.indices.type), column.indices), column.dictionary
    )


def _render(paths: Mapping[str, tuple[str, ...]], texts: pa.Table, extras: Sequence[pa.Array], row: int) -> bytes:
    """The row as a JSON object: the contract's values as text, all else as it is; a text that cannot be kept as null."""
    members: dict[str, Any] = {}
    for name, (*outer, key) in paths.items():
        place = members
        for above in outer:
            place = place.setdefault(above, {})
        place[key] = texts[name][row].as_py()
    body = json.dumps(members, ensure_ascii=False, separators=(",", ":"))[:-1]
    return (body + "".join(extra[row].as_py() or "" for extra in extras) + "}").encode()
