"""Objects of a judged file read once more, for reconciliation: what bronze holds, what the original holds. No suite is asked."""

from __future__ import annotations

import csv
import functools
import io
import operator
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.contract import Column
from include.errors import ObjectGone, refuse_if_short
from include.feed import FeedSpec
from include.files.file import LedgerFile, ObjectRef
from include.files.verdict import Recount, Reread
from include.quality.bronze import FILE_ID, Digest
from include.quality.formats import is_zipped, reader_for
from include.quality.lines import PIECE_BYTES, Content, Quarantined
from include.quality.records import Ints, Mask, Rows
from include.storage.decoded import bounded_tables
from include.storage.object_store import ObjectStore

_MOST_ROWS = 131_072
_MOST_FIELD = 64 * 2**20


def reread(store: ObjectStore, bucket: str, spec: FeedSpec, file_id: int, bronze: Sequence[ObjectRef]) -> Reread:
    """Read a file's bronze objects part by part: rows, digest and amount, or what makes a part unreadable."""
    column = spec.contract.amount
    digest = Digest()
    rows = amount = 0
    for ref in bronze:
        strangers = 0
        try:
            for table in bounded_tables(pa.BufferReader(store.read_bytes(bucket, ref.key)), _MOST_ROWS):
                strangers += pc.sum(pc.not_equal(table[FILE_ID], file_id)).as_py()
                digest.update(table.drop_columns([FILE_ID]))
                amount += _kept(table, column) if column else 0
                rows += table.num_rows
        except ObjectGone:
            return Reread(rows, None, None, ref.key, "is not there")
        except (pa.ArrowException, KeyError, OSError, TypeError, ValueError, AttributeError) as damaged:
            refuse_if_short(damaged)
            return Reread(rows, None, None, ref.key, f"cannot be read as the Parquet that was written ({type(damaged).__name__})")
        if strangers:
            return Reread(rows, None, None, ref.key, f"holds {strangers} rows of another file")
    return Reread(rows, digest.hexdigest(), amount if column else None, bronze[0].key if bronze else "", None)


def recount(store: ObjectStore, bucket: str, spec: FeedSpec, file: LedgerFile, rejects: ObjectRef | None) -> Recount:
    """Read an original once more: its lines and amount, and how much of both lies in the lines that `rejects.csv` names."""
    place = file.lies_at or file
    column = spec.contract.amount
    rejected = rejected_lines(store, bucket, rejects)
    lines = found = amount = amount_rejected = 0
    with closing(store.read(place.bucket, place.key, place.etag)) as stream:
        content = Content(stream, zipped=is_zipped(file.key), max_bytes=spec.contract.max_bytes)
        with suppress(Quarantined):  # other bytes than those that were accepted: the digest says so
            for rows in reader_for(file.key)(content, spec.contract, PIECE_BYTES):
                lines += len(rows)
                named = np.isin(rows.lines, rejected)
                found += int(np.count_nonzero(named))
                if column is not None:
                    amount += _amount_of(rows, column)
                    amount_rejected += _amount_of(rows, column, named)
        content.drain()
    return Recount(content.sha256, lines, found, amount if column else None, amount_rejected if column else None)


def rejected_lines(store: ObjectStore, bucket: str, rejects: ObjectRef | None) -> Ints:
    """The lines that a `rejects.csv` names, each record once."""
    if rejects is None:
        return np.array([], np.int64)
    with closing(store.read(bucket, rejects.key)) as stream:
        return np.fromiter(_lines(io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")), np.int64)


def _kept(table: pa.Table, column: Column) -> int:
    """The sum of a column of bronze in its smallest unit."""
    amounts = table[column.bronze_name]
    total = pc.sum(amounts).as_py() or 0
    return int(total * 10**amounts.type.scale) if pa.types.is_decimal(amounts.type) else int(total)


def _lines(text: io.TextIOWrapper) -> Iterator[int]:
    csv.field_size_limit(_MOST_FIELD)
    for record in csv.DictReader(text):
        yield int(record["line"])


def _amount_of(rows: Rows, column: Column, of: Mask | None = None) -> int:
    """The sum of a column as the rows say it, in its smallest unit; of some rows, or all. What is no amount counts nothing."""
    total = at = 0
    for chunk in rows.table[column.name].chunks:
        codes = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        counted = codes >= 0 if of is None else (codes >= 0) & of[at : at + len(chunk)]
        times = np.bincount(codes[counted], minlength=len(chunk.dictionary)).tolist()
        worth = (smallest_units(text, column) for text in chunk.dictionary.to_pylist())
        total += sum(map(operator.mul, worth, times))  # of whole numbers of any size: 10 holdings may be more than 64 bits take
        at += len(chunk)
    return total


@functools.lru_cache(65536)
def smallest_units(text: str | None, column: Column) -> int:
    """An amount as files write it in the smallest unit of its column, exact; 0 of anything else.

    >>> from include.contract import decimal6, money
    >>> [smallest_units(text, money("m")) for text in ("4.5", "12", "0.07", "1e2", None)]
    [450, 1200, 7, 0, 0]
    >>> smallest_units("0.070001", decimal6("d"))
    70001
    """
    if text is None or column.decimals is None or not re.fullmatch(column.matches or "", text):
        return 0
    units, _, part = text.partition(".")
    return int(units + part.ljust(column.decimals, "0"))
