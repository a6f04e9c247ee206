"""The JSON records that Sluice reads, exactly: one after another. The fast way of `json_template` must agree with it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

import numpy as np

from include.contract import Contract
from include.quality.dialect import Unreadable
from include.quality.words import some_names

DEEPEST = 64
# Possessive throughout: a string is gone through once, whether it closes or not, and nothing is kept to come back to.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{]++)|([\]}]++)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CLOSES = 4  # the bit that tells ] and } from [ and {
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ABSENT = object()
_quoted = encode_basestring  # JSON text of a string, other than ASCII as it is; in C
_MOST_FOUND = 1000
_NOT_TEXT = Unreadable("text", "a text holds a NUL or half of a surrogate pair, which UTF-8 text cannot")
_TOO_DEEP = Unreadable("nesting", f"it is nested deeper than {DEEPEST} levels")
_NO_OBJECT = Unreadable("object", "the record is no JSON object (a file that is one array must be named .json)")


class Literal(str):
    """A number as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Record:
    """What an object says: the contract's values as text, in order, and all else as one JSON object."""

    values: list[str | None]
    additional: str | None


class RecordReader:
    """Reads the records of one file, and keeps in mind which keys none of them has had."""

    def __init__(self, contract: Contract) -> None:
        self._columns = [(column.name, column.keys, column.optional) for column in contract.columns]
        self._nested = {column.keys[0] for column in contract.columns if len(column.keys) > 1}
        self._ignored = contract.ignored
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_float=Literal, parse_int=Literal, parse_constant=self._constant
        )
        self._doubled: list[str] = []
        self._constants = 0
        self._lacking: set[str] | None = None
        self._found: dict[str, None] = {}

    @property
    def refused(self) -> str | None:
        """Why the file is refused whose records were read: the mandatory columns that no object had; None where each was there."""
        if not self._lacking:
            return None
        missing = [name for name, _, _ in self._columns if name in self._lacking]
        return f"missing columns {some_names(missing)} in every record (found: {some_names(self._found)})"

    def saw_all(self) -> None:
        """Records that were read elsewhere had every mandatory column."""
        self._lacking = set()

    def read(self, raw: bytes) -> Record | Unreadable:
        """One record given without its line end, or why there is none."""
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            return Unreadable("encoding", f"byte {error.start + 1} of the record is not UTF-8")
        if raw.count(b"{") + raw.count(b"[") > DEEPEST and depth(raw) > DEEPEST:
            return _TOO_DEEP
        self._doubled.clear()
        self._constants = 0
        try:
            decoded = self._decoder.decode(text)
        except json.JSONDecodeError as error:
            return Unreadable("json", f"no JSON: {error.msg} (byte {len(text[: error.pos].encode()) + 1} of the record)")
        if not isinstance(decoded, dict):
            return _NO_OBJECT
        fit = not _SUSPECT.search(text) or _is_text(decoded)
        record = self._record(decoded)
        if self._doubled:
            return Unreadable("doubled_key", f"an object has {some_names(self._doubled)} more than once")
        if self._constants:
            return Unreadable("number", "NaN and Infinity are no numbers of JSON")
        return record if fit else _NOT_TEXT

    def _record(self, decoded: dict[str, Any]) -> Record | Unreadable:
        values: list[str | None] = []
        missing: list[str] = []
        keys = tuple(decoded)
        misplaced = None
        for name, path, optional in self._columns:
            value = _taken(decoded, path)
            if value is None or isinstance(value, str):
                values.append(value or None)
            elif value is _ABSENT:
                values.append(None)
                if not optional:
                    missing.append(name)
            elif isinstance(value, bool):
                values.append("true" if value else "false")
            else:
                misplaced = misplaced or name
        self._note(keys, missing)
        if missing:
            return Unreadable("missing", f"{some_names(missing)} {'is' if len(missing) == 1 else 'are'} missing", ";".join(missing))
        if misplaced:
            return Unreadable("nested", f"{misplaced} is no single value", misplaced)
        for key in self._nested:
            if not decoded.get(key, True):
                del decoded[key]
        return Record(values, rendered_extras(decoded, self._ignored) if decoded else None)

    def _note(self, keys: tuple[str, ...], missing: list[str]) -> None:
        if not missing:
            self._lacking = set()
            return
        self._lacking = set(missing) if self._lacking is None else self._lacking.intersection(missing)
        if self._lacking and len(self._found) < _MOST_FOUND:
            self._found.update(dict.fromkeys(keys))

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        decoded = dict(pairs)
        if len(decoded) != len(pairs):
            self._doubled += [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
        return decoded

    def _constant(self, _: str) -> None:
        self._constants += 1


def rendered_extras(decoded: dict[str, Any], ignored: frozenset[str]) -> str | None:
    """The members that are left as one JSON object, keys sorted, values as they are; None where none are.

    >>> rendered_extras({"b": Literal("1.50"), "a": {"z": None, "y": ["é"]}, "x": ""}, frozenset("x"))
    '{"a":{"z":null,"y":["é"]},"b":1.50}'
    """
    members = [f"{_quoted(key)}:{_rendered(decoded[key])}" for key in sorted(decoded) if key not in ignored]
    return "{" + ",".join(members) + "}" if members else None


def depth(raw: bytes) -> int:
    """How deep brackets stand in each other at most, those in strings aside.

    >>> depth(b'[{"[[[": []}, []]'), depth(b'""')
    (3, 0)
    """
    brackets = np.frombuffer(_STRINGS.sub(b"", raw).translate(None, _NO_BRACKETS), np.uint8)
    return int(np.cumsum(np.where(brackets & _CLOSES, -1, 1)).max(initial=0))


def end_of(text: str, start: int) -> int | None:
    """Where the object or array that begins at `start` ends by its brackets alone; None where it does not.

    >>> end_of('  [[{"]": 1}]], 2', 2)
    14
    """
    level = 0
    for match in _BRACKETS.finditer(text, start):
        if match.lastindex == 1:
            level += len(match[0])
        elif match.lastindex == 2:
            if level <= len(match[0]):
                return match.start() + level
            level -= len(match[0])
    return None


def _taken(decoded: dict[str, Any], path: tuple[str, ...]) -> Any:
    """Take out the value at the end of a path; null below a null, and a list where something else than an object is on the way."""
    inner: Any = decoded
    for key in path[:-1]:
        inner = inner.get(key, _ABSENT)
        if inner is None or inner is _ABSENT:
            return inner
        if not isinstance(inner, dict):
            return []
    return inner.pop(path[-1], _ABSENT)


def _rendered(value: Any) -> str:
    if isinstance(value, str):
        return str(value) if isinstance(value, Literal) else _quoted(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{_rendered(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_rendered, value)) + "]"
    return json.dumps(value)


def _is_text(value: Any) -> bool:
    """Whether all texts in a value can be kept as UTF-8 text that a database takes."""
    if isinstance(value, str):
        return "\0" not in value and not _SURROGATE.search(value)
    if isinstance(value, dict):
        return all(_is_text(key) and _is_text(inner) for key, inner in value.items())
    return all(map(_is_text, value)) if isinstance(value, list) else True
