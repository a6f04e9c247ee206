"""Objects of a judged file read once more, for reconciliation: what bronze holds, what the original holds. No suite is asked."""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.ingestion.contract import MONEY, Column, Contract, Stored
from include.ingestion.errors import ObjectGone
from include.ingestion.feed import FeedSpec
from include.ingestion.file import LedgerFile, ObjectRef
from include.ingestion.ports import ObjectStore
from include.ingestion.repair.reread import Recount, Reread
from include.quality.bronze import FILE_ID, Digest
from include.quality.formats import is_zipped, reader_for
from include.quality.lines import PIECE_BYTES, Condemned, Content
from include.quality.records import Ints, Rows

_MONEY = re.compile(MONEY)
_MOST_FIELD = 64 * 2**20


def reread(store: ObjectStore, bucket: str, spec: FeedSpec, file_id: int, bronze: Sequence[ObjectRef]) -> Reread:
    """Read a file's bronze objects part by part: rows, digest and cents, or what makes a part unreadable."""
    money = money_column(spec.contract)
    digest = Digest()
    rows = cents = 0
    for ref in bronze:
        try:
            table = pq.read_table(pa.BufferReader(store.read_bytes(bucket, ref.key)))
            strangers = pc.sum(pc.not_equal(table[FILE_ID], file_id)).as_py()
            digest.update(table.drop_columns([FILE_ID]))
            cents += _sum_in_cents(table[money.bronze_name]) if money else 0
        except ObjectGone:
            return Reread(rows, None, None, ref.key, "is not there")
        except (pa.ArrowException, KeyError, OSError, TypeError, ValueError, AttributeError) as damaged:
            return Reread(rows, None, None, ref.key, f"cannot be read as the Parquet that was written ({type(damaged).__name__})")
        if strangers:
            return Reread(rows, None, None, ref.key, f"holds {strangers} rows of another file")
        rows += table.num_rows
    return Reread(rows, digest.hexdigest(), cents if money else None, bronze[0].key if bronze else "", None)


def recount(store: ObjectStore, bucket: str, spec: FeedSpec, file: LedgerFile, rejects: ObjectRef | None) -> Recount:
    """Read an original once more: its lines and cents, and how much of both lies in the lines that `rejects.csv` names."""
    place = file.lies_at or file
    money = money_column(spec.contract)
    rejected = rejected_lines(store, bucket, rejects)
    lines = found = cents = cents_rejected = 0
    with closing(store.read(place.bucket, place.key, place.etag)) as stream:
        content = Content(stream, zipped=is_zipped(file.key), max_bytes=spec.contract.max_bytes)
        with suppress(Condemned):  # other bytes than those that were accepted: the digest says so
            for rows in reader_for(file.key)(content, spec.contract, PIECE_BYTES):
                lines += len(rows)
                named = np.isin(rows.lines, rejected)
                found += int(np.count_nonzero(named))
                if money is not None:
                    amounts = _cents(rows, money)
                    cents += int(amounts.sum())
                    cents_rejected += int(amounts[named].sum())
        content.drain()
    return Recount(content.sha256, lines, found, cents if money else None, cents_rejected if money else None)


def money_column(contract: Contract) -> Column | None:
    """The column whose amounts are added up: the one that the contract names, or the first that is money."""
    if contract.summed:
        return contract.column(contract.summed)
    return next((column for column in contract.columns if column.stored in {Stored.CENTS, Stored.DECIMAL}), None)


def rejected_lines(store: ObjectStore, bucket: str, rejects: ObjectRef | None) -> Ints:
    """The lines that a `rejects.csv` names, each record once."""
    if rejects is None:
        return np.array([], np.int64)
    with closing(store.read(bucket, rejects.key)) as stream:
        return np.fromiter(_lines(io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")), np.int64)


def _sum_in_cents(amounts: pa.ChunkedArray) -> int:
    total = pc.sum(amounts).as_py() or 0
    return int(total * 100) if pa.types.is_decimal(amounts.type) else int(total)


def _lines(text: io.TextIOWrapper) -> Iterator[int]:
    csv.field_size_limit(_MOST_FIELD)
    for record in csv.DictReader(text):
        yield int(record["line"])


def _cents(rows: Rows, money: Column) -> Ints:
    """The cents of each row; 0 where its amount is no money or cannot be read."""
    amounts = np.zeros(len(rows), np.int64)
    column = rows.table[money.name]
    at = 0
    for chunk in column.chunks:
        worth = np.fromiter(map(cents_of, chunk.dictionary.to_pylist()), np.int64, len(chunk.dictionary))
        codes = chunk.indices.fill_null(0).to_numpy(zero_copy_only=False)
        known = pc.is_valid(chunk).to_numpy(zero_copy_only=False)
        amounts[at : at + len(chunk)] = np.where(known, worth[codes] if len(worth) else 0, 0)
        at += len(chunk)
    return amounts


@functools.lru_cache(65536)
def cents_of(text: str | None) -> int:
    """Exact cents of money as files write it; 0 of anything else.

    >>> cents_of("4.5"), cents_of("12"), cents_of("0.07"), cents_of("1e2"), cents_of(None)
    (450, 1200, 7, 0, 0)
    """
    if text is None or not _MONEY.fullmatch(text):
        return 0
    units, _, part = text.partition(".")
    return int(units) * 100 + int(part.ljust(2, "0") or "0")
