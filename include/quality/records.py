"""Rows of a file on their way through the gate, whatever the file's format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.quality.dialect import Unreadable, without_line_end

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Some records of one file, in line order, every value still text.

    Attributes:
        table: the contract's columns by name, dictionary-encoded text; the only null is empty text.
        additional: what else a row said, as one JSON object each, or None where the file says nothing else.
        lines: the record's first physical line.
        unreadable: why a row could not be read, by row; such a row is null throughout.
        header: the names in the file's header.
        data: the bytes that the rows were read from; a row lies from `starts` to `ends`.
        told: writes a row down where its file holds no text of it.
    """

    table: pa.Table
    additional: pa.Array | None
    lines: Ints
    unreadable: Mapping[int, Unreadable]
    data: bytes
    starts: Ints
    ends: Ints
    header: tuple[str, ...] = ()
    render: Callable[[int], bytes] | None = None

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.data) or self.table.nbytes + (0 if self.additional is None else self.additional.nbytes)

    def original(self, row: int) -> bytes:
        """The record as it lies in the file, without its line end; of a file without text, as a JSON object."""
        return self.render(row) if self.render else without_line_end(self.data[self.starts[row] : self.ends[row]])


def with_columns(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The columns of those names, in order; one that the file does not have is null."""
    nothing = pa.DictionaryArray.from_arrays(pa.nulls(table.num_rows, pa.int32()), pa.array([], pa.string()))
    return pa.table({name: table[name] if name in table.column_names else nothing for name in names})
