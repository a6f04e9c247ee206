"""The same table in every format: the same accepted rows, the same rejected ones, whatever the size of the pieces."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
from collections.abc import Callable
from fractions import Fraction

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domains.sales.feeds import SALES
from include.errors import UsageError
from include.files.keys import EVERY_FORMAT
from include.quality.bronze import FILE_ID, LINE, Digest
from include.quality.formats import reader_for
from include.quality.reread import recount, reread
from tests.unit.quality.desk import BUCKET, Desk, validated

LENIENT = dataclasses.replace(SALES.contract, tolerance=Fraction(1))
NAMES = [*SALES.contract.names, "zone", "payment_mode"]
Row = tuple[str | None, ...]

good = st.tuples(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.integers(1, 3).map(str),
    st.sampled_from(["soap", "tea, green", 'a "b"', "é\u2028", "null", "NaN", "{}", "007", "x" * 40]),
    st.sampled_from(["2026-11-20", "2024-02-29"]),
    st.integers(1, 3).map(str),
    *[st.sampled_from([("2.50", "3", "7.50"), ("0.10", "3", "0.30"), ("5", "1", "5.00"), ("999999999.99", "1", "999999999.99")])],
    st.sampled_from([None, "n", "s, w"]),
    st.sampled_from([None, None, "cash"]),
).map(lambda row: (*row[:5], *row[5], *row[6:]))
odd = st.sampled_from([None, "", "x", "-1", "1.5", "1e2", "2026-02-30", "2026-11-24", "9223372036854775808", "0", "٣"])


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    rows = [list(row) for row in draw(st.lists(good, min_size=1, max_size=15))]
    for _ in range(draw(st.integers(0, 4))):
        rows[draw(st.integers(0, len(rows) - 1))][draw(st.integers(0, 7))] = draw(odd)
    return [tuple(row) for row in rows] * draw(st.sampled_from([1, 1, 20]))


def csv(rows: list[Row]) -> bytes:
    lines = [",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in row) for row in rows]
    return "\n".join([",".join(NAMES), *lines]).encode()


def _objects(rows: list[Row]) -> list[dict[str, str | None]]:
    return [
        {name: value for name, value in zip(NAMES, row, strict=True) if value is not None or name in SALES.contract.names} for row in rows
    ]


def lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _objects(rows)).encode()


def numbers(rows: list[Row]) -> bytes:
    """Lines where what looks like a number is one."""
    literal = {f'"{value}"': value for row in rows for value in row if value and value.replace(".", "", 1).isdecimal() and value.isascii()}
    text = lines(rows).decode()
    for quoted, value in literal.items():
        text = text.replace(f": {quoted}", f": {value}") if not (value.startswith("0") and value[1:2].isdecimal()) else text
    return text.encode()


def array(rows: list[Row]) -> bytes:
    return json.dumps(_objects(rows)).encode()


def pretty(rows: list[Row]) -> bytes:
    return json.dumps(_objects(rows), indent=2, ensure_ascii=False).encode()


def parquet(rows: list[Row]) -> bytes:
    body = io.BytesIO()
    columns = zip(*rows, strict=True)
    pq.write_table(pa.table({name: pa.array(column, pa.string()) for name, column in zip(NAMES, columns, strict=True)}), body)
    return body.getvalue()


WRITTEN: list[tuple[str, Callable[[list[Row]], bytes]]] = [
    (".csv", csv),
    (".csv.gz", lambda rows: gzip.compress(csv(rows))),
    (".jsonl", lines),
    (".jsonl.gz", lambda rows: gzip.compress(lines(rows))),
    (".ndjson", numbers),
    (".ndjson.gz", lambda rows: gzip.compress(numbers(rows))),
    (".json", array),
    (".json", pretty),
    (".json", lines),
    (".json.gz", lambda rows: gzip.compress(array(rows))),
    (".parquet", parquet),
]


@settings(deadline=None, max_examples=25)
@given(tables(), st.sampled_from([40, 700, 8 * 2**20]))
def test_a_table_is_judged_alike_in_every_format(rows: list[Row], piece_bytes: int) -> None:
    desk = Desk(contract=LENIENT, piece_bytes=piece_bytes)
    files = [desk.land(write(rows), f"landing/transactions/{place}{ending}") for place, (ending, write) in enumerate(WRITTEN)]
    found = []
    for (ending, _), file, verdict in zip(WRITTEN, files, desk.validate(files), strict=True):
        assert (verdict.fault, verdict.lines) == (None, len(rows)), ending
        header = ending.startswith(".csv")
        table = desk.bronze(verdict) if verdict.bronze else None
        digest = Digest()
        if table is not None:
            digest.update(table.drop_columns([FILE_ID, LINE]))
        places = [] if table is None else [line - header for line in table[LINE].to_pylist()]
        rejects = [
            (int(reject["line"]) - header, reject["columns"], reject["rules"], reject["reasons"]) for reject in desk.rejects(verdict)
        ]
        counted = recount(desk.store, BUCKET, desk.spec, file, verdict.rejects)
        again = reread(desk.store, BUCKET, desk.spec, file.file_id, verdict.bronze)
        assert (again.fault, again.rows, again.digest) == (None, verdict.accepted, verdict.bronze_digest), ending
        assert (counted.lines, counted.rejected) == (verdict.lines, verdict.rejected), ending
        assert counted.amount is not None
        assert counted.amount_rejected is not None
        assert counted.amount == (again.amount or 0) + counted.amount_rejected, ending
        found.append((verdict.accepted, digest.hexdigest(), places, rejects, counted.amount))
    assert [one == found[0] for one in found] == [True] * len(WRITTEN)


def test_every_ending_of_a_feed_of_every_format_has_a_reader() -> None:
    assert [reader_for(f"landing/sales/a{ending}") is not None for ending in EVERY_FORMAT] == [True] * len(EVERY_FORMAT)
    with pytest.raises(UsageError, match=r"no reader for files like 'a\.orc'"):
        reader_for("landing/sales/a.orc")


def test_amounts_that_are_added_up_are_the_totals() -> None:
    content = csv([("1", "1", "soap", "2026-11-20", "1", "2.50", "3", "7.50", None, None)] * 3)
    verdict, desk = validated(content, contract=SALES.contract)
    assert reread(desk.store, BUCKET, desk.spec, verdict.file_id, verdict.bronze).amount == 2250
