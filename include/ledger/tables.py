"""Tables on their way from a job to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv

from include.errors import ObjectGone, refuse_if_short
from include.files.file import ObjectRef
from include.ledger.session import Cursor
from include.storage.object_store import ObjectStore
from include.storage.parquet import Spooled, parquet_table

Value = TypeVar("Value")

# Text is quoted and a null is not: just as PostgreSQL reads it.
_AS_CSV = pyarrow.csv.WriteOptions(include_header=False)


def table_of(store: ObjectStore, bucket: str, ref: ObjectRef) -> pa.Table:
    """The rows of an object, exactly as it is named."""
    return parquet_table(store.read_bytes(bucket, ref.key, ref.etag))


def spooled(store: ObjectStore, bucket: str, ref: ObjectRef) -> Spooled:
    """The rows of an object, exactly as it is named, to be read piece by piece."""
    with closing(store.read(bucket, ref.key, ref.etag)) as body:
        return Spooled(body)


def in_pages(values: Iterable[Value], size: int = 50_000) -> Iterator[list[Value]]:
    """So many at a time."""
    rest = iter(values)
    while page := [*islice(rest, size)]:
        yield page


def copy_in(transaction: Cursor, table: str, columns: Sequence[str], pieces: Iterable[pa.Table]) -> int:
    """Copy columns of Arrow tables by their names, whatever the order in which an object has them; how many rows that were."""
    rows = 0
    names = ", ".join(f'"{name}"' for name in columns)
    with transaction.copy(f"copy {table} ({names}) from stdin (format csv)".encode()) as copy:
        for piece in pieces:
            text = pa.BufferOutputStream()
            pa.csv.write_csv(piece.select(list(columns)), text, _AS_CSV)
            copy.write(memoryview(text.getvalue()))
            rows += piece.num_rows
    return rows


def pieces_as_they_lie(store: ObjectStore, bucket: str, key: str) -> Iterator[pa.Table]:
    """A Parquet object as it is now, piece by piece, one at least.

    Raises:
        ObjectGone: it is not there, or no Parquet any more.
    """
    try:
        with closing(store.read(bucket, key)) as body:
            there = Spooled(body)
        yield there.nothing
        yield from there.pieces()
    except pa.ArrowException as broken:
        refuse_if_short(broken)
        raise ObjectGone(bucket, key, "recorded", "became unreadable as Parquet") from broken


def table_as_it_lies(store: ObjectStore, bucket: str, key: str) -> pa.Table:
    """A Parquet object as it is now, whatever its etag is.

    Raises:
        ObjectGone: it is not there, or no Parquet any more.
    """
    try:
        return parquet_table(store.read_bytes(bucket, key))
    except pa.ArrowException as broken:
        refuse_if_short(broken)
        raise ObjectGone(bucket, key, "recorded", "became unreadable as Parquet") from broken
