"""Cutting a source's lines into chunks: the rows' own bytes, below the source's header."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from include.contract import Contract
from include.quality.dialect import Unreadable, read, without_line_end
from include.quality.words import header_names, some_names
from sluice.produce.errors import HeaderUnfit, SourceEmpty

_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Position:
    """How far a source was consumed: rows, and the byte where the next one begins (after decompression)."""

    rows: int
    byte: int


@dataclass(frozen=True)
class Cut:
    """The rows of one chunk, as they lie in the source; empty lines between them come along and are not counted."""

    start: Position
    end: Position
    data: bytes

    @property
    def rows(self) -> int:
        return self.end.rows - self.start.rows

    def body(self, header: bytes) -> bytes:
        return header + self.data


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def header_of(stream: BinaryIO, location: str, contract: Contract) -> bytes:
    """The first line with its line end, once it is known that the feed can read it.

    Raises:
        SourceEmpty: there is no byte at all.
        HeaderUnfit: it lacks mandatory columns, or is no header.
    """
    line = _next_line(stream, contract.max_line_bytes, location)
    if not line:
        raise SourceEmpty(location, "is empty; it needs a header and at least one row")
    if line.startswith(_WIDE_BOMS) or b"\0" in line:
        raise HeaderUnfit(location, "its first line is binary or UTF-16; it must be UTF-8 text")
    names = read(without_line_end(line.removeprefix(_BOM)), contract.delimiter.encode(), contract.quote.encode())
    if isinstance(names, Unreadable):
        raise HeaderUnfit(location, f"its first line, the header, cannot be read: {names.reason}")
    missing = [name for name in contract.names if name not in names]
    if missing:
        raise HeaderUnfit(location, f"its header lacks {some_names(missing)} (found: {header_names(names, contract.names)})", missing)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise HeaderUnfit(location, f"its header names {some_names(doubled)} more than once")
    if not line.endswith(b"\n"):
        raise SourceEmpty(location, "has a header and no rows")
    return line


def cuts(stream: BinaryIO, start: Position, rows: int, max_line_bytes: int, location: str) -> Iterator[Cut]:
    """Cut what follows `start` (where the stream stands) after every `rows` rows; the last cut may have fewer."""
    while True:
        lines: list[bytes] = []
        counted = 0
        while counted < rows and (line := _next_line(stream, max_line_bytes, location)):
            lines.append(line)
            counted += line not in (b"\n", b"\r\n")
        if not counted:
            return
        data = b"".join(lines)
        end = Position(start.rows + counted, start.byte + len(data))
        yield Cut(start, end, data)
        start = end


def _next_line(stream: BinaryIO, longest: int, location: str) -> bytes:
    line = stream.readline(longest + 2)
    if len(line) > longest and not line.endswith(b"\n"):
        raise HeaderUnfit(location, f"has a line of more than {longest:,} bytes: is it text at all?")
    return line
