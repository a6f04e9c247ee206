"""A JSON array of any length to its elements, piece by piece: where each lies, and where the array is broken."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from include.files.verdict import Fault
from include.quality.json_record import end_of
from include.quality.lines import Broken, Quarantined
from include.quality.records import Ints

_WHITE = re.compile(r"[ \t\r\n]*")
_SCAN = json.JSONDecoder(parse_float=str, parse_int=str).raw_decode
_UNDECIDED = 16  # bytes at the end of a cut text within which an error may be the cut's


class _Expects(enum.Enum):
    ARRAY = enum.auto()
    FIRST = enum.auto()
    ELEMENT = enum.auto()
    COMMA = enum.auto()
    NOTHING = enum.auto()


@dataclass(frozen=True)
class Elements:
    """Some elements of an array, one behind the other: each from its start to its end in the data."""

    data: bytes
    starts: Ints
    ends: Ints


def elements(blocks: Iterable[bytes], max_element_bytes: int, skipped: int) -> Iterator[Elements]:
    """The elements in the blocks of a content that begins with `[`.

    Args:
        skipped: bytes before the first block, for the positions that are told.

    Raises:
        Quarantined: the array is broken, with the byte where; an element is longer than allowed; what the content has wrong.
    """
    scanner = _Scanner(max_element_bytes, skipped)
    try:
        for block in blocks:
            yield from scanner.take(block, final=False)
    except Broken as broken:
        yield from scanner.take(broken.before, final=False)
        raise broken.refused from None
    yield from scanner.take(b"", final=True)


class _Scanner:
    """Goes through the text of an array; bytes stand for characters, so that places are bytes."""

    def __init__(self, most: int, offset: int) -> None:
        self._most = most
        self._offset = offset
        self._held = b""
        self._expects = _Expects.ARRAY
        self._count = 0

    def take(self, block: bytes, *, final: bool) -> Iterator[Elements]:
        """The elements that are whole now; what is left of the text waits for the next block."""
        self._held += block
        text = self._held.decode("latin-1")
        bounds: list[tuple[int, int]] = []
        at = self._scan(text, bounds, final=final)
        if bounds:
            first, last = bounds[0][0], bounds[-1][1]
            starts, ends = np.array(bounds, np.int64).T - first
            yield Elements(self._held[first:last], starts.copy(), ends.copy())
        self._held = self._held[at:]
        self._offset += at

    def _scan(self, text: str, bounds: list[tuple[int, int]], *, final: bool) -> int:
        """Note where elements lie as far as the text can be told, and return how far that is."""
        at = 0
        while True:
            at = _after_white(text, at)
            if at == len(text):
                if final and self._expects is not _Expects.NOTHING:
                    raise self._broken(text, at, "the content ends within the array")
                return at
            mark = text[at]
            if self._expects is _Expects.NOTHING:
                raise self._broken(text, at, "something follows the array")
            if self._expects is _Expects.ARRAY:
                self._expects = _Expects.FIRST
                at += 1
            elif mark == "]" and self._expects in {_Expects.FIRST, _Expects.COMMA}:
                self._expects = _Expects.NOTHING
                at += 1
            elif self._expects is _Expects.COMMA:
                if mark != ",":
                    raise self._broken(text, at, "neither a comma nor ] follows an element")
                self._expects = _Expects.ELEMENT
                at += 1
            else:
                end = self._end(text, at, final=final)
                if end is None:
                    return at
                bounds.append((at, end))
                self._count += 1
                self._expects = _Expects.COMMA
                at = end

    def _end(self, text: str, at: int, *, final: bool) -> int | None:
        """Where the element ends; None where the next block is needed to tell."""
        end: int | None
        try:
            _, end = _SCAN(text, at)
        except RecursionError:
            end = end_of(text, at)
            if end is None and final:
                raise self._broken(text, len(text), "the content ends within the array") from None
        except json.JSONDecodeError as error:
            if final or text[error.pos : error.pos + 1] == "\0":
                raise self._broken(text, error.pos, error.msg) from None
            end = None
        if end is not None and (final or end < len(text) or text[at] in '{["'):
            if end - at > self._most:
                raise self._too_long()
            return end
        if len(text) - at > self._most:
            raise self._too_long_or_broken(text, at)
        return None

    def _too_long_or_broken(self, text: str, at: int) -> Quarantined:
        """What is wrong with an element that is not whole within the bytes allowed, told from these alone."""
        cut = text[at : at + self._most + 1]
        try:
            _SCAN(cut)
        except json.JSONDecodeError as error:
            if not error.msg.startswith("Unterminated") and error.pos < len(cut) - _UNDECIDED:
                return self._broken(text, at + error.pos, error.msg)
        except RecursionError:
            pass
        return self._too_long()

    def _too_long(self) -> Quarantined:
        limit = f"the {self._most:,} bytes that the contract allows; a quote that never closes may be why"
        return Quarantined(Fault.LINE_TOO_LONG, f"record {self._count + 1:,} of the array is longer than {limit}")

    def _broken(self, text: str, at: int, what: str) -> Quarantined:
        place = self._offset + at + 1
        if text[at : at + 1] == "\0":
            return Quarantined(Fault.NUL_BYTE, f"byte {place:,} is a NUL; the file is binary, UTF-16 or damaged, and must be UTF-8 text")
        return Quarantined(
            Fault.FORMAT, f"the JSON array is broken at byte {place:,}, after {self._count:,} records: {what}; send the file again"
        )


def _after_white(text: str, at: int) -> int:
    found = _WHITE.match(text, at)
    return found.end() if found else at
