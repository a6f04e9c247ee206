"""Bytes to whole lines: gzip as it should be and broken, bounds, and what a content is before it is CSV."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract import Column, Contract
from include.files.verdict import Fault
from include.quality.lines import Content, Quarantined
from tests.unit.quality.desk import HEADER, ROW, validated
from tests.unit.quality.memory_store import MemoryStore

KEY = "landing/transactions/dt=2026-11-21/a.csv.gz"
TEXT = HEADER + ROW * 50
WHOLE = gzip.compress(TEXT, mtime=0)
HALVES = gzip.compress(TEXT[:1000], mtime=0), gzip.compress(TEXT[1000:], mtime=0)

SOUND = [
    ("one member", WHOLE),
    ("two members, cut inside a line", b"".join(HALVES)),
    ("an empty member between", HALVES[0] + gzip.compress(b"") + HALVES[1]),
    ("zero padding", WHOLE + b"\0" * 512),
    ("zero padding between members", HALVES[0] + b"\0" * 3 + HALVES[1]),
    ("no compression", gzip.compress(TEXT, 0)),
]

BROKEN = [
    ("cut in the middle", WHOLE[: len(WHOLE) // 2], "ends in the middle of a member"),
    ("cut in the trailer", WHOLE[:-1], "ends in the middle of a member"),
    ("second member cut", HALVES[0] + HALVES[1][:-20], "after 1 complete gzip member"),
    ("wrong CRC", WHOLE[:-8] + b"\1\2\3\4" + WHOLE[-4:], "incorrect data check"),
    ("wrong length", WHOLE[:-4] + b"\1\0\0\0", "incorrect length check"),
    ("text after the last member", WHOLE + b"more", "after 1 complete gzip member"),
    ("one byte after the last member", WHOLE + b"\x1f", "after 1 complete gzip member"),
    ("text after padding", WHOLE + b"\0\0x", "after 1 complete gzip member"),
    ("no gzip at all", TEXT, "the gzip content is broken"),
    ("zeros only", b"\0" * 64, "the gzip content is broken"),
    ("a bit turned", WHOLE[:40] + bytes([WHOLE[40] ^ 4]) + WHOLE[41:], "broken"),
]


@pytest.mark.parametrize("content", [case[1] for case in SOUND], ids=[case[0] for case in SOUND])
def test_members_are_one_content(content: bytes) -> None:
    verdict, desk = validated(content, KEY)
    assert (verdict.fault, verdict.lines, verdict.accepted) == (None, 50, 50)
    assert desk.bronze(verdict)["_line"].to_pylist() == [*range(2, 52)]
    assert verdict.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("content", "words"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_broken_gzip_condemns_the_file(content: bytes, words: str) -> None:
    verdict, desk = validated(content, KEY)
    assert (verdict.fault, verdict.lines, verdict.bronze) == (Fault.GZIP_BROKEN, None, ())
    assert words in str(verdict.reason)
    assert verdict.sha256 == hashlib.sha256(content).hexdigest()
    assert [key for _, key in desk.store.held] == [KEY]


@pytest.mark.parametrize("content", [b"", gzip.compress(b""), gzip.compress(b"") * 2], ids=["no byte", "one empty member", "two"])
def test_nothing_in_gzip_is_empty(content: bytes) -> None:
    assert validated(content, KEY)[0].fault is Fault.EMPTY


def test_gzip_and_plain_make_the_same_bronze() -> None:
    assert validated(WHOLE, KEY)[0].bronze_digest == validated(TEXT)[0].bronze_digest


def test_content_of_the_declared_size_is_read_and_a_byte_more_is_refused() -> None:
    for content, zipped in ((TEXT, False), (WHOLE, True)):
        assert sum(len(piece.data) for piece in Content(io.BytesIO(content), zipped=zipped, max_bytes=len(TEXT)).pieces(1000)) == len(TEXT)
        with pytest.raises(Quarantined, match="larger than the"):
            list(Content(io.BytesIO(content), zipped=zipped, max_bytes=len(TEXT) - 1).pieces(1000))


def test_a_gzip_bomb_is_refused_after_the_declared_size() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(HEADER) + b"".join(packer.compress(ROW * 100_000) for _ in range(20)) + packer.flush()
    content = Content(io.BytesIO(bomb), zipped=True, max_bytes=10**6)
    with pytest.raises(Quarantined) as refused:
        list(content.pieces(10**6))
    assert refused.value.fault is Fault.TOO_LARGE
    assert content.size < len(bomb)


def test_a_line_may_be_as_long_as_the_contract_allows_and_no_longer() -> None:
    def refused(line: bytes, piece_bytes: int) -> bool:
        content = Content(io.BytesIO(b"a\n" + line), zipped=False, max_bytes=10**6)
        try:
            return not list(content.pieces(100, piece_bytes))
        except Quarantined as failure:
            return failure.fault is Fault.LINE_TOO_LONG and "line 2 is longer" in failure.reason

    for piece_bytes in (1, 7, 100, 101, 102, 103, 10**6):
        assert not refused(b"x" * 100, piece_bytes)
        assert not refused(b"x" * 100 + b"\nb\n", piece_bytes)
        assert refused(b"x" * 101, piece_bytes)
        assert refused(b"x" * 101 + b"\nb\n", piece_bytes)


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"ab", b"\n", b"\r\n", b"c"])).map(b"".join), st.integers(1, 20), st.integers(1, 5))
def test_pieces_are_whole_lines_with_their_numbers(text: bytes, piece_bytes: int, read_size: int) -> None:
    store = MemoryStore(read_size)
    store.put("b", "k", text)
    stream = store.read("b", "k")
    pieces = list(Content(stream, zipped=False, max_bytes=10**6).pieces(1000, piece_bytes))
    assert b"".join(piece.data for piece in pieces) == text
    assert [piece.first_line for piece in pieces] == [
        1 + text.count(b"\n", 0, sum(len(p.data) for p in pieces[:n])) for n in range(len(pieces))
    ]
    assert all(piece.data.endswith(b"\n") for piece in pieces[:-1])


def test_an_object_larger_than_the_contract_allows_is_refused_unread() -> None:
    small = Contract(1, (Column("a"),), max_bytes=10)
    verdict, _ = validated(b"a\n" + b"1\n" * 10, contract=small)
    assert (verdict.fault, verdict.sha256) == (Fault.TOO_LARGE, None)
