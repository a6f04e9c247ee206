"""An object's bytes as pieces of whole physical lines: hashed, gunzipped and bounded on the way."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from include.errors import SluiceError
from include.files.verdict import Fault

PIECE_BYTES = 8 * 2**20
_READ_BYTES = 2**20
_UNZIP_BYTES = 2**16  # always read in blocks of this size: what a broken member still gives away depends on it
_GZIP = 16 + zlib.MAX_WBITS
_WIDE_BOMS = ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_BOM = b"\xef\xbb\xbf"


class Quarantined(SluiceError):
    """A file is refused as a whole; the sentence says what is wrong, where, and what to do, without a value of any row."""

    def __init__(self, fault: Fault, reason: str) -> None:
        self.fault = fault
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole physical lines as they lie in the file. `first_line` is the number of the first; the file's first line is 1.

    Only the last line of a file may lack its LF.
    """

    data: bytes
    first_line: int


class Content:
    """One object read once: raw bytes are counted and hashed as they pass, and gunzipped where `zipped` says so.

    Args:
        max_bytes: of content after decompression; a file with more is condemned.
    """

    def __init__(self, stream: BinaryIO, *, zipped: bool, max_bytes: int) -> None:
        self._stream = stream
        self._zipped = zipped
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self.size = 0
        self.skipped = 0
        """Bytes of a byte order mark, known once the first block was given."""

    @property
    def sha256(self) -> str:
        """Of the raw bytes read so far; of the object once `drain` was called."""
        return self._hash.hexdigest()

    def drain(self) -> None:
        """Read what is left for the hash alone."""
        for _ in self._raw(_READ_BYTES):
            pass

    def pieces(self, max_line_bytes: int, piece_bytes: int = PIECE_BYTES) -> Iterator[Piece]:
        """Cut the content at line ends into pieces of about `piece_bytes`, without the byte order mark.

        Raises:
            Quarantined: what the content as such has wrong, after all whole lines before the fault were given.
        """
        return cut(self.blocks(piece_bytes), max_line_bytes)

    def blocks(self, piece_bytes: int) -> Iterator[bytes]:
        """The content in blocks of about `piece_bytes`, without the byte order mark.

        Raises:
            Broken: what the content as such has wrong, with what lies before it and was not given.
        """
        return _gathered(self._without_bom(self._blocks(piece_bytes)), piece_bytes)

    def _without_bom(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Take away a UTF-8 byte order mark, and refuse any other."""
        head = b""
        for block in blocks:
            head += block
            if len(head) >= max(len(mark) for mark, _ in _WIDE_BOMS):
                break
        for mark, name in _WIDE_BOMS:
            if head.startswith(mark):
                raise Quarantined(Fault.ENCODING, f"the file starts with a byte order mark of {name}; files must be UTF-8")
        body = head.removeprefix(_BOM)
        self.skipped = len(head) - len(body)
        yield body
        yield from blocks

    def _blocks(self, size: int) -> Iterator[bytes]:
        total = 0
        for block in self._unzipped() if self._zipped else self._raw(size):
            total += len(block)
            if total > self._max_bytes:
                raise Quarantined(
                    Fault.TOO_LARGE,
                    f"the content is larger than the {self._max_bytes:,} bytes that the contract allows; send it as smaller files",
                )
            yield block

    def _raw(self, size: int) -> Iterator[bytes]:
        while block := _filled(self._stream, size):
            self.size += len(block)
            self._hash.update(block)
            yield block

    def _unzipped(self) -> Iterator[bytes]:
        """The content of all members; zero bytes after a member are padding."""
        member, members = zlib.decompressobj(_GZIP), 0
        begun = False
        for block in self._raw(_UNZIP_BYTES):
            rest = block
            full = False
            while rest or full:
                if members and not begun:
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                begun = True
                try:
                    out = member.decompress(rest, _READ_BYTES)
                except zlib.error as error:
                    raise _gzip_broken(members, str(error)) from None
                if out:
                    yield out
                if member.eof:
                    rest, full = member.unused_data, False
                    member, members, begun = zlib.decompressobj(_GZIP), members + 1, False
                else:
                    rest, full = member.unconsumed_tail, len(out) == _READ_BYTES
        if begun:
            raise _gzip_broken(members, "it ends in the middle of a member")


def cut(blocks: Iterable[bytes], max_line_bytes: int) -> Iterator[Piece]:
    """The blocks of `Content.blocks` as pieces of whole lines."""
    held = b""
    line = 1
    try:
        for data in blocks:
            held += data
            end = held.rfind(b"\n") + 1
            whole, held = held[:end], held[end:]
            yield from _checked(whole, line, max_line_bytes)
            line += whole.count(b"\n")
            if len(held) > max_line_bytes:
                raise _too_long(line, max_line_bytes)
    except Broken as broken:
        whole = held + broken.before
        yield from _checked(whole[: whole.rfind(b"\n") + 1], line, max_line_bytes)
        raise broken.refused from None
    yield from _checked(held, line, max_line_bytes)


def refuse_nul(piece: Piece) -> None:
    """Condemn a file whose lines hold a NUL."""
    at = piece.data.find(b"\0")
    if at >= 0:
        line = piece.first_line + piece.data.count(b"\n", 0, at)
        raise Quarantined(Fault.NUL_BYTE, f"line {line:,} has a NUL byte; the file is binary, UTF-16 or damaged, and must be UTF-8 text")


class Broken(Exception):
    """Carries what was read before a fault of the content past the gathering of blocks."""

    def __init__(self, before: bytes, refused: Quarantined) -> None:
        self.before = before
        self.refused = refused
        super().__init__()


def _filled(stream: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, fewer only at the end, however few a single read gives."""
    block = stream.read(size)
    if not block or len(block) == size:
        return block
    parts, missing = [block], size - len(block)
    while missing and (more := stream.read(missing)):
        parts.append(more)
        missing -= len(more)
    return b"".join(parts)


def _gathered(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    held: list[bytes] = []
    length = 0
    try:
        for block in blocks:
            held.append(block)
            length += len(block)
            if length >= size:
                yield b"".join(held)
                held.clear()
                length = 0
    except Quarantined as refused:
        raise Broken(b"".join(held), refused) from None
    yield b"".join(held)


def _checked(whole: bytes, first_line: int, max_line_bytes: int) -> Iterator[Piece]:
    """The piece, or the lines before one that is too long."""
    if len(whole) > max_line_bytes:
        ends = np.flatnonzero(np.frombuffer(whole, np.uint8) == ord("\n"))
        if not whole.endswith(b"\n"):
            ends = np.append(ends, len(whole))
        long = np.flatnonzero(np.diff(ends, prepend=-1) - 1 > max_line_bytes)
        if long.size:
            row = int(long[0])
            if row:
                yield Piece(whole[: ends[row - 1] + 1], first_line)
            raise _too_long(first_line + row, max_line_bytes)
    if whole:
        yield Piece(whole, first_line)


def _too_long(line: int, limit: int) -> Quarantined:
    return Quarantined(
        Fault.LINE_TOO_LONG,
        f"line {line:,} is longer than the {limit:,} bytes that the contract allows; a quote that never closes or binary data may be why",
    )


def _gzip_broken(members: int, detail: str) -> Quarantined:
    where = (
        "the gzip content is broken" if not members else f"after {members} complete gzip member{'s' * (members > 1)} the content is broken"
    )
    return Quarantined(Fault.GZIP_BROKEN, f"{where} ({detail}); send the file again")
