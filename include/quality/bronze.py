"""Accepted rows as typed tables, and as the Parquet objects of one gate attempt."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.contract import EPOCH, Contract, Stored
from include.files.file import ObjectRef
from include.files.keys import bronze_part
from include.quality.records import Mask, Rows
from include.storage.decoded import decoded_size, spans
from include.storage.object_store import ObjectStore

ADDITIONAL, FILE_ID, LINE = "additional_column", "_file_id", "_line"
_CENTS_A_UNIT = pa.scalar(100, pa.decimal128(3, 0))
MONEY_TYPE = pa.decimal128(20, 2)
INSTANT_TYPE = pa.timestamp("us", "UTC")
_TYPES = {
    Stored.TEXT: pa.string(),
    Stored.BIGINT: pa.int64(),
    Stored.CENTS: pa.int64(),
    Stored.DECIMAL: pa.decimal128(12, 2),
    Stored.DECIMAL6: pa.decimal128(18, 6),
    Stored.DATE: pa.date32(),
    Stored.TIMESTAMP: INSTANT_TYPE,
    Stored.INSTANT: INSTANT_TYPE,
}
_DIGITS = rf"\A(?:{EPOCH})\z"
_ZONED = r"(Z|[T ].*[+-].*)\z"
_FIRST_MILLISECONDS = 10**11  # an epoch of so much or more counts milliseconds
_MOST_TOUCHED_VALUES = 2000
_HASHED_BYTES = 8 * 2**20


def bronze_schema(contract: Contract) -> pa.Schema:
    """What every bronze object of the contract holds, in order."""
    named = [(column.bronze_name, _TYPES[column.stored]) for column in contract.columns]
    named += [(column.unzoned_as, pa.bool_()) for column in contract.columns if column.unzoned_as]
    return pa.schema([*named, (ADDITIONAL, pa.string()), (LINE, pa.int64()), (FILE_ID, pa.int64())])


def typed(contract: Contract, rows: Rows, accepted: Mask) -> pa.Table:
    """The accepted rows as bronze types them, with `additional_column` and `_line`."""
    names = [*contract.names, ADDITIONAL, LINE]
    nothing = pa.nulls(len(rows), pa.string())
    table = rows.table.append_column(ADDITIONAL, nothing if rows.additional is None else rows.additional)
    table = table.append_column(LINE, pa.array(rows.lines)).select(names)
    if not accepted.all():
        table = table.filter(pa.array(accepted))
    unzoned = [(column.unzoned_as, _without_zone(table[column.name])) for column in contract.columns if column.unzoned_as]
    for place, column in enumerate(contract.columns):
        table = table.set_column(place, column.bronze_name, _stored(table.column(place), column.stored))
    for place, (name, values) in enumerate(unzoned, len(contract.columns)):
        table = table.add_column(place, name, values)
    return table


class Bronze:
    """Writes one file's accepted rows, an object a piece, and keeps what the ledger wants to know of them."""

    def __init__(self, store: ObjectStore, bucket: str, folder: str, file_id: int, touch_column: str | None) -> None:
        self._store = store
        self._bucket = bucket
        self._folder = folder
        self._file_id = file_id
        self._touch_column = touch_column
        self._touched_values: set[str] = set()
        self._digest = Digest()
        self.decoded_bytes = 0
        self.parts: list[ObjectRef] = []

    def write(self, table: pa.Table) -> None:
        """Put one typed table as the next part; nothing where it has no rows."""
        if not table.num_rows:
            return
        self._digest.update(table)
        self.decoded_bytes += decoded_size(table)
        if self._touch_column is not None and len(self._touched_values) <= _MOST_TOUCHED_VALUES:
            self._touched_values.update(value for value in pc.unique(table[self._touch_column]).to_pylist() if value is not None)
        ids = pa.array(np.full(table.num_rows, self._file_id, np.int64))
        body = pa.BufferOutputStream()
        whole = table.append_column(FILE_ID, ids)
        pq.write_table(whole, body, compression="zstd", store_schema=False, use_dictionary=[n for n in whole.column_names if n != LINE])
        key = bronze_part(self._folder, len(self.parts))
        self.parts.append(self._store.put(self._bucket, key, body.getvalue().to_pybytes(), rows=table.num_rows))

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    @property
    def touched_values(self) -> tuple[str, ...] | None:
        """The distinct values of the touch column, sorted; None where there are too many to name."""
        return None if len(self._touched_values) > _MOST_TOUCHED_VALUES else tuple(sorted(self._touched_values))


class Digest:
    """A sha256 over rows, the same however they are cut into tables: each column's values run through hashes of their own."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[hashlib._Hash, hashlib._Hash]] = {}

    def update(self, table: pa.Table) -> None:
        for name in table.column_names:
            sizes, values = self._columns.setdefault(name, (hashlib.sha256(), hashlib.sha256()))
            column = table[name].combine_chunks()
            if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
                for some in spans(column, _HASHED_BYTES):
                    _add_text(pa.concat_arrays([some.cast(pa.string())]), sizes, values)
            else:
                sizes.update(pc.is_valid(column).cast(pa.uint8()).to_numpy())
                values.update(pc.fill_null(_whole(column), 0).to_numpy())

    def hexdigest(self) -> str:
        whole = hashlib.sha256()
        for name, (sizes, values) in self._columns.items():
            whole.update(f"{name}\0{sizes.hexdigest()}{values.hexdigest()}".encode())
        return whole.hexdigest()


def _add_text(text: pa.StringArray, sizes: hashlib._Hash, values: hashlib._Hash) -> None:
    sizes.update(pc.fill_null(pc.binary_length(text), -1).to_numpy())
    text = pc.fill_null(text, "")  # bytes may lie under a null, and Parquet does not keep them
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    if text.buffers()[2] is not None:
        values.update(text.buffers()[2][int(offsets[0]) : int(offsets[-1])])


def _stored(values: pa.ChunkedArray, stored: Stored) -> pa.ChunkedArray:
    """Text that keeps its rules as the type of bronze; text itself as it came."""
    if stored is Stored.TEXT:
        return values
    text = values.cast(pa.string())
    if stored is Stored.CENTS:
        return cents(text.cast(MONEY_TYPE))
    if stored is Stored.INSTANT:
        return instants(text)
    if stored is Stored.TIMESTAMP:
        text = _with_zone(text)
    return text.cast(_TYPES[stored])


def _with_zone(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Timestamps in the one form that pyarrow reads as UTC: with a time of day and a zone."""
    timed = pc.if_else(pc.equal(pc.binary_length(text), len("YYYY-MM-DD")), pc.binary_join_element_wise(text, "T00:00", ""), text)
    zoned = pc.match_substring_regex(timed, _ZONED)
    return pc.if_else(zoned, timed, pc.binary_join_element_wise(timed, "Z", ""))


def instants(text: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Texts that keep the rule of instants, as instants; what has no zone is UTC."""
    epoch = pc.match_substring_regex(text, _DIGITS)
    number = pc.if_else(epoch, text, None).cast(pa.int64())
    unit = pc.if_else(pc.greater_equal(pc.abs(number), _FIRST_MILLISECONDS), 1_000, 1_000_000)
    return pc.if_else(epoch, pc.multiply(number, unit).cast(INSTANT_TYPE), _with_zone(pc.if_else(epoch, None, text)).cast(INSTANT_TYPE))


def _without_zone(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which of the instants are timestamps that do not say in what zone."""
    text = values.cast(pa.string())
    return pc.invert(pc.or_(pc.match_substring_regex(text, _DIGITS), pc.match_substring_regex(text, _ZONED)))


def _whole(column: pa.Array) -> pa.Array:
    """Values that are no text as whole numbers, each its own: cents and smaller, days, microseconds, truth."""
    if pa.types.is_decimal(column.type):
        return pc.multiply(column, pa.scalar(10**column.type.scale, pa.decimal128(column.type.scale + 1, 0))).cast(pa.int64())
    if pa.types.is_boolean(column.type):
        return column.cast(pa.uint8())
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def cents(money: pa.ChunkedArray) -> pa.ChunkedArray:
    """Amounts of at most two decimals, exactly as cents."""
    return pc.multiply(money, _CENTS_A_UNIT).cast(pa.int64())
