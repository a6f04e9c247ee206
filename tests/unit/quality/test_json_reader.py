"""JSON before the gate: each record judged by what is written, the fast way and the exact one alike, however the file is cut."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract import Column, Contract, bigint, money, text
from include.domains.sales.feeds import SALES
from include.files.verdict import Fault
from include.quality.dialect import Unreadable
from include.quality.json_reader import read_json, read_json_lines
from include.quality.json_record import Record, RecordReader
from include.quality.lines import Content, Quarantined
from include.quality.records import Rows
from tests.unit.quality.desk import validated

LINES, ARRAY = "landing/transactions/a.jsonl", "landing/transactions/a.json"
GOOD = (
    '{"customer_id": 1, "store_id": 2, "product_name": "soap", "sales_date": "2026-11-20", '
    '"sales_person_id": 3, "price": 2.50, "quantity": 3, "total_cost": 7.50}'
)
SIZE, SOAP = len(GOOD), GOOD.index("soap") + 1
HALF = "a text holds a NUL or half of a surrogate pair, which UTF-8 text cannot"
CONTROL = f"no JSON: Invalid control character at (byte {SOAP + 2} of the record)"
DEEP = "it is nested deeper than 64 levels"
NO_ID = "customer_id is no whole number that a bigint holds"
LENIENT = dataclasses.replace(SALES.contract, tolerance=Fraction(1))
SMALL = Contract(
    1,
    (
        text("a"),
        text("b", null=True),
        Column("c", null=True, optional=True),
        Column("d", null=True, path=("n", "d")),
    ),
    ignored=frozenset({"ig"}),
)

values = st.sampled_from([
    *("1", "-2.50", "1e2", "-0", '"x"', '""', '"null"', "null", "true", "false", '"a, \\"b\\": "', '"é,}{"', '"}\\n{"', '"\\u0041"'),
    *('{"q": [1.50]}', "[1]", "NaN", "-Infinity", '"x\ty"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', "01", '"]"', '"\x7f"', '"'),
])  # fmt: skip
plain = st.sampled_from(["1", "2.50", '"x"', '"é"', "null", "true"])
keys = st.sampled_from(["a b n", "a b c n", "a b n x", "b a n x y", "a b", "a a n", "a b n ig", "a\u00e9 a b n"]).map(str.split)
styles = st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", " : "), (", ", ": ")])
nests = st.sampled_from(['{{"d"{colon}{value}}}'] * 4 + ["null", "5", '{{"e": 1}}', '{{"d": 1, "e": 2}}', "{{}}"])


@st.composite
def records(draw: st.DrawFn) -> str:
    comma, colon = draw(styles)
    of = draw(st.sampled_from([plain, plain, values]))
    members = []
    for key in draw(keys):
        value = draw(of)
        members.append(f'"{key}"{colon}{draw(nests).format(colon=colon, value=value) if key == "n" else value}')
    whole = "{" + comma.join(members) + "}"
    return whole if draw(st.integers(0, 20)) else whole[: draw(st.integers(1, len(whole)))]


@pytest.fixture(autouse=True)
def few_records_are_worth_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.quality.json_reader._WORTH_A_TEMPLATE", 2)


Row = tuple[int, Unreadable | tuple[tuple[str | None, ...], str | None], bytes]
Read = Callable[[Content, Contract, int], Iterator[Rows]]


def rows_of(rows: Rows) -> Iterator[Row]:
    for row in range(len(rows)):
        said = (
            tuple(rows.table[name][row].as_py() for name in SMALL.names),
            None if rows.additional is None else rows.additional[row].as_py(),
        )
        yield int(rows.lines[row]), rows.unreadable.get(row, said), rows.original(row)


def read(reader: Read, content: bytes, piece_bytes: int) -> list[Row] | tuple[Fault, str]:
    source = Content(io.BytesIO(content), zipped=False, max_bytes=10**9)
    try:
        return [row for rows in reader(source, SMALL, piece_bytes) for row in rows_of(rows)]
    except Quarantined as refused:
        return refused.fault, refused.reason


@settings(deadline=None, max_examples=300)
@given(st.lists(records(), min_size=1, max_size=12), st.integers(1, 3), st.integers(1, 80))
def test_lines_are_read_as_each_of_them_alone(found: list[str], times: int, piece_bytes: int) -> None:
    content = "\n".join(found * times).encode()
    alone = RecordReader(SMALL)
    expected: list[Row] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        record = alone.read(line)
        expected.append((number, (tuple(record.values), record.additional) if isinstance(record, Record) else record, line))
    wanted = expected if alone.refused is None else (Fault.COLUMN_MISSING, alone.refused)
    assert read(read_json_lines, content, 10**6) == read(read_json_lines, content, piece_bytes) == wanted
    assert read(read_json, content, piece_bytes) == wanted


@settings(deadline=None, max_examples=300)
@given(st.lists(records(), max_size=8), st.sampled_from([", ", ",\n", " ,\r\n  ", ","]), st.integers(1, 80))
def test_an_array_is_read_as_its_elements_alone_or_broken_where_json_says_so(found: list[str], between: str, piece_bytes: int) -> None:
    content = f" [{between.join(found)}]\n".encode()
    whole = read(read_json, content, 10**6)
    assert read(read_json, content, piece_bytes) == whole
    try:
        elements = json.loads(content)
    except json.JSONDecodeError as error:
        at = len(content.decode()[: error.pos].encode()) + 1
        assert isinstance(whole, tuple)
        assert whole[0] is Fault.FORMAT
        assert f"broken at byte {at:,}," in whole[1]
        return
    if isinstance(whole, tuple):
        assert whole[0] is (Fault.COLUMN_MISSING if elements else Fault.NO_ROWS)
        return
    alone = RecordReader(SMALL)
    assert [number for number, _, _ in whole] == list(range(1, len(elements) + 1))
    for _, said, original in whole:
        record = alone.read(original)
        assert said == ((tuple(record.values), record.additional) if isinstance(record, Record) else record)


REJECTED = [
    ("not closed", GOOD[:-1], "json", "", f"no JSON: Expecting ',' delimiter (byte {SIZE} of the record)"),
    ("something behind", GOOD + " x", "json", "", f"no JSON: Extra data (byte {SIZE + 2} of the record)"),
    ("blanks", "  ", "json", "", "no JSON: Expecting value (byte 3 of the record)"),
    ("an array", "[1]", "object", "", "the record is no JSON object (a file that is one array must be named .json)"),
    ("a number", "5", "object", "", "the record is no JSON object (a file that is one array must be named .json)"),
    ("doubled key", GOOD.replace('"store_id"', '"customer_id"'), "doubled_key", "", "an object has customer_id more than once"),
    ("doubled inside", GOOD.replace("}", ', "x": [{"y": 1, "y": 1}]}'), "doubled_key", "", "an object has y more than once"),
    ("NaN", GOOD.replace("2.50", "NaN"), "number", "", "NaN and Infinity are no numbers of JSON"),
    ("Infinity", GOOD.replace("}", ', "x": -Infinity}'), "number", "", "NaN and Infinity are no numbers of JSON"),
    ("missing key", GOOD.replace('"store_id": 2, ', ""), "missing", "store_id", "store_id is missing"),
    (
        *("two missing", GOOD.replace('"store_id": 2, "product_name": "soap", ', "")),
        *("missing", "store_id;product_name", "store_id, product_name are missing"),
    ),
    ("object", GOOD.replace("2.50", '{"amount": 2.50}'), "nested", "price", "price is no single value"),
    ("list", GOOD.replace("2.50", "[2.50]"), "nested", "price", "price is no single value"),
    ("half a pair", GOOD.replace("soap", r"so\ud83dap"), "text", "", HALF),
    ("half a pair in a key", GOOD.replace("}", r', "\ude00": 1}'), "text", "", HALF),
    ("escaped NUL", GOOD.replace("soap", r"so\u0000ap"), "text", "", HALF),
    ("control character", GOOD.replace("soap", "so\x01ap"), "json", "", CONTROL),
    ("tab", GOOD.replace("soap", "so\tap"), "json", "", CONTROL),
    ("nested too deep", GOOD.replace("}", ', "x": ' + "[" * 64 + "]" * 64 + "}"), "nesting", "", DEEP),
    ("nested far too deep", GOOD.replace("}", ', "x": ' + "[" * 50_000 + "]" * 50_000 + "}"), "nesting", "", DEEP),
    ("exponent", GOOD.replace("2.50", "25e-1"), "matches", "price", "price is no amount like 1234.50"),
    ("three decimals", GOOD.replace("2.50", "2.500"), "matches", "price", "price is no amount like 1234.50"),
    ("a float id", GOOD.replace(": 1,", ": 1.0,"), "matches", "customer_id", NO_ID),
    ("too large", GOOD.replace(": 1,", ": 9223372036854775808,"), "matches", "customer_id", NO_ID),
    ("true", GOOD.replace(": 1,", ": true,"), "matches", "customer_id", NO_ID),
    ("null", GOOD.replace(": 1,", ": null,"), "not_null", "customer_id", "customer_id is empty"),
    ("empty text", GOOD.replace('"soap"', '""'), "not_null", "product_name", "product_name is empty"),
    ("wrong total", GOOD.replace("7.50", "7.51"), "product", "total_cost", "total_cost is not price times quantity to the cent"),
]  # fmt: skip


@pytest.mark.parametrize("as_array", [False, True], ids=["lines", "array"])
def test_a_record_that_breaks_a_rule_is_rejected_alone_and_verbatim(as_array: bool) -> None:
    broken = [(number, case) for number, case in enumerate(REJECTED) if not (as_array and case[2] == "json")]
    texts = [text for _, case in broken for text in (GOOD, case[1])]
    content = f"[{', '.join(texts)}]" if as_array else "\n".join(texts)
    verdict, desk = validated(content.encode(), ARRAY if as_array else LINES, contract=LENIENT)
    assert (verdict.fault, verdict.lines, verdict.accepted) == (None, len(texts), len(broken))
    rejects = desk.rejects(verdict)
    for (place, (_, (name, record, rule, column, reason))), reject in zip(enumerate(broken), rejects, strict=True):
        found = (int(reject["line"]), reject["original"], reject["rules"], reject["columns"], reject["reasons"])
        assert found == (2 * place + 2, record, rule, column, reason), name
    assert desk.bronze(verdict)["_line"].to_pylist() == list(range(1, len(texts), 2))


def test_a_line_that_is_not_utf8_is_rejected_with_the_byte_where_it_is_not() -> None:
    lines = [GOOD.encode()] * 20
    lines[7] = lines[7].replace(b"soap", b"so\xe9p")
    verdict, desk = validated(b"\n".join(lines), LINES, contract=SALES.contract)
    (reject,) = desk.rejects(verdict)
    assert (reject["line"], reject["rules"], reject["reasons"]) == ("8", "encoding", f"byte {SOAP + 2} of the record is not UTF-8")
    verdict, desk = validated(b"[" + b",".join(lines) + b"]", ARRAY, contract=SALES.contract)
    (reject,) = desk.rejects(verdict)
    assert (reject["line"], reject["rules"]) == ("8", "encoding")


def test_numbers_may_be_written_as_text_and_keys_in_any_order() -> None:
    as_text = json.dumps({key: str(value) for key, value in reversed(json.loads(GOOD, parse_float=str).items())})
    verdict, desk = validated(f"{GOOD}\n{as_text}\n".encode(), LINES, contract=SALES.contract)
    first, second = desk.bronze(verdict).drop_columns(["_line"]).to_pylist()
    assert first == second


def test_what_a_record_says_beyond_the_contract_is_kept_as_it_is_with_keys_sorted() -> None:
    extra = ', "z": 1.50, "a": {"q": 1e2, "b": [null, "é"]}, "m": null, "e": "", "t": true}'
    verdict, desk = validated("\n".join([GOOD, GOOD.replace("}", extra), GOOD]).encode(), LINES, contract=SALES.contract)
    said = '{"a":{"q":1e2,"b":[null,"é"]},"e":"","m":null,"t":true,"z":1.50}'
    assert desk.bronze(verdict)["additional_column"].to_pylist() == [None, said, None]


NESTED = Contract(
    1,
    (
        bigint("id"),
        money("price"),
        Column("exchange", path=("details", "exchange")),
        Column("sector", null=True, path=("details", "sector")),
    ),
)


@pytest.mark.parametrize("times", [1, 50], ids=["one by one", "as a template"])
def test_a_column_may_lie_inside_an_object_and_what_else_is_there_is_kept(times: int) -> None:
    line = '{"id": 1, "price": 2, "details": {"exchange": "X", "sector": "S"}}'
    more = line.replace('"X"', '"X", "tier": 1')
    null = line.replace('"S"', "null").replace(', "price": 2', "").replace("}}", '}, "price": 2}')
    verdict, desk = validated("\n".join([line] * times + [more, null]).encode(), LINES, contract=NESTED)
    table = desk.bronze(verdict)
    assert table["exchange"].to_pylist() == ["X"] * (times + 2)
    assert table["sector"].to_pylist() == ["S"] * (times + 1) + [None]
    assert table["additional_column"].to_pylist() == [None] * times + ['{"details":{"tier":1}}', None]
    without = [line.replace('"exchange": "X", ', ""), '{"id": 1, "price": 2, "details": null}', '{"id": 1, "price": 2, "details": 5}']
    verdict, desk = validated("\n".join([line] * 30 + without).encode(), LINES, contract=NESTED)
    assert [(reject["columns"], reject["rules"]) for reject in desk.rejects(verdict)] == [
        ("exchange", "missing"),
        ("exchange", "not_null"),
        ("exchange", "nested"),
    ]


QUARANTINED_OUTCOME = [
    (LINES, "", Fault.EMPTY, "the file has no record"),
    (LINES, "\n\r\n\n", Fault.NO_ROWS, "the file has no record"),
    (ARRAY, "", Fault.EMPTY, "the file has no record"),
    (ARRAY, " \n", Fault.TOO_MANY_REJECTS, "1 of 1 rows were rejected"),
    (ARRAY, "[]", Fault.NO_ROWS, "the array is empty"),
    (ARRAY, "\ufeff [ ] \n", Fault.NO_ROWS, "the array is empty"),
    (ARRAY, "[" + GOOD, Fault.FORMAT, f"broken at byte {SIZE + 2}, after 1 records: the content ends within the array"),
    (ARRAY, "[" + GOOD + ",", Fault.FORMAT, f"broken at byte {SIZE + 3}, after 1 records: the content ends within the array"),
    (ARRAY, "[" + GOOD + ",]", Fault.FORMAT, f"broken at byte {SIZE + 3}, after 1 records: Expecting value"),
    (ARRAY, "\ufeff[" + GOOD + GOOD + "]", Fault.FORMAT, f"broken at byte {SIZE + 5}, after 1 records: neither a comma nor ]"),
    (ARRAY, "[" + GOOD + "]\n{", Fault.FORMAT, f"broken at byte {SIZE + 4}, after 1 records: something follows the array"),
    (ARRAY, "[" + GOOD.replace("2,", "2 é,") + "]", Fault.FORMAT, "broken at byte 35, after 0 records: Expecting ',' delimiter"),
    (ARRAY, "[" + GOOD + ", 5, " + "[" * 5000, Fault.FORMAT, "the content ends within the array"),
    (ARRAY, "[" + GOOD.replace("soap", "so\0ap") + "]", Fault.NUL_BYTE, f"byte {SOAP + 3} is a NUL"),
    (LINES, GOOD + "\n" + GOOD.replace("soap", "so\0ap"), Fault.NUL_BYTE, "line 2 has a NUL byte"),
    (LINES, "[" + GOOD + "]", Fault.TOO_MANY_REJECTS, "1 of 1 rows were rejected"),
    (LINES, "\n".join([GOOD.replace("price", "prize")] * 3), Fault.COLUMN_MISSING, "missing columns price in every record"),
    (ARRAY, f'[{GOOD.replace("price", "prize")}]', Fault.COLUMN_MISSING, "missing columns price in every record (found: customer_id"),
    (LINES, "{}", Fault.COLUMN_MISSING, "in every record (found: )"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "content", "fault", "reason"), QUARANTINED_OUTCOME)
@pytest.mark.parametrize("piece_bytes", [7, 8 * 2**20])
def test_what_condemns_a_file_of_json(key: str, content: str, fault: Fault, reason: str, piece_bytes: int) -> None:
    verdict, _ = validated(content.encode(), key, contract=SALES.contract, piece_bytes=piece_bytes)
    assert verdict.fault is fault
    assert verdict.reason is not None
    assert reason in verdict.reason


def test_a_key_that_one_record_has_does_not_condemn_the_others_file() -> None:
    without = GOOD.replace("price", "prize")
    verdict, desk = validated(f"{without}\n{GOOD}\n{without}".encode(), LINES, contract=LENIENT)
    assert (verdict.fault, verdict.accepted) == (None, 1)
    assert [reject["rules"] for reject in desk.rejects(verdict)] == ["missing", "missing"]


@pytest.mark.parametrize("piece_bytes", [100, 1000, 8 * 2**20])
@pytest.mark.parametrize(
    ("between", "fault", "reason"),
    [
        ("x" * 3000, Fault.LINE_TOO_LONG, "record 3 of the array is longer than the 2,000 bytes"),
        ('", "q": ' + "1" * 3000 + ', "r": "', Fault.LINE_TOO_LONG, "record 3 of the array is longer than the 2,000 bytes"),
        ('" oops ' + "x" * 3000, Fault.FORMAT, "after 2 records: Expecting ',' delimiter"),
    ],
)
def test_memory_is_bounded_by_the_longest_element_allowed(piece_bytes: int, between: str, fault: Fault, reason: str) -> None:
    contract = dataclasses.replace(SALES.contract, max_line_bytes=2000)
    content = f"[{GOOD}, {GOOD}, {GOOD.replace('soap', between)}, {GOOD}]".encode()
    verdict, _ = validated(content, ARRAY, contract=contract, piece_bytes=piece_bytes)
    assert verdict.fault is fault
    assert verdict.reason is not None
    assert reason in verdict.reason
    one_line = validated(content.replace(b"\n", b" "), LINES, contract=contract, piece_bytes=piece_bytes)[0]
    assert one_line.fault is Fault.LINE_TOO_LONG


def test_gzip_under_a_name_without_gz_says_so_and_a_broken_one_is_condemned() -> None:
    body = gzip.compress("\n".join([GOOD] * 50).encode())
    assert validated(body, LINES + ".gz", contract=SALES.contract)[0].accepted == 50
    assert validated(gzip.compress(f"[{GOOD}]".encode()), ARRAY + ".gz", contract=SALES.contract)[0].accepted == 1
    for key in (LINES, ARRAY):
        verdict, _ = validated(body[:-4], key + ".gz", contract=SALES.contract)
        assert verdict.fault is Fault.GZIP_BROKEN
