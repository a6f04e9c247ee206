"""JSON content to rows: records that are alike at pyarrow's speed, all others one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.contract import Contract
from include.files.verdict import Fault
from include.quality.arrow import mask_of, side_by_side, utf8
from include.quality.dialect import Unreadable
from include.quality.json_array import elements
from include.quality.json_record import Record, RecordReader
from include.quality.json_template import MOST_BYTES, Template, template_of
from include.quality.lines import Broken, Content, Quarantined, cut, refuse_nul
from include.quality.records import Ints, Mask, Rows, with_columns

_LF, _CR = ord("\n"), ord("\r")
_MOST_TEMPLATES = 8
_WORTH_A_TEMPLATE = 64
_WHITE = b" \t\r\n"


def read_json_lines(content: Content, contract: Contract, piece_bytes: int) -> Iterator[Rows]:
    """A record a line, piece by piece.

    Raises:
        Quarantined: a NUL anywhere, no record at all, or a mandatory column that no record has.
    """
    return _lines(content.blocks(piece_bytes), contract)


def read_json(content: Content, contract: Contract, piece_bytes: int) -> Iterator[Rows]:
    """The elements of an array where the content begins with `[`, and a record a line otherwise.

    Raises:
        Quarantined: as of lines, or the array is broken.
    """
    first, blocks = _begun(content.blocks(piece_bytes), contract.max_line_bytes)
    if first != b"[":
        yield from _lines(blocks, contract)
        return
    reader = JsonReader(contract)
    number = 1
    for piece in elements(blocks, contract.max_line_bytes, content.skipped):
        rows = reader.rows(piece.data, piece.starts, piece.ends, np.arange(number, number + len(piece.starts)))
        number += len(rows)
        yield rows
    if number == 1:
        raise Quarantined(Fault.NO_ROWS, "the array is empty; a file needs at least one record")
    reader.refuse_lacking()


def read_records(contract: Contract, _: Sequence[str], records: Sequence[bytes]) -> Rows:
    """Single records as rows; `lines` of the rows count from 1."""
    bounds = np.concatenate(([0], np.cumsum([len(record) for record in records], dtype=np.int64)))
    return JsonReader(contract).rows(b"".join(records), bounds[:-1], bounds[1:], np.arange(1, len(records) + 1))


class JsonReader:
    """Reads the records of one file."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._records = RecordReader(contract)
        self._templates: list[Template] = []

    def rows(self, data: bytes, starts: Ints, ends: Ints, lines: Ints) -> Rows:
        """Records that lie in the data one behind the other, with nothing but white space and commas between them."""
        read = [_Read(*found) for found in self._alike(data, starts, ends)]
        alike = np.zeros(len(starts), np.bool_)
        for found in read:
            alike[found.rows] = True
        others = np.flatnonzero(~alike)
        unreadable: dict[int, Unreadable] = {}
        if others.size:
            read.append(self._exact(data, starts, ends, others, unreadable))
        order = np.argsort(np.concatenate([found.rows for found in read]))
        table = pa.concat_tables([with_columns(found.table, self._contract.names) for found in read])
        additional = pa.chunked_array([found.additional.cast(pa.string()) for found in read], pa.string())
        if len(read) > 1:
            table = table.unify_dictionaries().combine_chunks().take(pa.array(order))
            additional = additional.combine_chunks().take(pa.array(order))
        header = self._contract.names
        nothing_else = additional.null_count == len(lines)
        return Rows(table, None if nothing_else else additional, lines, unreadable, data, starts, ends, header)

    def refuse_lacking(self) -> None:
        """Condemn the file whose records were read where none of them had a mandatory column."""
        if self._records.refused:
            raise Quarantined(Fault.COLUMN_MISSING, self._records.refused)

    def _alike(self, data: bytes, starts: Ints, ends: Ints) -> Iterator[tuple[Ints, pa.Table, pa.Array]]:
        """The rows of each template that the file has shown so far or shows now."""
        spans = side_by_side(data, np.append(starts, len(data)))
        undone = utf8(spans, data)
        known = len(self._templates)
        learnt = iter(lambda: self._learnt(data, starts, ends, undone), None)
        for place, template in enumerate(chain(self._templates[:known], learnt)):
            among = np.flatnonzero(undone)
            found = among[mask_of(pc.match_substring_regex(spans.filter(pa.array(undone)), template.pattern))]
            if found.size:
                undone[found] = False
                self._records.saw_all()
                yield found, *template.read([data[starts[row] : ends[row]] for row in found.tolist()])
            elif place >= known:
                return

    def _learnt(self, data: bytes, starts: Ints, ends: Ints, undone: Mask) -> Template | None:
        """A template of the first record that follows none, where enough are left and the file has not too many."""
        if np.count_nonzero(undone) < _WORTH_A_TEMPLATE or len(self._templates) == _MOST_TEMPLATES:
            return None
        row = int(np.argmax(undone))
        record = data[starts[row] : ends[row]]
        if len(record) > MOST_BYTES or isinstance(RecordReader(self._contract).read(record), Unreadable):
            return None
        template = template_of(record, self._contract)
        if template is not None:
            self._templates.append(template)
        return template

    def _exact(self, data: bytes, starts: Ints, ends: Ints, rows: Ints, unreadable: dict[int, Unreadable]) -> _Read:
        """Records one by one; the row of an unreadable one is null throughout."""
        nothing = Record([None] * len(self._contract.columns), None)
        columns: list[list[str | None]] = [[] for _ in self._contract.columns]
        additional: list[str | None] = []
        for row in rows.tolist():
            record = self._records.read(data[starts[row] : ends[row]])
            if isinstance(record, Unreadable):
                unreadable[row] = record
                record = nothing
            additional.append(record.additional)
            for column, value in zip(columns, record.values, strict=True):
                column.append(value)
        encoded = (pa.array(column, pa.string()).dictionary_encode() for column in columns)
        return _Read(rows, pa.table(dict(zip(self._contract.names, encoded, strict=True))), pa.array(additional, pa.string()))


@dataclass(frozen=True)
class _Read:
    """Rows that were read together."""

    rows: Ints
    table: pa.Table
    additional: pa.Array


def _lines(blocks: Iterable[bytes], contract: Contract) -> Iterator[Rows]:
    reader = JsonReader(contract)
    pieces = records = 0
    for piece in cut(blocks, contract.max_line_bytes):
        refuse_nul(piece)
        if not pieces and piece.data.startswith(b"\x1f\x8b"):
            raise Quarantined(Fault.FORMAT, "the content is gzip and the name does not end with .gz; send it again under such a name")
        pieces += 1
        starts, ends, numbers = _filled_lines(piece.data)
        records += len(starts)
        if len(starts):
            yield reader.rows(piece.data, starts, ends, numbers + piece.first_line)
    if not records:
        fault = Fault.NO_ROWS if pieces else Fault.EMPTY
        raise Quarantined(fault, "the file has no record; a file needs at least one")
    reader.refuse_lacking()


def _filled_lines(data: bytes) -> tuple[Ints, Ints, Ints]:
    """Where the lines that are not empty start and end (line ends aside), and their places among all lines."""
    content = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(content == _LF).astype(np.int64)
    if content[-1] != _LF:
        ends = np.append(ends, len(content))
    starts = np.concatenate(([0], ends[:-1] + 1))
    ended = ends < len(content)
    ends -= (ends > starts) & ended & (content[ends - 1] == _CR)
    filled = np.flatnonzero(ends > starts)
    return starts[filled], ends[filled], filled


def _begun(blocks: Iterator[bytes], most: int) -> tuple[bytes, Iterator[bytes]]:
    """The first byte that is no white space, and all blocks; empty where none is within `most` bytes."""
    held = b""
    try:
        while len(held) <= most and not held.lstrip(_WHITE):
            block = next(blocks, None)
            if block is None:
                return b"", iter([held])
            held += block
    except Broken as broken:
        held += broken.before
        return held.lstrip(_WHITE)[:1], _breaking(Broken(held, broken.refused))
    return held.lstrip(_WHITE)[:1], chain([held], blocks)


def _breaking(broken: Broken) -> Iterator[bytes]:
    yield b""
    raise broken
