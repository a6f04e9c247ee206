r"""Records that are alike but for their values: checked by one regular expression, then read as CSV at pyarrow's speed.

Files hold the same keys in the same order with the same white space, record after record. Where a record is exactly that and escapes
neither a quote nor a backslash, a quote stands only around a key or a value; so the text between two values, which names a key in
quotes, occurs nowhere else, and can be replaced by a delimiter throughout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.contract import Contract
from include.quality.additional import objects, strings, written
from include.quality.arrow import TEXT, without_empty

_HEX = rb"[0-9a-fA-F]"
_UNIT = rb"\\u(?:[1-9a-cA-CefEF]H{3}|0[1-9a-fA-F]H{2}|00[1-9a-fA-F]H|000[1-9a-fA-F]|[dD][0-7]H{2})"  # no NUL, no half of a pair
_PAIR = rb"\\u[dD][89abAB]H{2}\\u[dD][c-fC-F]H{2}"
_ESCAPES = (_UNIT + b"|" + _PAIR).replace(b"H", _HEX) + rb"|\\[bfnrt/]"
_STRING = rb'"(?:[^"\\\x00-\x1f]|' + _ESCAPES + rb')*"'
_LITERAL = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false"
_TOKENS = re.compile(rb"(" + _STRING + rb")(\s*:)?|(" + _LITERAL + rb"|null)|([{}])|[\s,]+")
_PLAIN_KEY = re.compile(rb"[A-Za-z0-9_.-]+")
_DELIMITER = b"\x1f"  # a control character: in no string
_MOST_VALUES = 100
MOST_BYTES = 16 * 2**10  # of one record: a pattern of it stays one that RE2 takes


@dataclass(frozen=True)
class Template:
    """What one record has in common with others.

    Attributes:
        between: the text before, between and after its values.
        extra: the names of values that are not the contract's, by place, and whether each is a string.
        columns: the contract's columns that are there, by place.
    """

    between: tuple[bytes, ...]
    extra: dict[int, tuple[str, bool]]
    columns: dict[int, str]

    @cached_property
    def pattern(self) -> bytes:
        """A regular expression (RE2, on bytes) of the records like it, with white space behind them."""
        anything = b"(?:" + _STRING + b"|" + _LITERAL + b"|null)"
        kinds = {place: _STRING if is_string else b"(?:" + _LITERAL + b"|null)" for place, (_, is_string) in self.extra.items()}
        values = [kinds.get(place, anything) for place in range(len(self.between) - 1)]
        parts = [_escaped(self.between[0])]
        for value, after in zip(values, self.between[1:], strict=True):
            parts += [value, _escaped(after)]
        return rb"\A" + b"".join(parts) + rb"[ \t\r\n]*,?[ \t\r\n]*\z"

    def read(self, records: Sequence[bytes]) -> tuple[pa.Table, pa.Array]:
        """The contract's columns that are there, and all else as JSON objects; of records that match, given without what follows them."""
        head, *between, tail = self.between
        data = b"\n".join(records).replace(tail + b"\n" + head, b"\n")[len(head) :].removesuffix(tail)
        for text in between:
            data = data.replace(text, _DELIMITER)
        names = [str(place) for place in range(len(self.between) - 1)]
        wanted = [str(place) for place in (*self.columns, *self.extra)]
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data + b"\n"),
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=len(data) + 2),
            parse_options=pyarrow.csv.ParseOptions(delimiter=_DELIMITER.decode()),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, TEXT),
                include_columns=wanted,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=["null"],
            ),
        )
        if table.num_rows != len(records):
            raise RuntimeError(f"pyarrow read {table.num_rows} records where {len(records)} alike are; nothing was accepted")
        whole = table.combine_chunks()
        values = {name: without_empty(_unescaped(_one(whole[str(place)]))) for place, name in self.columns.items()}
        members = []
        for place, (name, is_string) in sorted(self.extra.items(), key=lambda entry: entry[1]):
            column = _one(whole[str(place)])
            if is_string:
                members.append(strings(name, _unescaped(column)))
            else:
                members.append(written(name, column, column.dictionary.to_pylist(), absent="null"))
        return pa.table(values), objects(members) if members else pa.nulls(len(records), pa.string())


def template_of(record: bytes, contract: Contract) -> Template | None:
    """What a record that was read has in common with others; None where it has arrays, escaped quotes or unusual keys."""
    shape = _shape(record)
    if shape is None or not 0 < len(shape[1]) <= _MOST_VALUES:
        return None
    between, paths, strings = shape
    needles = [between[0], *between[1:-1], between[-1] + b"\n" + between[0]]
    if any(one in other for place, one in enumerate(needles) for at, other in enumerate(needles[:-1]) if place != at):
        return None
    names = {column.keys: column.name for column in contract.columns}
    columns = {place: names[path] for place, path in enumerate(paths) if path in names}
    extra = {}
    for place, path in enumerate(paths):
        if place not in columns and path[0] not in contract.ignored:
            if len(path) > 1:
                return None
            extra[place] = (path[0], strings[place])
    if any(column.name not in columns.values() for column in contract.columns if not column.optional):
        return None
    return Template(between, extra, columns)


def _shape(record: bytes) -> tuple[tuple[bytes, ...], list[tuple[str, ...]], list[bool]] | None:
    """The text around the values of a record, the keys that lead to each, and which are strings."""
    between: list[bytes] = []
    paths: list[tuple[str, ...]] = []
    strings: list[bool] = []
    keys: list[str] = []
    at = done = 0
    while at < len(record):
        token = _TOKENS.match(record, at)
        if token is None:
            return None
        text, colon, literal, bracket = token.groups()
        if colon is not None:
            if not _PLAIN_KEY.fullmatch(text[1:-1]):
                return None
            keys.append(text[1:-1].decode())
        elif text is not None or literal is not None:
            between.append(record[done:at])
            paths.append(tuple(keys))
            strings.append(text is not None)
            done = token.end()
        if colon is None and (text is not None or literal is not None or bracket == b"}") and keys:
            keys.pop()
        at = token.end()
    return (*between, record[done:]), paths, strings


def _unescaped(column: pa.DictionaryArray) -> pa.DictionaryArray:
    if not pc.any(pc.match_substring(column.dictionary, "\\")).as_py():
        return column
    texts = [json.loads(f'"{text}"') if "\\" in text else text for text in column.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(column.indices).dictionary_encode()  # two ways to write a text are one text


def _escaped(text: bytes) -> bytes:
    return b"".join(b"\\x%02x" % byte if not chr(byte).isalnum() or byte > 127 else bytes([byte]) for byte in text)


def _one(column: pa.ChunkedArray) -> pa.DictionaryArray:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
