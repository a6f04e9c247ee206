"""Corrected rows: exactly those lines come in, once, as a file of their own; the parent's counts never change."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow.parquet as pq
import pytest

from include.pipeline.deliver import deliver
from include.pipeline.discover import discover
from include.pipeline.gate import gate
from include.pipeline.process import process
from include.pipeline.publish import publish
from tests.integration.world import HEADER, World, row

FIXES = "fixes/transactions/"
REFERENCE = ("file_id", "line", "columns", "rules", "reasons", "original")


def parent_with_rejects(world: World, name: str = "some.csv", rejected: int = 2) -> int:
    """A published file of 40 rows, the last of them rejected: lines 41, 40, ...; its id."""
    good = [row(f"C{n}") for n in range(40 - rejected)]
    world.land(name, HEADER + "".join(good + [row(f"B{n}", amount="x") for n in range(rejected)]))
    world.drain()
    file: dict[str, Any] = world.file(name)
    assert (file["state"], file["lines"], file["rejected"]) == ("published", 40, rejected)
    return int(file["file_id"])


def rejects(world: World, file_id: int) -> list[dict[str, str]]:
    """`rejects.csv` of a file, as a person opens it."""
    (key,) = [key for key in world.keys("error/") if key.endswith("/rejects.csv") and f".{file_id}/" in key]
    return [*csv.DictReader(io.StringIO(world.store.read_bytes(world.bucket, key).decode(), newline=""))]


def edited(rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, REFERENCE, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def corrected(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [reject | {"original": reject["original"].replace(",x,", ",4.55,")} for reject in rows]


def put(world: World, rows: list[dict[str, str]], name: str = "rejects.csv") -> str:
    """Put corrected rows where they belong; their key."""
    world.store.put(world.bucket, FIXES + name, edited(rows).encode())
    return FIXES + name


def bronze(world: World, file_id: int) -> list[dict[str, Any]]:
    refs = world.ledger.rows("select bronze from file where file_id = %s", (file_id,))[0]["bronze"]
    return [one for ref in refs for one in pq.read_table(io.BytesIO(world.store.read_bytes(world.bucket, ref["key"]))).to_pylist()]


def counted(world: World) -> int:
    n: int = world.ledger.rows("select sum(total_transactions)::int as n from merchant_transaction_counts")[0]["n"]
    return n


def test_corrected_rows_come_in_as_a_file_of_their_own_and_the_parent_stays_as_it_was(world: World) -> None:
    parent = parent_with_rejects(world)
    before = world.file(str(parent))
    key = put(world, corrected(rejects(world, parent)))
    world.drain()
    fix = world.file(key)
    assert (fix["kind"], fix["parent"], fix["seq"], fix["state"]) == ("row_fix", parent, 2, "published")
    assert (fix["lines"], fix["accepted"], fix["rejected"]) == (2, 2, 0)
    assert world.file(str(parent)) == before
    found = bronze(world, fix["file_id"])
    assert [(one["_file_id"], one["_line"], one["customer"], one["amount_cents"]) for one in found] == [
        (fix["file_id"], 40, "B0", 455),
        (fix["file_id"], 41, "B1", 455),
    ]
    assert counted(world) == 40
    assert world.ledger.rows("select parent, line::int, file_id from fixed_line order by line") == [
        {"parent": parent, "line": line, "file_id": fix["file_id"]} for line in (40, 41)
    ]
    story = world.sluice("show", "some.csv").stdout
    assert f"file {fix['file_id']} (seq 2, published): 2 corrected rows of it" in story
    assert f"2 of its rejected rows came in corrected with file {fix['file_id']} (seq 2)" in story
    assert f"corrected rows of file {parent} (seq 1, " in world.sluice("show", key).stdout


def test_the_detections_are_those_of_a_file_that_arrived_last(world: World) -> None:
    """C1 reaches three transactions only with the corrected row."""
    world.land("some.csv", HEADER + "".join([row("C1"), row("C1"), *(row(f"D{n}") for n in range(30)), row("C1", amount="x")]))
    world.drain()
    world.land("later.csv", HEADER + row("E1"))
    put(world, corrected(rejects(world, world.file("some.csv")["file_id"])))
    world.drain()
    assert world.file("later.csv")["seq"] == 2
    assert world.detected() == [(3, "PatId2", "C1", "M1")]


def test_what_is_still_wrong_comes_back_under_the_same_reference_and_can_be_corrected_again(world: World) -> None:
    parent = parent_with_rejects(world, rejected=3)
    first = corrected(rejects(world, parent))
    first[1]["original"] = first[1]["original"].replace(",4.55,", ",1e2,")
    key = put(world, first)
    world.drain()
    fix = world.file(key)
    assert (fix["state"], fix["lines"], fix["accepted"], fix["rejected"]) == ("published", 3, 2, 1)  # far above a tenth
    (left,) = rejects(world, fix["file_id"])
    assert (left["file_id"], left["line"], left["columns"], left["original"]) == (str(parent), "40", "amount", first[1]["original"])
    left["original"] = left["original"].replace(",1e2,", ",100,")
    put(world, [left])  # under the name of the first: corrections are no overwrite
    world.drain()
    assert [file["state"] for file in world.files()] == ["published"] * 3
    assert counted(world) == 40


def test_a_fix_file_of_which_no_line_passes_is_quarantined_beside_its_rejects(world: World) -> None:
    parent = parent_with_rejects(world)
    key = put(world, rejects(world, parent))
    world.drain()
    fix = world.file(key)
    assert (fix["state"], fix["reason_code"], fix["lines"], fix["rejected"]) == ("quarantined", "nothing_fixed", 2, 2)
    assert fix["reason"].startswith("all 2 rows of it are refused; line 40: amount does not match")
    folder = fix["location_key"].rsplit("/", 1)[0]
    assert sorted(world.keys(folder)) == [f"{folder}/{name}" for name in ("original.rejects.csv", "rejects.csv", "report.json")]
    assert [reject["line"] for reject in rejects(world, fix["file_id"])] == ["40", "41"]
    assert counted(world) == 38


def test_references_that_are_unknown_doubled_or_fixed_already_are_refused_row_by_row(world: World) -> None:
    parent = parent_with_rejects(world, rejected=4)
    a, b, c, d = corrected(rejects(world, parent))
    put(world, [a], "first.csv")
    world.drain()
    put(world, [a, b, b, c, d | {"line": "7"}, d | {"line": "last"}], "second.csv")
    world.drain()
    first, second = world.file("first.csv"), world.file("second.csv")
    assert (second["state"], second["accepted"], second["rejected"]) == ("published", 1, 5)
    assert [(one["line"], one["rules"], one["reasons"]) for one in rejects(world, second["file_id"])] == [
        ("7", "reference", "line 7 of that file was not rejected"),
        ("38", "reference", f"line 38 came in corrected with file {first['file_id']}"),
        ("39", "reference", "line 39 stands in this file 2 times"),
        ("39", "reference", "line 39 stands in this file 2 times"),
        ("0", "reference", "the line is no number"),
    ]
    assert [one["_line"] for one in bronze(world, second["file_id"])] == [40]


@pytest.mark.parametrize("together", [True, False])
def test_of_two_fix_files_for_one_line_the_lower_seq_wins_however_they_are_found(world: World, together: bool) -> None:
    parent = parent_with_rejects(world)
    a, b = corrected(rejects(world, parent))
    for name, rows in (("1.csv", [a]), ("2.csv", [a | {"original": a["original"] + " "}, b])):
        put(world, rows, name)
        if not together:
            world.drain()
    world.drain()
    first, second = world.file("fixes/transactions/1.csv"), world.file("fixes/transactions/2.csv")
    assert (first["state"], first["accepted"]) == ("published", 1)
    assert (second["state"], second["accepted"], second["rejected"]) == ("published", 1, 1)
    (left,) = rejects(world, second["file_id"])
    assert left["reasons"] == f"line 40 came in corrected with file {first['file_id']}"
    assert counted(world) == 40


def test_a_fix_file_that_loses_its_only_line_is_quarantined_naming_the_one_that_won(world: World) -> None:
    (a, _) = corrected(rejects(world, parent_with_rejects(world)))
    put(world, [a], "1.csv")
    put(world, [a | {"reasons": "typed anew"}], "2.csv")
    world.drain()
    first, second = world.file("fixes/transactions/1.csv"), world.file("fixes/transactions/2.csv")
    assert (first["state"], second["state"], second["reason_code"]) == ("published", "quarantined", "nothing_fixed")
    assert f"line 40 came in corrected with file {first['file_id']}" in second["reason"]


def test_the_same_fix_file_put_twice_is_a_duplicate(world: World) -> None:
    fixed = corrected(rejects(world, parent_with_rejects(world)))
    put(world, fixed, "1.csv")
    put(world, fixed, "2.csv")
    world.drain()
    put(world, fixed, "3.csv")
    world.drain()
    assert world.states() == {"some.csv": "published", "1.csv": "published", "2.csv": "duplicate", "3.csv": "duplicate"}
    assert counted(world) == 40


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("file_id,line,original\n1,40,x\n2,40,x\n", "refer to 2 files (1, 2)"),
        ("file_id,line,original\n,40,x\n", "the file_id of 1 of its rows is no number"),
        ("file_id,line,original\n99,40,x\n", "refer to file 99, which transactions does not have"),
        ("file_id,line,text\n1,40,x\n", "its header lacks original"),
        ("file_id,line,original\n1,40\n", "the record that ends on line 2 has 2 fields, the header 3"),
        ('file_id,line,original\n1,40,"x\n', "cannot be read (unexpected end of data)"),
        ("file_id,line,original\n2,2,x\n", "file 2 is quarantined: single rows of it cannot come in; replay it whole"),
        ("file_id,line,original\n3,2,x\n", "no row of file 3 was rejected"),
    ],
)
def test_a_file_that_refers_to_no_one_file_with_rejected_rows_is_refused_with_the_reason(world: World, content: str, reason: str) -> None:
    assert parent_with_rejects(world) == 1
    world.land("bad.csv", HEADER + row(step="x"))
    world.drain()
    world.land("clean.csv", HEADER + row("Z"))
    world.drain()
    world.store.put(world.bucket, FIXES + "typo.csv", content.encode())
    world.drain()
    fix = world.file("typo.csv")
    assert (fix["state"], fix["reason_code"], fix["lines"]) == ("quarantined", "reference", None)
    assert reason in fix["reason"]


def test_corrections_are_found_by_a_scheduled_poll_and_replacements_are_no_corrections(world: World) -> None:
    fixed = corrected(rejects(world, parent_with_rejects(world)))
    put(world, fixed)
    world.store.put(world.bucket, FIXES + "dt=2026-11-01/replacement=1.ab/x.csv", b"anything")
    world.store.put(world.bucket, FIXES + "notes.txt", b"anything")
    world.ingest(full=False)
    assert world.states() == {"some.csv": "published", "rejects.csv": "published"}


def test_the_header_is_the_parents_wherever_its_bytes_are_by_then(world: World) -> None:
    columns = HEADER.strip().split(",")
    backwards = ",".join(reversed(columns)) + ",note\n"
    lines = [",".join(reversed(row(f"C{n}").strip().split(","))) + ",n\n" for n in range(20)]
    bad = ",".join(reversed(row("B").strip().split(","))).replace(",4.55,", ",x,") + ",seen\n"
    assert ",x," in bad
    key = world.land("turned.csv", backwards + "".join(lines) + bad)
    world.drain()
    parent = world.file("turned.csv")["file_id"]
    world.store.delete(world.bucket, key)
    (reject,) = rejects(world, parent)
    put(world, [reject | {"original": reject["original"].replace(",x,", ",7,")}])
    world.drain()
    (entered,) = bronze(world, world.file("rejects.csv")["file_id"])
    assert (entered["customer"], entered["amount_cents"], entered["additional_column"], entered["_line"]) == (
        "B",
        700,
        '{"note":"seen"}',
        22,
    )


def test_a_file_judged_before_headers_were_kept_lends_the_header_of_its_bytes(world: World) -> None:
    parent = parent_with_rejects(world)
    world.ledger.rows("update file set header = null returning 1")
    put(world, corrected(rejects(world, parent)))
    world.drain()
    assert world.file("rejects.csv")["accepted"] == 2


def test_of_a_race_that_passed_the_gate_the_second_is_judged_anew_and_nothing_behind_it_goes_first(world: World) -> None:
    (a, b, c) = corrected(rejects(world, parent_with_rejects(world, rejected=3)))
    run = world.run()
    put(world, [a], "1.csv")
    put(world, [a, b], "2.csv")
    put(world, [c], "3.csv")
    found = discover(world.ports, world.spec, run)
    assert found.token is not None
    for group in found.groups:
        gate(world.ports, world.spec, run, found.token, group.file_ids)
    processed = process(world.ports, world.spec, run, found.token, found.file_ids)
    assert (processed.accepted, processed.quarantined) == (1, 0)
    publish(world.ports, world.spec, run, found.token, processed)
    deliver(world.ports, world.spec, run)
    assert world.states() == {"some.csv": "published", "1.csv": "published", "2.csv": "registered", "3.csv": "registered"}
    world.drain()
    assert set(world.states().values()) == {"published"}
    assert counted(world) == 40
