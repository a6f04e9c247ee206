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

from include.ingestion.contract import Column, Contract
from include.ingestion.verdict import Fault
from include.quality.additional import objects, written
from include.quality.dialect import Unreadable
from include.quality.lines import Broken, Condemned, Content
from include.quality.parquet_text import json_of, readable, text_of
from include.quality.records import Mask, Rows, with_columns
from include.quality.words import some, some_names

_MOST_ROWS = 131_072
_BUFFER_BYTES = 2**20


def read_parquet(content: Content, contract: Contract, piece_bytes: int) -> Iterator[Rows]:
    """The rows of the file, batch by batch.

    Raises:
        Condemned: it is no Parquet file, its columns do not fit the contract, or it has no rows.
    """
    with tempfile.NamedTemporaryFile(prefix="sluice-", suffix=".parquet") as held:
        try:
            for block in content.blocks(piece_bytes):
                held.write(block)
        except Broken as broken:
            raise broken.condemned from None
        held.flush()
        if not held.tell():
            raise Condemned(Fault.EMPTY, "the file is empty; a file needs at least one row")
        try:
            yield from _rows_in(held.name, contract, piece_bytes)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise Condemned(
                Fault.FORMAT, f"the content cannot be read as Parquet ({type(error).__name__}); it is of another format or damaged"
            ) from None


def _rows_in(path: str, contract: Contract, piece_bytes: int) -> Iterator[Rows]:
    with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
        layout = _layout(file.schema_arrow, contract)
        total = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
        if total > contract.max_bytes:
            raise Condemned(
                Fault.TOO_LARGE, f"the content has {total:,} bytes, more than the {contract.max_bytes:,} that the contract allows"
            )
        if not file.metadata.num_rows:
            raise Condemned(Fault.NO_ROWS, "the file has no rows; a file needs at least one")
        most = max(1, min(_MOST_ROWS, piece_bytes * file.metadata.num_rows // max(total, 1)))
        first = 1
        for batch in file.iter_batches(batch_size=most, columns=layout.wanted):
            if batch.num_rows:
                yield _rows(batch, layout, first)
            first += batch.num_rows


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
        raise Condemned(Fault.COLUMN_DOUBLED, f"the file has {some_names(doubled)} more than once; every column needs a name of its own")
    if "" in schema.names:
        raise Condemned(Fault.COLUMN_UNNAMED, f"a column (of {len(schema.names)}) has no name; every column needs one")
    fields = {column.name: _field(schema, column) for column in contract.columns}
    missing = [name for name in contract.mandatory if fields[name] is None]
    if missing:
        raise Condemned(Fault.COLUMN_MISSING, f"missing columns {some_names(missing)} (found: {some_names(schema.names)})")
    found = {name: field for name, field in fields.items() if field is not None}
    unfit = [f"{name} ({kind})" for name, (_, kind) in found.items() if not readable(kind)]
    if unfit:
        allowed = "integer, decimal, date, timestamp, boolean or string, and never floating point"
        raise Condemned(Fault.COLUMN_TYPE, f"the type of {some(unfit)} is not one that is read: {allowed}")
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
        told=functools.partial(_told, layout.paths, texts, extras),
    )


def _inner(batch: pa.RecordBatch, path: Sequence[str]) -> pa.Array:
    column = batch.column(path[0])
    for key in path[1:]:
        column = pc.struct_field(column, key)
    return column


def _fit(column: pa.Array, name: str, faults: dict[int, Unreadable]) -> pa.Array:
    """The column with null for each text that cannot be kept, and a note of why."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    raw = column.cast(pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary())
    if not pc.any(pc.match_substring(raw, b"\0")).as_py() and _is_valid(column):
        return column
    unfit = np.array([value is not None and not _is_text(value) for value in raw.to_pylist()], np.bool_)
    for row in np.flatnonzero(unfit).tolist():
        faults.setdefault(row, Unreadable("text", f"{name} holds a NUL or is not UTF-8", name))
    return pc.if_else(pa.array(unfit), None, raw).cast(column.type)


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


def _told(paths: Mapping[str, tuple[str, ...]], texts: pa.Table, extras: Sequence[pa.Array], row: int) -> bytes:
    """The row as a JSON object: the contract's values as text, all else as it is; a text that cannot be kept as null."""
    said: dict[str, Any] = {}
    for name, (*outer, key) in paths.items():
        place = said
        for above in outer:
            place = place.setdefault(above, {})
        place[key] = texts[name][row].as_py()
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":"))[:-1]
    return (body + "".join(extra[row].as_py() for extra in extras) + "}").encode()
