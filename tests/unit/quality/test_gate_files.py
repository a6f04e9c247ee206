"""Whole files before the gate: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import pytest

from include.files.verdict import Fault
from tests.unit.quality.desk import DATA, HEADER, ROW, Desk, rows, validated

REFUSED_FILES = [
    ("header_only.csv", Fault.NO_ROWS, "a header and no rows"),
    ("header_empty.csv", Fault.HEADER_UNREADABLE, "line 1 is empty"),
    ("header_quote_open.csv", Fault.HEADER_UNREADABLE, "a quote does not close"),
    ("column_missing.csv", Fault.COLUMN_MISSING, "missing columns amount (found: step, customer, age,"),
    ("column_in_other_case.csv", Fault.COLUMN_MISSING, "missing columns customer (found: step, Customer,"),
    ("column_doubled.csv", Fault.COLUMN_DOUBLED, "names customer more than once"),
    ("column_unnamed.csv", Fault.COLUMN_UNNAMED, "names no column 11 (of 11)"),
    ("delimiter_wrong.csv", Fault.COLUMN_MISSING, "(found: step;customer;age;"),
    ("rejects_over_the_tolerance.csv", Fault.TOO_MANY_REJECTS, "2 of 19 rows were rejected, more than the 10 % tolerated"),
]

REFUSED_BYTES = [
    ("empty", b"", Fault.EMPTY, "the file is empty"),
    ("nothing but a byte order mark", b"\xef\xbb\xbf", Fault.EMPTY, "the file is empty"),
    ("only empty lines below the header", HEADER + b"\n\r\n\n", Fault.NO_ROWS, "no rows"),
    ("UTF-16 little endian", (HEADER + ROW).decode().encode("utf-16"), Fault.ENCODING, "UTF-16"),
    ("UTF-16 big endian", b"\xfe\xff" + (HEADER + ROW).decode().encode("utf-16-be"), Fault.ENCODING, "UTF-16"),
    ("UTF-32", (HEADER + ROW).decode().encode("utf-32"), Fault.ENCODING, "UTF-32"),
    ("UTF-16 without a mark", (HEADER + ROW).decode().encode("utf-16-le"), Fault.NUL_BYTE, "line 1 has a NUL"),
    ("a NUL in the third line", HEADER + ROW + ROW.replace(b"C1", b"C\0"), Fault.NUL_BYTE, "line 3 has a NUL"),
    ("a header that is no UTF-8", HEADER.replace(b"age", b"\xff") + ROW, Fault.HEADER_UNREADABLE, "byte 15 of the line is not UTF-8"),
    ("gzip under a name that says CSV", b"\x1f\x8b\x08garbage", Fault.HEADER_UNREADABLE, "the content is gzip"),
    ("a header with a blank before a name", HEADER.replace(b",customer", b", customer") + ROW, Fault.COLUMN_MISSING, "' customer'"),
]


@pytest.mark.parametrize(("name", "fault", "words"), REFUSED_FILES)
def test_a_file_that_breaks_its_contract_is_refused_with_its_reason(name: str, fault: Fault, words: str) -> None:
    verdict, desk = validated((DATA / name).read_bytes())
    assert (verdict.fault, verdict.bronze, verdict.bronze_digest, verdict.touched_values) == (fault, (), None, ())
    assert words in str(verdict.reason)
    assert verdict.sha256 is not None
    assert not [key for _, key in desk.store.held if key.endswith(".parquet")]


@pytest.mark.parametrize(("content", "fault", "words"), [case[1:] for case in REFUSED_BYTES], ids=[case[0] for case in REFUSED_BYTES])
def test_bytes_that_are_no_csv_in_utf8_are_refused(content: bytes, fault: Fault, words: str) -> None:
    verdict, _ = validated(content)
    assert (verdict.fault, verdict.passed) == (fault, False)
    assert words in str(verdict.reason)


def test_counts_are_none_where_reading_stopped_and_zero_where_there_was_nothing() -> None:
    for content, counts in ((b"", 0), (HEADER, 0), (b"a,b\n1,2\n", None), (HEADER + ROW + b"\0\n", None)):
        verdict, _ = validated(content)
        assert (verdict.lines, verdict.accepted, verdict.rejected) == (counts, counts, counts)


def test_a_file_refused_for_its_rejects_keeps_its_counts_and_its_rejected_rows() -> None:
    verdict, desk = validated((DATA / "rejects_over_the_tolerance.csv").read_bytes())
    assert (verdict.lines, verdict.accepted, verdict.rejected) == (19, 17, 2)
    assert [row["line"] for row in desk.rejects(verdict)] == ["2", "3"]


def test_the_tolerated_share_itself_is_accepted() -> None:
    verdict, _ = validated((DATA / "rejects_at_the_tolerance.csv").read_bytes())
    assert (verdict.passed, verdict.lines, verdict.accepted, verdict.rejected) == (True, 20, 18, 2)


@pytest.mark.parametrize("name", ["good.csv", "columns_reordered.csv", "fraud_absent.csv", "columns_extra.csv"])
def test_the_same_rows_in_any_layout_are_the_same_bronze(name: str) -> None:
    verdict, desk = validated((DATA / name).read_bytes())
    table = desk.bronze(verdict)
    assert (verdict.lines, verdict.accepted, verdict.rejected, verdict.touched_values) == (10, 10, 0, ("M0", "M1", "M2"))
    expected = ["step", "customer", "age", "gender", "zipcode_ori", "merchant", "zip_merchant", "category", "amount_cents"]
    assert table.column_names == [*expected, "additional_column", "_line", "_file_id"]
    assert [str(kind) for kind in table.schema.types] == ["int64", *["string"] * 7, "int64", "string", "int64", "int64"]
    assert table["amount_cents"].to_pylist() == [150, 250, 350, 450, 550, 650, 750, 850, 950, 1050]
    assert table["step"].to_pylist() == [*range(1, 11)]
    assert table["_line"].to_pylist() == [*range(2, 12)]
    assert set(table["_file_id"].to_pylist()) == {1}
    assert table["customer"].to_pylist()[-1] == "C10"


def test_extra_columns_are_one_json_object_with_sorted_keys_and_no_empty_values() -> None:
    verdict, desk = validated((DATA / "columns_extra.csv").read_bytes())
    extra = desk.bronze(verdict)["additional_column"].to_pylist()
    assert extra[:4] == ['{"a note":"n\\"ö","zone":"1"}', '{"a note":"n\\"ö","zone":"2"}', '{"a note":"n\\"ö"}', None]


def test_ignored_columns_are_not_extra() -> None:
    verdict, desk = validated((DATA / "good.csv").read_bytes())
    assert desk.bronze(verdict)["additional_column"].to_pylist() == [None] * 10


def test_an_object_deleted_or_overwritten_after_its_listing_is_gone() -> None:
    desk = Desk()
    deleted, changed, good = (desk.land(HEADER + ROW, f"landing/transactions/{name}.csv") for name in ("deleted", "changed", "good"))
    desk.store.delete(deleted.bucket, deleted.key)
    desk.store.put(changed.bucket, changed.key, HEADER + ROW * 2)
    verdicts = desk.validate([deleted, changed, good])
    assert [(verdict.fault, verdict.sha256, verdict.lines) for verdict in verdicts[:2]] == [(Fault.OBJECT_GONE, None, None)] * 2
    assert verdicts[2].passed


def test_a_line_is_said_for_each_file_and_holds_no_value() -> None:
    _, desk = validated(rows(20) + ROW.replace(b"4.55", b"4.5555"), "landing/transactions/chunk_7.csv")
    assert len(desk.said) == 1
    assert desk.said[0].startswith("landing/transactions/chunk_7.csv: ")
    assert "21 rows, 20 accepted, 1 rejected" in desk.said[0]
    assert "4.5555" not in desk.said[0]


def test_the_report_counts_by_column_and_rule_and_holds_no_value() -> None:
    verdict, _ = validated((DATA / "row_with_several_faults.csv").read_bytes())
    assert verdict.report["broken"] == [
        {"column": "amount", "rule": "matches", "rows": 1},
        {"column": "customer", "rule": "not_null", "rows": 1},
        {"column": "gender", "rule": "one_of", "rows": 1},
    ]
    assert (verdict.report["format"], verdict.report["lines"], verdict.report["accepted"], verdict.report["rejected"]) == (1, 10, 9, 1)
    assert verdict.report["first_rejected"] == [
        {
            "line": 5,
            "columns": ["customer", "gender", "amount"],
            "rules": ["not_null", "one_of", "matches"],
            "reasons": ["customer is empty", "gender is none of F, M, E, U", r"amount does not match [0-9]{1,9}(\.[0-9]{1,2})?"],
        }
    ]
    assert "1e2" not in str(verdict.report)


def test_more_than_2000_touched_merchants_are_not_named() -> None:
    few, _ = validated(HEADER + b"".join(ROW.replace(b"M1", b"M%d" % n) for n in range(2000)))
    many, _ = validated(HEADER + b"".join(ROW.replace(b"M1", b"M%d" % n) for n in range(2001)))
    assert (few.touched_values and len(few.touched_values), many.touched_values) == (2000, None)
