"""Compaction: several state objects become one with a row per merchant and customer. Partials are kept; this only makes reading cheaper.

A streaming merge in this process: the objects come sorted by (merchant, customer), so memory follows the number of objects and not their
size.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.feeds.transactions.job import StateObject
from include.feeds.transactions.state import COMPACTED, parquet_writer
from include.ingestion.file import ObjectRef
from include.ingestion.ports import ObjectStore

_BATCH_ROWS = 64 * 1024

Key = tuple[str, str]


def compact(store: ObjectStore, bucket: str, objects: Sequence[StateObject], to_key: str) -> ObjectRef:
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
    """What `compact` writes, piece by piece; one object as it is. The local copies go away with the stack."""
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
    for batch in pq.ParquetFile(parquet).iter_batches(_BATCH_ROWS):
        table = pa.Table.from_batches([batch])
        if "seq" in table.column_names:
            table = table.rename_columns(["first_seq" if name == "seq" else name for name in table.column_names])
        if not table.num_rows:
            continue
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
