"""Work on one record grows with its size and not with its square: eight times the text takes about eight times the work."""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable

import pytest

from include.contract import Contract
from include.domains.finance.feeds import STOCKS
from include.domains.transactions.feeds import TRANSACTIONS
from include.quality.csv_reader import read_csv
from include.quality.formats import Reader
from include.quality.json_reader import read_json, read_json_lines
from include.quality.lines import PIECE_BYTES, Content, Quarantined
from tests.unit.quality.desk import HEADER, ROW

SIZE, TIMES = 40_000, 8
REST = '"stock_id":1,"company_id":1,"symbol":"A","price":1.5,"volume":10,"timestamp":"2026-01-05T09:00:00Z",'
REST += '"details":{"exchange":"N","sector":"x"}'


def extra(value: str) -> str:
    return f'{{{REST},"x":{value}}}'


RECORDS: dict[str, Callable[[int], str]] = {
    "nothing but brackets that open": lambda n: "[" * n,
    "deeper than allowed": lambda n: extra("[" * (n // 2) + "]" * (n // 2)),
    "as deep as allowed, again and again": lambda n: extra("[" + ("[" * 60 + "]" * 60 + ",") * (n // 121) + "0]"),
    "empty arrays": lambda n: extra("[" + "[]," * (n // 3) + "0]"),
    "deeper than Python goes, again and again": lambda n: extra("[" + ("[" * 2000 + "]" * 2000 + ",") * (n // 4001) + "0]"),
    "one key": lambda n: "{" + '"k":0,' * (n // 6) + REST + "}",
    "each key twice": lambda n: "{" + "".join(f'"{i}":0,"{i}":0,' for i in range(n // 16)) + REST + "}",
    "one of many keys twice": lambda n: '{"price":2,' + "".join(f'"{i}":0,' for i in range(n // 8)) + REST + "}",
    "many keys": lambda n: "{" + "".join(f'"{i}":0,' for i in range(n // 8)) + REST + "}",
    "a long text of escapes": lambda n: extra('"' + '\\"' * (n // 2) + '"'),
    "halves of pairs": lambda n: extra('"' + "\\ud834" * (n // 6) + '"'),
    "brackets before a text that never closes": lambda n: '{"x":[' + "[]," * 70 + '"' + '[\\"' * (n // 3),
    "brackets before many texts": lambda n: '{"x":[' + "[]," * 70 + '"",' * (n // 3),
    "a long number": lambda n: extra("1" * n),
    "a long number where an id is due": lambda n: "{" + REST.replace(":1,", ":" + "1" * n + ",", 1) + "}",
    "many numbers": lambda n: extra("[" + "1," * (n // 2) + "0]"),
    "a long key": lambda n: '{"' + "k" * n + '":1,' + REST + "}",
}
LINES: dict[str, Callable[[int], bytes]] = {
    "many fields": lambda n: HEADER + b"," * n + b"\n",
    "nothing but quotes": lambda n: HEADER + b"'" * n + b"\n",
    "a value of doubled quotes": lambda n: HEADER + ROW.replace(b"C1", b"''" * (n // 2)),
    "a wide header": lambda n: (
        (HEADER.strip() + b"".join(b",c%d" % i for i in range(n // 100)) + b"\n" + ROW.strip() + b",1" * (n // 100)) + b"\n"
    ),
}


def work(reader: Reader, contract: Contract, body: bytes) -> float:
    """Seconds of this process's own, the least of three tries; the collector, which goes through all that other tests left, waits."""
    tries = []
    gc.disable()
    for _ in range(3):
        started = time.process_time()
        try:
            for rows in reader(Content(io.BytesIO(body), zipped=False, max_bytes=2**40), contract, PIECE_BYTES):
                assert len(rows)
        except Quarantined:
            pass
        tries.append(time.process_time() - started)
    gc.enable()
    return min(tries)


def assert_in_proportion(reader: Reader, contract: Contract, body: Callable[[int], bytes]) -> None:
    """What grows with the square takes 64 times the work; a fixed price of a few milliseconds is on the side of the small one."""
    small, large = (work(reader, contract, body(size)) for size in (SIZE, SIZE * TIMES))
    assert large < 3 * TIMES * max(small, 0.002), f"{SIZE} bytes take {small:.3f} s, {TIMES} times as many {large:.3f} s"


@pytest.mark.parametrize("name", RECORDS)
def test_json_of_any_kind_takes_work_in_proportion_to_its_size(name: str) -> None:
    assert_in_proportion(read_json_lines, STOCKS.contract, lambda size: RECORDS[name](size).encode() + b"\n")
    assert_in_proportion(read_json, STOCKS.contract, lambda size: b"[" + RECORDS[name](size).encode() + b"]")


@pytest.mark.parametrize("name", LINES)
def test_csv_of_any_kind_takes_work_in_proportion_to_its_size(name: str) -> None:
    assert_in_proportion(read_csv, TRANSACTIONS.contract, LINES[name])


def test_many_records_of_16_kilobytes_and_more_are_read_one_by_one() -> None:
    long = RECORDS["a long key"](17_000).encode() + b"\n"
    (rows,) = read_json_lines(Content(io.BytesIO(long * 100), zipped=False, max_bytes=2**40), STOCKS.contract, PIECE_BYTES)
    assert (len(rows), rows.unreadable) == (100, {})
