"""Partial aggregates as tables, without Spark: a file's contribution to state from its bronze rows, and state objects merged into one.

Merging keeps the partials; it only makes reading cheaper. It is a stream: the objects come sorted by (merchant, customer), so memory
follows the number of objects and not their size.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.domains.transactions.request import StateObject
from include.domains.transactions.schema import COMPACTED, PARTIALS
from include.files.file import ObjectRef
from include.storage.decoded import bounded_tables
from include.storage.object_store import ObjectStore
from include.storage.parquet import parquet_writer

OF_BRONZE = ("merchant", "customer", "gender", "amount_cents", "_line")
_ORDER = [("merchant", "ascending"), ("customer", "ascending"), ("seq", "ascending")]
_BATCH_ROWS = 64 * 1024

Key = tuple[str, str]


def contribution(seq: int, bronze: pa.Table) -> pa.Table:
    """One row per merchant and customer of a file; the gender is that of the first line.

    >>> rows = {"merchant": ["m", "m"], "customer": ["c", "c"], "gender": ["M", "F"], "amount_cents": [2, 3], "_line": [9, 4]}
    >>> contribution(7, pa.table(rows)).to_pylist()
    [{'seq': 7, 'merchant': 'm', 'customer': 'c', 'n': 2, 'cents': 5, 'gender': 'F'}]
    """
    grouped = bronze.sort_by("_line").group_by(["merchant", "customer"], use_threads=False)
    sums = grouped.aggregate([("amount_cents", "count"), ("amount_cents", "sum"), ("gender", "first")])
    named = sums.rename_columns({"amount_cents_count": "n", "amount_cents_sum": "cents", "gender_first": "gender"})
    seqs = pa.array([seq] * named.num_rows, pa.int64())
    return named.append_column("seq", seqs).select(PARTIALS.names).cast(PARTIALS)


def contributions(parts: Iterable[pa.Table]) -> pa.Table:
    """The contributions of a batch's files as one object holds them, by (merchant, customer, seq)."""
    return pa.concat_tables(parts).sort_by(_ORDER).combine_chunks()


def sums_by_seq(partials: pa.Table) -> dict[int, tuple[int, int]]:
    """Rows and cents of each file that a batch's object holds."""
    sums = partials.group_by("seq").aggregate([("n", "sum"), ("cents", "sum")])
    return {row["seq"]: (row["n_sum"], row["cents_sum"]) for row in sums.to_pylist()}


def sums_by_merchant(pieces: Iterable[pa.Table]) -> dict[str, int]:
    """Transactions of each merchant over state objects that together hold every seq once."""
    totals: dict[str, int] = {}
    for piece in pieces:
        for row in piece.group_by("merchant").aggregate([("n", "sum")]).to_pylist():
            totals[row["merchant"]] = totals.get(row["merchant"], 0) + row["n_sum"]
    return totals


def same_rows(one: Iterator[pa.Table], other: Iterator[pa.Table]) -> bool:
    """Whether two streams of tables hold the same rows in the same order, however they are cut."""
    left, right = _next(one), _next(other)
    while left is not None and right is not None:
        size = min(left.num_rows, right.num_rows)
        if not left.slice(0, size).equals(right.slice(0, size)):
            return False
        left = left.slice(size) if left.num_rows > size else _next(one)
        right = right.slice(size) if right.num_rows > size else _next(other)
    return left is None and right is None


def _next(pieces: Iterator[pa.Table]) -> pa.Table | None:
    return next((piece for piece in pieces if piece.num_rows), None)


def merge_objects(store: ObjectStore, bucket: str, objects: Sequence[StateObject], to_key: str) -> ObjectRef:
    """Merge state objects of adjacent seqs into one object under `to_key`; the caller makes it known to the ledger.

    Raises:
        ObjectGone: a state object is not there.
        ValueError: two objects hold the same seqs, or one is not sorted.
    """
    with ExitStack() as stack:
        pieces = merged_objects(store, bucket, objects, stack)
        target = stack.enter_context(tempfile.TemporaryFile())
        rows = 0
        with parquet_writer(target, COMPACTED) as writer:
            for table in pieces:
                writer.write_table(table)
                rows += table.num_rows
        target.seek(0)
        return store.put(bucket, to_key, target, rows=rows)


def merged_objects(store: ObjectStore, bucket: str, objects: Sequence[StateObject], stack: ExitStack) -> Iterator[pa.Table]:
    """What `merge_objects` writes, piece by piece; one object as it is. The local copies go away with the stack."""
    ordered = sorted(objects, key=lambda part: part.first_seq)
    for before, after in pairwise(ordered):
        if after.first_seq <= before.last_seq:
            raise ValueError(f"{after.key} begins with seq {after.first_seq}, which {before.key} holds already")
    sources = [_batches(stack.enter_context(_downloaded(store, bucket, part)), part.key) for part in ordered]
    return merged(sources) if len(sources) > 1 else sources[0]


def merged(sources: Sequence[Iterator[pa.Table]]) -> Iterator[pa.Table]:
    """Merge tables that come in pieces, each sorted by (merchant, customer), into one row per key, in that order.

    In each round everything up to the smallest key that any source has read so far is complete, except for that key itself.
    """
    waiting: list[pa.Table | None] = [next(source, None) for source in sources]
    carried = COMPACTED.empty_table()
    while any(piece is not None for piece in waiting):
        frontier = min(_key(piece, piece.num_rows - 1) for piece in waiting if piece is not None)
        ready = [carried]
        for number, piece in enumerate(waiting):
            if piece is None:
                continue
            upto = _first_after(piece, frontier)
            ready.append(piece.slice(0, upto))
            waiting[number] = piece.slice(upto) if upto < piece.num_rows else next(sources[number], None)
        total = added_up(pa.concat_tables(ready))
        yield total.slice(0, total.num_rows - 1)
        carried = total.slice(total.num_rows - 1)
    yield carried


def added_up(rows: pa.Table) -> pa.Table:
    """One row per (merchant, customer), in that order: sums, and the gender of the smallest seq."""
    ordered = rows.sort_by([("merchant", "ascending"), ("customer", "ascending"), ("first_seq", "ascending")])
    changes = [pc.not_equal(ordered[name].slice(1), ordered[name].slice(0, len(ordered) - 1)) for name in ("merchant", "customer")]
    starts = np.flatnonzero(np.concatenate([[True], pc.or_(*changes).to_numpy()]))
    sums = {name: pa.array(np.add.reduceat(ordered[name].to_numpy(), starts)) for name in ("n", "cents")}
    first = ordered.take(pa.array(starts))
    return pa.table([sums.get(name, first[name]) for name in COMPACTED.names], schema=COMPACTED)


@contextmanager
def _downloaded(store: ObjectStore, bucket: str, part: StateObject) -> Iterator[pa.NativeFile]:
    """A local copy to seek in, as a file of Arrow's own (see `parquet_table`)."""
    with tempfile.NamedTemporaryFile() as local:
        with store.read(bucket, part.key) as body:
            shutil.copyfileobj(body, local, 1 << 20)
        local.flush()
        with pa.OSFile(local.name) as opened:
            yield opened


def _batches(parquet: pa.NativeFile, key: str) -> Iterator[pa.Table]:
    """An object's rows piece by piece in the columns of `COMPACTED`, whatever its level."""
    last: Key | None = None
    for piece in bounded_tables(parquet, _BATCH_ROWS):
        table = piece.rename_columns(["first_seq" if name == "seq" else name for name in piece.column_names])
        if last is not None and _key(table, 0) < last:
            raise ValueError(f"{key} is not sorted by merchant and customer")
        last = _key(table, table.num_rows - 1)
        yield table.select(COMPACTED.names).cast(COMPACTED)


def _key(table: pa.Table, row: int) -> Key:
    return table["merchant"][row].as_py(), table["customer"][row].as_py()


def _first_after(table: pa.Table, key: Key) -> int:
    """The first row with a larger key, by bisection; Python compares text as its UTF-8 bytes do."""
    low, high = 0, table.num_rows
    while low < high:
        middle = (low + high) // 2
        if _key(table, middle) <= key:
            low = middle + 1
        else:
            high = middle
    return low
