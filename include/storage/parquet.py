"""How an object of ours is written as Parquet, and read."""

from __future__ import annotations

import io
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from include.storage.decoded import bounded_tables

# Small enough that a reader of a few rows skips the rest, large enough to cost nothing.
ROW_GROUP_ROWS = 128 * 1024
_PIECE_ROWS = 64 * 1024
_COPIED_BYTES = 2**20


def parquet_writer(sink: object, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer as every state object is written: a page index, so that a reader of few rows reads few pages."""
    return pq.ParquetWriter(sink, schema, compression="zstd", write_page_index=True)


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as one Parquet object."""
    sink = io.BytesIO()
    with parquet_writer(sink, table.schema) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
    return sink.getvalue()


def parquet_table(body: bytes) -> pa.Table:
    """The rows of one Parquet object, without Arrow's threads: a process that has started them is aborted at its exit now and then."""
    with pq.ParquetFile(pa.BufferReader(body), pre_buffer=False) as parquet:
        return parquet.read(use_threads=False)


class Spooled:
    """The rows of one Parquet object of any size: kept in a local file that goes with this value, and read piece by piece."""

    def __init__(self, body: BinaryIO) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (open for as long as this value lives)
        weakref.finalize(self, self._file.close)
        shutil.copyfileobj(body, self._file, _COPIED_BYTES)
        self.size = self._file.tell()
        with pq.ParquetFile(self._file) as parquet:
            self.num_rows: int = parquet.metadata.num_rows
            self.nothing = parquet.schema_arrow.empty_table()

    def pieces(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """All rows, in order."""
        return bounded_tables(self._file, _PIECE_ROWS, columns=columns)
