"""Single rows before the gate: which are rejected, by which rule, and what of them is kept."""

from __future__ import annotations

import pytest

from tests.unit.quality.desk import DATA, HEADER, ROW, rows, validated

REJECTED = [
    ("customer_null.csv", "customer", "not_null", "customer is empty"),
    ("merchant_null.csv", "merchant", "not_null", "merchant is empty"),
    ("amount_negative.csv", "amount", "matches", "amount does not match"),
    ("amount_absurd.csv", "amount", "matches", "amount does not match"),
    ("amount_not_a_number.csv", "amount", "matches", "amount does not match"),
    ("amount_null.csv", "amount", "not_null", "amount is empty"),
    ("gender_outside_the_set.csv", "gender", "one_of", "gender is none of F, M, E, U"),
    ("gender_in_lower_case.csv", "gender", "one_of", "gender is none of F, M, E, U"),
    ("step_not_an_integer.csv", "step", "matches", "step does not match [0-9]{1,9}"),
    ("quote_not_closed.csv", "", "quote", "a quote does not close on its own line"),
    ("quote_in_an_unquoted_value.csv", "", "quote", "a quote stands inside a value that is not quoted"),
    ("quote_followed_by_text.csv", "", "quote", "a closing quote is followed by something else than the delimiter"),
    ("fields_too_few.csv", "", "fields", "2 fields where the header has 10"),
    ("fields_too_many.csv", "", "fields", "11 fields where the header has 10"),
    ("line_of_blanks.csv", "", "fields", "1 field where the header has 10"),
    (
        "row_with_several_faults.csv",
        "customer;gender;amount",
        "not_null;one_of;matches",
        "customer is empty;gender is none of F, M, E, U;amount",
    ),
]


@pytest.mark.parametrize(("name", "columns", "rules", "reason"), REJECTED)
def test_a_bad_row_is_rejected_alone_with_its_line_and_reasons(name: str, columns: str, rules: str, reason: str) -> None:
    content = (DATA / name).read_bytes()
    verdict, desk = validated(content)
    assert (verdict.passed, verdict.lines, verdict.accepted, verdict.rejected) == (True, 10, 9, 1)
    (reject,) = desk.rejects(verdict)
    assert (reject["file_id"], reject["line"], reject["columns"], reject["rules"]) == ("1", "5", columns, rules)
    assert reject["reasons"].startswith(reason)
    assert reject["original"] == content.decode().split("\n")[4]
    assert desk.bronze(verdict)["_line"].to_pylist() == [2, 3, 4, 6, 7, 8, 9, 10, 11]


AMOUNTS = [
    ("0", 0), ("5", 500), ("0.5", 50), ("0.05", 5), ("00.10", 10), ("4.55", 455), ("'4.55'", 455), ("007", 700),
    ("999999999.99", 99999999999),
    ("1e2", None), ("NaN", None), ("nan", None), ("inf", None), ("-0.01", None), ("-0", None), ("+5", None), (".5", None), ("5.", None),
    ("1.234", None), ("1000000000", None), ("'1,000'", None), ("1_000", None), ("1 000", None), (" 5", None), ("5 ", None), ("'5\t'", None),
    ("0x10", None), ("\u0663", None), ("\uff15", None), ("\u00b2", None), ("4.5\r5", None), ("5\u2028", None), ("5\x0b", None),
    ("5\x85", None), ("None", None), ("''''", None), ("1.2.3", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "cents"), AMOUNTS, ids=[ascii(text) for text, _ in AMOUNTS])
def test_an_amount_is_exact_cents_or_no_amount(text: str, cents: int | None) -> None:
    verdict, desk = validated(rows(10) + rows(1, amount=text)[len(HEADER) :])
    assert (verdict.lines, verdict.rejected) == (11, 0 if cents is not None else 1)
    if cents is None:
        assert desk.rejects(verdict)[0]["rules"] == "matches"
    else:
        assert desk.bronze(verdict)["amount_cents"].to_pylist() == [455] * 10 + [cents]


STEPS = [
    ("0", True),
    ("999999999", True),
    ("007", True),
    ("1000000000", False),
    ("-1", False),
    ("1.0", False),
    ("1e2", False),
    ("\u0663", False),
    (" 1", False),
]


@pytest.mark.parametrize(("text", "good"), STEPS, ids=[ascii(text) for text, _ in STEPS])
def test_a_step_is_one_to_nine_ascii_digits(text: str, good: bool) -> None:
    verdict, _ = validated(rows(10) + rows(1, step=text)[len(HEADER) :])
    assert verdict.rejected == (0 if good else 1)


@pytest.mark.parametrize("text", ["NA", "NULL", "null", "None", "nan", "   ", "''''"])
def test_only_empty_text_is_null(text: str) -> None:
    verdict, desk = validated(rows(1, customer=text, age=text))
    expected = "'" if text == "''''" else text
    table = desk.bronze(verdict)
    assert (table["customer"].to_pylist(), table["age"].to_pylist()) == ([expected], [expected])


def test_optional_columns_may_be_empty_quoted_or_not() -> None:
    verdict, desk = validated(rows(1, age="''", zipcodeOri="", zipMerchant="''", category=""))
    table = desk.bronze(verdict)
    assert [table[name].to_pylist() for name in ("age", "zipcode_ori", "zip_merchant", "category")] == [[None]] * 4


def test_text_is_kept_as_it_is() -> None:
    verdict, desk = validated(rows(1, customer="' C\u00e91\u2028 '", category="'a,''b''\x0b'", zipcodeOri="'00123'", age='"'))
    table = desk.bronze(verdict)
    assert table["customer"].to_pylist() == [" C\u00e91\u2028 "]
    assert table["category"].to_pylist() == ["a,'b'\x0b"]
    assert (table["zipcode_ori"].to_pylist(), table["age"].to_pylist()) == (["00123"], ['"'])


def test_a_line_that_is_not_utf8_is_rejected_alone_and_kept_byte_by_byte() -> None:
    bad = ROW.replace(b"C1", b'\xff"C\xe9')
    verdict, desk = validated(HEADER + ROW * 5 + bad + ROW * 5)
    (reject,) = desk.rejects(verdict)
    assert (reject["line"], reject["columns"], reject["rules"], reject["reasons"]) == (
        "7",
        "",
        "encoding",
        "byte 4 of the line is not UTF-8",
    )
    assert reject["original"].encode("utf-8", "surrogateescape") == bad.rstrip(b"\n")
    assert verdict.accepted == 10


LINE_ENDS = [
    ("LF", HEADER + ROW * 3, [2, 3, 4]),
    ("no last LF", HEADER + ROW * 2 + ROW.rstrip(b"\n"), [2, 3, 4]),
    ("CRLF", (HEADER + ROW * 3).replace(b"\n", b"\r\n"), [2, 3, 4]),
    ("CRLF in the header only", HEADER.replace(b"\n", b"\r\n") + ROW * 3, [2, 3, 4]),
    ("byte order mark", b"\xef\xbb\xbf" + HEADER + ROW * 3, [2, 3, 4]),
    ("empty lines", HEADER + b"\n" + ROW + b"\r\n\n" + ROW + ROW + b"\n\n", [3, 6, 7]),
]


@pytest.mark.parametrize(("content", "lines"), [case[1:] for case in LINE_ENDS], ids=[case[0] for case in LINE_ENDS])
def test_line_numbers_are_physical_lines(content: bytes, lines: list[int]) -> None:
    verdict, desk = validated(content)
    assert (verdict.lines, verdict.rejected) == (3, 0)
    assert desk.bronze(verdict)["_line"].to_pylist() == lines
    assert set(desk.bronze(verdict)["amount_cents"].to_pylist()) == {455}


def test_a_cr_that_ends_no_line_belongs_to_the_value() -> None:
    bare = ROW.rstrip(b"\n").removesuffix(b"4.55,0") + b"4.55\r,0\n"
    verdict, desk = validated(HEADER + ROW * 10 + bare)
    assert [(reject["line"], reject["rules"], reject["original"]) for reject in desk.rejects(verdict)] == [
        ("12", "matches", bare.decode().rstrip("\n"))
    ]


def test_a_byte_order_mark_further_down_belongs_to_the_value() -> None:
    contents = [HEADER + ROW * 10 + b"\xef\xbb\xbf" + ROW, HEADER + b"\xef\xbb\xbf" + ROW + ROW * 10]
    assert [validated(content)[0].rejected for content in contents] == [1, 1]


def test_a_quote_that_stays_open_takes_no_other_line_with_it() -> None:
    opened = ROW.replace(b"'C1'", b"'C1")
    verdict, desk = validated(HEADER + ROW * 20 + opened + ROW * 3 + opened + ROW)
    assert (verdict.lines, verdict.accepted) == (26, 24)
    assert [reject["line"] for reject in desk.rejects(verdict)] == ["22", "26"]
