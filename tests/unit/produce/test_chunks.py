"""Cutting lines into chunks: no byte of a row changes, none is skipped or doubled."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domains.transactions.feeds import TRANSACTIONS
from sluice.produce.chunks import Position, cuts, header_of
from sluice.produce.errors import HeaderUnfit, SourceEmpty

HEADER = b"step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"


def cut(data: bytes, rows: int) -> list[bytes]:
    return [piece.data for piece in cuts(io.BytesIO(data), Position(0, 0), rows, 1000, "a.csv")]


@pytest.mark.parametrize(
    ("data", "chunks"),
    [
        (b"a\nb\nc\n", [b"a\nb\n", b"c\n"]),
        (b"a\nb\nc", [b"a\nb\n", b"c"]),
        (b"a\r\nb\r\n", [b"a\r\nb\r\n"]),
        (b"a\rb\nc\n", [b"a\rb\nc\n"]),
        (b"\na\n\r\nb\n\nc\n\n", [b"\na\n\r\nb\n", b"\nc\n\n"]),
        (b"\n\r\n", []),
        (b"", []),
        (b"  \n", [b"  \n"]),
    ],
    ids=[
        "even",
        "no last newline",
        "CRLF",
        "a CR is no line end",
        "empty lines come along",
        "only empty lines",
        "nothing",
        "blanks are a row",
    ],
)
def test_rows_are_cut_at_line_ends_and_their_bytes_stay(data: bytes, chunks: list[bytes]) -> None:
    assert cut(data, 2) == chunks


@given(st.lists(st.sampled_from([b"a", b"'b\xff'", b"", b"c\r"])), st.booleans(), st.integers(1, 4), st.integers(0, 5))
def test_cutting_anew_at_any_cut_gives_the_same_chunks(lines: list[bytes], ends: bool, rows: int, again: int) -> None:
    data = b"\n".join(lines) + b"\n" * ends
    all_cuts = list(cuts(io.BytesIO(data), Position(0, 100), rows, 1000, "a.csv"))
    rest = data[sum(len(piece.data) for piece in all_cuts) :]
    assert b"".join(piece.data for piece in all_cuts) + rest == data
    assert not rest.strip(b"\r\n")
    assert all(piece.rows == rows for piece in all_cuts[:-1])
    if again < len(all_cuts):
        start = all_cuts[again].start
        stream = io.BytesIO(data)
        stream.seek(start.byte - 100)
        assert list(cuts(stream, start, rows, 1000, "a.csv")) == all_cuts[again:]


@pytest.mark.parametrize("header", [HEADER, b"\xef\xbb\xbf" + HEADER, HEADER.replace(b"\n", b"\r\n"), HEADER.replace(b"age", b"'age'")])
def test_a_header_is_kept_byte_for_byte(header: bytes) -> None:
    assert header_of(io.BytesIO(header + b"row\n"), "a.csv", TRANSACTIONS.contract) == header


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", SourceEmpty, "a.csv: is empty; it needs a header and at least one row; nothing was written"),
        (HEADER.rstrip(), SourceEmpty, "a.csv: has a header and no rows; nothing was written"),
        (b"step;customer\n", HeaderUnfit, r"lacks step, customer, age, gender, .* \(found: step;customer\)"),
        (HEADER.replace(b"amount", b"Amount"), HeaderUnfit, r"its header lacks amount \(found: .*Amount"),
        (HEADER.replace(b"fraud", b"age"), HeaderUnfit, "its header names age more than once"),
        (HEADER.decode().encode("utf-16"), HeaderUnfit, "binary or UTF-16"),
        (b"'step\n", HeaderUnfit, "cannot be read: a quote does not close"),
        (b"x" * 17_000_000, HeaderUnfit, "a line of more than 16,777,216 bytes"),
    ],
)  # fmt: skip
def test_a_first_line_that_is_no_header_of_the_feed_is_refused(content: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        header_of(io.BytesIO(content), "a.csv", TRANSACTIONS.contract)
