"""The fast way and the exact dialect agree on every input, however it is cut."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.contract import Column, Contract
from include.errors import UsageError
from include.files.verdict import Fault
from include.quality import dialect
from include.quality.csv_reader import read_csv
from include.quality.lines import Content, Quarantined
from include.quality.records import Rows

TWO = Contract(1, (Column("a"), Column("b", null=True)), ignored=frozenset({"x"}), quote="'")
ONE = Contract(1, (Column("a", null=True),))

Row = tuple[int, bytes, list[str | None] | str]

bits = st.sampled_from(
    [b"'", b'"', b",", b"\r", b"\n", b"\r\n", b" ", b"a", b"1", "é".encode(), "\ufeff".encode(), "\u2028".encode(), b"\xff", b"\xc3"]
)
messy = st.lists(bits, max_size=60).map(b"".join)
value = st.text(st.sampled_from("ab1,'\" é\x0b\x85"), max_size=5)
good_line = st.lists(value, min_size=2, max_size=2).map(
    lambda values: ",".join("'" + text.replace("'", "''") + "'" for text in values).encode() + b"\n"
)
mostly_good = st.lists(st.one_of(good_line, good_line, messy), max_size=12).map(b"".join)


def expected(body: bytes, quote: bytes, fields: int) -> list[Row]:
    """Line by line, as the dialect is defined."""
    found: list[Row] = []
    for number, line in enumerate(body.split(b"\n"), 2):
        ended = number - 1 <= body.count(b"\n")
        record = line.removesuffix(b"\r") if ended else line
        if record:
            values = dialect.record(record, b",", quote, fields)
            found.append((number, record, values.rule if isinstance(values, dialect.Unreadable) else [text or None for text in values]))
    return found


def found(rows: Rows) -> list[Row]:
    lines = rows.lines.tolist()
    values = zip(*(column.to_pylist() for column in rows.table.columns), strict=True)
    return [
        (line, rows.original(row), rows.unreadable[row].rule if row in rows.unreadable else list(record))
        for row, (line, record) in enumerate(zip(lines, values, strict=True))
    ]


def read(content: bytes, contract: Contract, piece_bytes: int) -> list[Row]:
    source = Content(io.BytesIO(content), zipped=False, max_bytes=10**9)
    try:
        return [row for rows in read_csv(source, contract, piece_bytes) for row in found(rows)]
    except Quarantined as refused:
        if refused.fault is not Fault.NO_ROWS:
            raise
        return []


@settings(deadline=None, max_examples=400)
@given(st.one_of(messy, mostly_good), st.integers(1, 80))
@example(b"\xef\xbb\xbfa,b\n", 1)
@example(b"'a','b'\r", 80)
@example(b"'',''\n,\n", 80)
@example(b"''''\n'\n", 3)
def test_every_body_is_read_as_the_dialect_says(body: bytes, piece_bytes: int) -> None:
    assert read(b"a,b\n" + body, TWO, piece_bytes) == expected(body, b"'", 2)


@settings(deadline=None, max_examples=200)
@given(messy, st.integers(1, 80))
@example(b'""\n" "\n\r\n\r', 80)
def test_a_single_column_is_read_as_the_dialect_says(body: bytes, piece_bytes: int) -> None:
    assert read(b"a\n" + body, ONE, piece_bytes) == expected(body, b'"', 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(value, value, value), min_size=1, max_size=8))
def test_additional_columns_hold_what_is_not_empty(records: list[tuple[str, str, str]]) -> None:
    body = "".join(",".join("'" + text.replace("'", "''") + "'" for text in record) + "\n" for record in records)
    source = Content(io.BytesIO(("a,z,x,'b','k,1'\n" + body.replace("\n", ",'',' '\n")).encode()), zipped=False, max_bytes=10**9)
    (rows,) = read_csv(source, Contract(1, (Column("a"),), ignored=frozenset({"x"}), quote="'"), 10**6)
    assert rows.additional is not None
    assert rows.additional.to_pylist() == [
        json.dumps({name: text for name, text in (("k,1", " "), ("z", z)) if text}, ensure_ascii=False, separators=(",", ":"))
        for _, z, _ in records
    ]


@pytest.mark.parametrize("columns", [200, 500, 501, 1500])
def test_a_file_of_many_columns_is_read(columns: int) -> None:
    header = ",".join(["a", "b", *(f"c{n}" for n in range(columns - 2))]) + "\n"
    content = (header + ",".join(["1"] * columns) + "\n" + "1,2\n").encode()
    assert [(line, values) for line, _, values in read(content, TWO, 10**6)] == [(2, ["1", "1"]), (3, "fields")]


def test_a_contract_that_no_reader_keeps_is_refused_when_it_is_made() -> None:
    with pytest.raises(UsageError, match="cannot be multiline"):
        Contract(1, (Column("a"),), multiline=True)
