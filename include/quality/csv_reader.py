"""CSV content to rows: regular lines at pyarrow's speed, all others one by one through the exact dialect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.contract import Contract
from include.files.verdict import Fault
from include.quality import dialect
from include.quality.additional import objects, strings
from include.quality.arrow import TEXT, mask_of, side_by_side, utf8
from include.quality.dialect import Unreadable, without_line_end
from include.quality.lines import Content, Piece, Quarantined, refuse_nul
from include.quality.records import Ints, Mask, Rows, with_columns
from include.quality.words import header_names, is_header, some, some_names

_BOM = b"\xef\xbb\xbf"
_LF, _CR = ord("\n"), ord("\r")
_MOST_REGULAR_FIELDS = 500  # RE2 refuses patterns much larger; lines of wider files are all read one by one


def read_csv(content: Content, contract: Contract, piece_bytes: int) -> Iterator[Rows]:
    """The records below the header, piece by piece.

    Raises:
        Quarantined: the header does not fit the contract, a NUL anywhere, or no record at all.
    """
    reader = None
    records = 0
    for piece in content.pieces(contract.max_line_bytes, piece_bytes):
        body = piece
        if reader is None:
            header, body = _header_and_body(piece)
            refuse_nul(header)
            reader = _Reader(contract, _layout(header.data, contract))
        refuse_nul(body)
        rows = reader.rows(body)
        records += len(rows)
        if len(rows):
            yield rows
    if reader is None:
        raise Quarantined(Fault.EMPTY, "the file is empty; a file needs a header and at least one row")
    if not records:
        raise Quarantined(Fault.NO_ROWS, "the file has a header and no rows; a file needs at least one row")


def read_lines(contract: Contract, header: Sequence[str], lines: Sequence[bytes]) -> Rows:
    """Single lines, none of them blank, as rows of a file with that header; `lines` of the rows count from 1."""
    data = b"".join(line + (b"\r\n" if line.endswith(b"\r") else b"\n") for line in lines)
    return _Reader(contract, _layout_of(header, contract)).rows(Piece(data, 1))


def header_of(data: bytes, contract: Contract) -> tuple[str, ...]:
    """The names in the header of a file that begins with these bytes."""
    header, _ = _header_and_body(Piece(data, 1))
    return _layout(header.data, contract).columns


@dataclass(frozen=True)
class Layout:
    """What a file's header says: all its columns, and those that the contract does not name, sorted."""

    columns: tuple[str, ...]
    extra: tuple[str, ...]


class _Reader:
    """Reads the pieces of one file below its header."""

    def __init__(self, contract: Contract, layout: Layout) -> None:
        self._contract = contract
        self._layout = layout
        self._delimiter = contract.delimiter.encode()
        self._quote = contract.quote.encode()
        self._wanted = [*(name for name in contract.names if name in layout.columns), *layout.extra]
        self._regular = dialect.regular_line(contract.delimiter, contract.quote, len(layout.columns))

    def rows(self, piece: Piece) -> Rows:
        content = np.frombuffer(piece.data, np.uint8)
        ends = np.flatnonzero(content == _LF) + 1
        if piece.data and content[-1] != _LF:
            ends = np.append(ends, len(content))
        bounds = np.concatenate(([0], ends))
        starts = bounds[:-1]
        physical = side_by_side(piece.data, bounds)
        filled = ~_blank(content, starts, ends)
        regular = self._regular_lines(physical, piece.data) & filled
        irregular = np.flatnonzero(filled & ~regular)
        table = self._fast(physical, regular, piece.data)
        unreadable: dict[int, Unreadable] = {}
        if irregular.size:
            at = np.flatnonzero(regular)
            slow, faults = self._exact(piece.data, starts[irregular], ends[irregular])
            order = np.argsort(np.concatenate((at, irregular)), kind="stable")
            table = pa.concat_tables([table, slow]).unify_dictionaries().combine_chunks().take(pa.array(order))
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order))
            unreadable = {int(place[len(at) + row]): fault for row, fault in faults.items()}
        records = np.flatnonzero(filled)
        return Rows(
            table=with_columns(table, self._contract.names),
            additional=objects([strings(name, table[name].combine_chunks()) for name in self._layout.extra])
            if self._layout.extra
            else None,
            lines=records + piece.first_line,
            unreadable=unreadable,
            data=piece.data,
            starts=starts[records],
            ends=ends[records],
            header=self._layout.columns,
        )

    def _regular_lines(self, physical: pa.Array, data: bytes) -> Mask:
        if len(self._layout.columns) > _MOST_REGULAR_FIELDS:
            return np.zeros(len(physical), np.bool_)
        regular = mask_of(pc.match_substring_regex(physical, self._regular))
        if data.isascii():
            return regular
        regular &= ~mask_of(pc.starts_with(physical, _BOM))  # pyarrow takes a mark away wherever its input starts
        return regular & utf8(physical, data)

    def _fast(self, physical: pa.Array, regular: Mask, data: bytes) -> pa.Table:
        """The regular lines through pyarrow: one block, text only, empty text to null."""
        expected = int(np.count_nonzero(regular))
        if not expected:
            return pa.table({name: pa.array([], TEXT) for name in self._wanted})
        if expected == len(regular):
            source = pa.py_buffer(data)
        else:
            kept = physical.filter(pa.array(regular))
            source = kept.buffers()[2].slice(0, int(np.frombuffer(kept.buffers()[1], np.int32)[len(kept)]))
        table = pyarrow.csv.read_csv(
            pa.BufferReader(source),
            read_options=pyarrow.csv.ReadOptions(column_names=self._layout.columns, block_size=source.size + 1),
            parse_options=pyarrow.csv.ParseOptions(delimiter=self._contract.delimiter, quote_char=self._contract.quote),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(self._wanted, TEXT), include_columns=self._wanted, strings_can_be_null=True, null_values=[""]
            ),
        )
        if table.num_rows != expected:
            raise RuntimeError(f"pyarrow read {table.num_rows} records where {expected} regular lines are; nothing was accepted")
        return table.combine_chunks()

    def _exact(self, data: bytes, starts: Ints, ends: Ints) -> tuple[pa.Table, dict[int, Unreadable]]:
        """Lines one by one; the row of an unreadable one is null throughout."""
        place_of = {name: place for place, name in enumerate(self._layout.columns)}
        places = [place_of[name] for name in self._wanted]
        nothing: list[str | None] = [None] * len(places)
        unreadable: dict[int, Unreadable] = {}
        records = []
        for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            line = without_line_end(data[start:end])
            values = dialect.record(line, self._delimiter, self._quote, len(self._layout.columns))
            if isinstance(values, Unreadable):
                unreadable[row] = values
                records.append(nothing)
            else:
                records.append([values[place] or None for place in places])
        columns = zip(*records, strict=True)
        table = pa.table(
            {name: pa.array(column, pa.string()).dictionary_encode() for name, column in zip(self._wanted, columns, strict=True)}
        )
        return table, unreadable


def _header_and_body(piece: Piece) -> tuple[Piece, Piece]:
    cut = piece.data.find(b"\n") + 1 or len(piece.data)
    return Piece(piece.data[:cut], 1), Piece(piece.data[cut:], 2)


def _layout(line: bytes, contract: Contract) -> Layout:
    header = without_line_end(line)
    if not header:
        raise Quarantined(Fault.HEADER_UNREADABLE, "line 1 is empty; it must be the header")
    if header.startswith(b"\x1f\x8b"):
        raise Quarantined(
            Fault.HEADER_UNREADABLE, "the content is gzip and the name does not end with .gz; send it again under such a name"
        )
    names = dialect.read(header, contract.delimiter.encode(), contract.quote.encode())
    if isinstance(names, Unreadable):
        raise Quarantined(Fault.HEADER_UNREADABLE, f"line 1, the header, cannot be read: {names.reason}")
    known = contract.ignored.union(contract.names)
    unnamed = [number for number, name in enumerate(names, 1) if not name]
    if unnamed:
        raise Quarantined(
            Fault.COLUMN_UNNAMED, f"the header names no column {some(map(str, unnamed))} (of {len(names)}); every column needs a name"
        )
    doubled = sorted(name for name, times in Counter(names).items() if times > 1)
    if doubled:
        which = some_names(doubled) if is_header(names, known) else f"{len(doubled)} columns, none of them the contract's,"
        raise Quarantined(Fault.COLUMN_DOUBLED, f"the header names {which} more than once; every column needs a name of its own")
    missing = [name for name in contract.mandatory if name not in names]
    if missing:
        raise Quarantined(Fault.COLUMN_MISSING, f"missing columns {some_names(missing)} (found: {header_names(names, known)})")
    return _layout_of(names, contract)


def _layout_of(names: Sequence[str], contract: Contract) -> Layout:
    known = contract.ignored.union(contract.names)
    return Layout(tuple(names), tuple(sorted(name for name in names if name not in known)))


def _blank(content: np.typing.NDArray[np.uint8], starts: Ints, ends: Ints) -> Mask:
    """Lines of nothing but LF or CRLF."""
    lengths, first = ends - starts, content[starts]
    blank: Mask = (first == _LF) | ((lengths == 2) & (first == _CR) & (content[ends - 1] == _LF))
    return blank
