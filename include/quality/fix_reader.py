"""Corrected rows: an edited `rejects.csv` to the rows of the file that they were rejected from, read as that file was."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from include.contract import Contract
from include.errors import ObjectGone
from include.files.fix import FixParent, Parents, refused_references
from include.files.verdict import Fault
from include.quality.dialect import Unreadable
from include.quality.formats import LayoutReader, is_zipped, layout_reader_for
from include.quality.lines import Content, Quarantined
from include.quality.records import Rows
from include.quality.words import some
from include.storage.object_store import ObjectStore, as_it_lies

MOST_BYTES = 64 * 2**20
REFERENCES = ("file_id", "line", "original")
_CLEAN = "keep the columns file_id, line and original as rejects.csv has them"
_NO_LINE = b"-"  # stands where a text cannot be read as one line; what is wrong with it is said instead
_ROWS = 10_000


class NoParents:
    """Knows no file: what a gate has that is never shown corrected rows."""

    def fix_parent(self, feed: str, file_id: int, before_seq: int) -> None:  # noqa: ARG002 (the port's)
        return None


@dataclass(frozen=True)
class _Record:
    """One record of a file of corrections, its parts still as they were typed."""

    file_id: str
    line: str
    original: bytes

    @property
    def parent(self) -> int | None:
        return _number(self.file_id)

    @property
    def number(self) -> int | None:
        """The line, where it is a number."""
        return _number(self.line)


@dataclass(frozen=True)
class Corrections:
    """What a file of corrections says: of which file, which names its lines are read by, and its records in the order of the lines."""

    parent: FixParent
    header: tuple[str, ...]
    records: Sequence[_Record]
    refused: Mapping[int, str]

    def rows(self, contract: Contract) -> Iterator[Rows]:
        """The corrected lines as rows of the parent: `lines` are the parent's."""
        layout = layout_reader_for(self.parent.kept.file.key)
        for start in range(0, len(self.records), _ROWS):
            records = self.records[start : start + _ROWS]
            refused = {place: self.refused[start + place] for place in range(len(records)) if start + place in self.refused}
            texts = [_whole(record.original, layout) for record in records]
            read = layout.read(contract, self.header, [text or _NO_LINE for text in texts])
            yield _rows(read, records, [place for place, text in enumerate(texts) if text is None], refused)


def read_corrections(
    content: Content, contract: Contract, store: ObjectStore, bucket: str, parents: Parents, feed: str, seq: int
) -> Corrections:
    """Read a file of corrections to its end and look up what it refers to.

    Raises:
        Quarantined: it is no such file, or does not refer to one file whose rows may come in corrected.
    """
    records = _records(b"".join(piece.data for piece in content.pieces(contract.max_line_bytes)))
    wanted = {record.parent for record in records}
    if None in wanted:
        raise Quarantined(
            Fault.REFERENCE, f"the file_id of {sum(not record.parent for record in records)} of its rows is no number; {_CLEAN}"
        )
    if len(wanted) > 1:
        raise Quarantined(
            Fault.REFERENCE,
            f"its rows refer to {len(wanted)} files ({some(sorted(map(str, wanted)))}); send the rows of each as a file of its own",
        )
    number = wanted.pop()
    parent = parents.fix_parent(feed, number, seq) if number else None
    if parent is None:
        raise Quarantined(Fault.REFERENCE, f"its rows refer to file {number}, which {feed} does not have; {_CLEAN}")
    if parent.refusal:
        raise Quarantined(Fault.REFERENCE, parent.refusal)
    rejected = _rejected_lines(store, bucket, parent)
    ordered = sorted(records, key=lambda record: (record.number is None, record.number or 0))
    return Corrections(
        parent=parent,
        header=parent.header or _header_of(store, bucket, parent, contract),
        records=ordered,
        refused=refused_references([record.number for record in ordered], rejected, parent.fixed),
    )


def _records(data: bytes) -> list[_Record]:
    """The records of `rejects.csv`, in standard CSV; bytes that are not UTF-8 pass through."""
    if len(data) > MOST_BYTES:
        raise Quarantined(Fault.TOO_LARGE, f"more than {MOST_BYTES:,} bytes of corrections; send them as several files")
    csv.field_size_limit(MOST_BYTES)
    reader = csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline=""), strict=True)
    try:
        header = next(reader, [])
        missing = [name for name in REFERENCES if header.count(name) != 1]
        if missing:
            raise Quarantined(Fault.REFERENCE, f"no rejects.csv: its header lacks {', '.join(missing)}; {_CLEAN}")
        places = [header.index(name) for name in REFERENCES]
        records = []
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                raise Quarantined(
                    Fault.REFERENCE,
                    f"the record that ends on line {reader.line_num} has {len(fields)} fields, the header {len(header)}; {_CLEAN}",
                )
            file_id, line, original = (fields[place] for place in places)
            records.append(_Record(file_id.strip(), line.strip(), original.encode("utf-8", "surrogateescape")))
    except csv.Error as error:
        raise Quarantined(Fault.REFERENCE, f"the record that ends on line {reader.line_num} cannot be read ({error}); {_CLEAN}") from None
    if not records:
        raise Quarantined(Fault.NO_ROWS, "no corrected row is in it")
    return records


def _rejected_lines(store: ObjectStore, bucket: str, parent: FixParent) -> set[int]:
    """The lines of a file that were rejected, as its own `rejects.csv` under the gate's attempt names them."""
    rejects = parent.kept.rejects
    assert rejects is not None, "refused before"
    try:
        data = store.read_bytes(bucket, rejects.key, rejects.etag)
    except ObjectGone as gone:
        raise Quarantined(Fault.REFERENCE, f"{gone}: which rows of file {parent.kept.file.file_id} were rejected cannot be told") from None
    return {record.number for record in _records(data) if record.number is not None}


def _header_of(store: ObjectStore, bucket: str, parent: FixParent, contract: Contract) -> tuple[str, ...]:
    """The header of a file that was judged before headers were kept: read from its bytes."""
    file = as_it_lies(store, bucket, parent.kept)
    if file is None or file.lies_at is None:
        number = parent.kept.file.file_id
        raise Quarantined(Fault.REFERENCE, f"the original of file {number} is gone and with it its header: land the rows as a file")
    place = file.lies_at
    with closing(store.read(place.bucket, place.key, place.etag)) as stream:
        content = Content(stream, zipped=is_zipped(file.key), max_bytes=contract.max_bytes)
        first = next(content.pieces(contract.max_line_bytes, 2**16))
    return layout_reader_for(file.key).header(first.data, contract)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _whole(original: bytes, layout: LayoutReader) -> bytes | None:
    """The text as a record of the parent's format, or None where it cannot be one."""
    return None if not original or b"\0" in original or (layout.one_line and b"\n" in original) else original


def _rows(read: Rows, records: Sequence[_Record], unfit: Sequence[int], refused: Mapping[int, str]) -> Rows:
    """The rows that were read, each under its reference and with the text that was typed."""
    unreadable = dict(read.unreadable)
    unreadable |= {place: Unreadable("fields", "the corrected text is not one line") for place in unfit}
    unreadable |= {place: Unreadable("reference", why) for place, why in refused.items()}
    typed = [record.original + (b"\r\n" if record.original.endswith(b"\r") else b"\n") for record in records]
    ends = np.cumsum([len(text) for text in typed], dtype=np.int64)
    return dataclasses.replace(
        read,
        lines=np.array([record.number or 0 for record in records], np.int64),
        unreadable=unreadable,
        data=b"".join(typed),
        starts=np.concatenate(([0], ends[:-1])),
        ends=ends,
    )
