"""The CSV that Sluice reads, exactly: one line after another. The fast way of `csv_reader` must agree with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a line is no record: the rule it breaks, a sentence without any value, and the columns it is about, if not the whole."""

    rule: str
    reason: str
    column: str = ""


_NOT_CLOSED = Unreadable("quote", "a quote does not close on its own line")
_NOT_AT_END = Unreadable("quote", "a closing quote is followed by something else than the delimiter")
_IN_THE_MIDDLE = Unreadable("quote", "a quote stands inside a value that is not quoted")


def record(line: bytes, delimiter: bytes, quote: bytes, fields: int) -> list[str] | Unreadable:
    r"""The values of one line given without its line end, or why there are none.

    >>> record(b"1,'a,''b',", b",", b"'", 3)
    ['1', "a,'b", '']
    >>> record(b"1,'a'b", b",", b"'", 2).reason
    'a closing quote is followed by something else than the delimiter'
    >>> record(b"1;2", b",", b"'", 2).reason
    '1 field where the header has 2'
    """
    values = read(line, delimiter, quote)
    if isinstance(values, Unreadable) or len(values) == fields:
        return values
    return Unreadable("fields", f"{len(values)} field{'s' * (len(values) > 1)} where the header has {fields}")


def read(line: bytes, delimiter: bytes, quote: bytes) -> list[str] | Unreadable:
    """Like `record`, of any number of fields."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return Unreadable("encoding", f"byte {error.start + 1} of the line is not UTF-8")
    values = []
    at = 0
    while True:
        if line.startswith(quote, at):
            closed = _closing(line, at + 1, quote)
            if closed < 0:
                return _NOT_CLOSED
            value = line[at + 1 : closed].replace(quote * 2, quote)
            at = closed + 1
            if at < len(line) and not line.startswith(delimiter, at):
                return _NOT_AT_END
        else:
            found = line.find(delimiter, at)
            end = len(line) if found < 0 else found
            value = line[at:end]
            if quote in value:
                return _IN_THE_MIDDLE
            at = end
        values.append(value.decode())
        if at == len(line):
            return values
        at += 1


def without_line_end(line: bytes) -> bytes:
    r"""A physical line without LF or CRLF; a CR anywhere else is an ordinary character.

    >>> without_line_end(b"a\r\r\n"), without_line_end(b"a\r")
    (b'a\r', b'a\r')
    """
    return line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line


def regular_line(delimiter: str, quote: str, fields: int) -> str:
    r"""A regular expression (RE2, on bytes) of the lines with `fields` fields that every CSV reader reads alike.

    Quotes only where they open, close or are doubled; no CR but the one of CRLF; the line ends with LF.

    >>> import re
    >>> pattern = re.compile(regular_line(",", "'", 2))
    >>> [bool(pattern.search(line)) for line in ("1,'a'\n", "1,a'\n", "1\n", "1,a\rb\n", "1,\r\n")]
    [True, False, False, False, True]
    """
    delimiter, quote = _escaped(delimiter), _escaped(quote)
    field = rf"(?:[^{quote}{delimiter}\r\n]*|{quote}(?:[^{quote}\r\n]|{quote}{quote})*{quote})"
    return rf"\A{field}(?:{delimiter}{field}){{{fields - 1}}}\r?\n"


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}"


def _closing(line: bytes, at: int, quote: bytes) -> int:
    """Where the quoted value that starts at `at` closes, or -1."""
    while (at := line.find(quote, at)) >= 0:
        if not line.startswith(quote, at + 1):
            return at
        at += 2
    return -1
