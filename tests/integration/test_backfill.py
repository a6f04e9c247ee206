"""Past dates on real services: ingested in order, verified, evaluated once more in shadow and compared; what differs is named exactly."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.backfill.backfill import DateHeld, ingest_date, reprocess, verify_date
from include.backfill.comparison import Comparison, Kind, ReplayDiffers
from include.backfill.history import History
from include.domains import auditor_of
from include.domains.transactions.queries import newest_published_seq
from include.feed import FeedSpec, OnQuarantine
from include.files.outcome import Change
from include.pipeline.run import Progress, ingest_once, until_empty
from sluice.runtime import open_ports
from tests import naive
from tests.integration.snapshots import Begin
from tests.integration.world import HEADER, SMALL, World, row

DAYS = [dt.date(2026, 11, day) for day in (1, 2, 3, 4)]
Past = tuple[World, dict[str, list[naive.Row]]]
"""What was published, and the rows of its files by key."""


def folder(day: dt.date) -> str:
    return f"landing/transactions/dt={day.isoformat()}/"


def rows_of(seed: int, rows: int = 40) -> list[naive.Row]:
    dice = random.Random(seed)
    made = []
    for _ in range(rows):
        customer = dice.randrange(14)
        amount = Decimal(dice.choice((450, 1999, 2400, 5000))) / 100
        made.append(naive.Row(f"C{customer}", "F" if customer % 5 < 2 else "M", f"M{dice.randrange(3)}", amount))
    return made


def content(rows: Sequence[naive.Row], step: int = 0) -> str:
    return HEADER + "".join(row(one.customer, one.merchant, f"{one.amount:.2f}", one.gender, str(step)) for one in rows)


def land(world: World, files: Mapping[str, Sequence[naive.Row]]) -> None:
    """Each under its key; steps differ, so that no two files have the same bytes."""
    for step, (key, rows) in enumerate(files.items()):
        world.land(key, content(rows, step))


def two_files_a_day(days: Sequence[dt.date] = DAYS[:3]) -> dict[str, list[naive.Row]]:
    return {f"{folder(day)}chunk_{n}.csv": rows_of(10 * day.day + n) for day in days for n in (1, 2)}


def compare(world: World, first: dt.date, last: dt.date, spec: FeedSpec | None = None, **given: int) -> Comparison:
    return reprocess(world.ports, spec or world.spec, world.run(), first, last, given)


def ledger(world: World) -> list[Any]:
    """All that may not change."""
    tables = ("file", "file_event", "batch", "batch_attempt", "detection", "detection_file", "merchant_transaction_counts", "state_object")
    return [world.ledger.rows(f"select to_jsonb(t) as row from {table} t order by to_jsonb(t)::text") for table in tables]


@contextmanager
def nothing_changes(world: World) -> Iterator[None]:
    """The ledger's files and every object but certificates are the same afterwards."""

    def objects() -> dict[str, str]:
        return {stamp.key: stamp.etag for stamp in world.store.objects(world.bucket, "") if not stamp.key.startswith("certificates/")}

    before = ledger(world), objects()
    yield
    assert (ledger(world), objects()) == before


def expected_changes(
    files: Sequence[tuple[int, Sequence[naive.Row]]], then: Mapping[str, int], now: Mapping[str, int], since: int
) -> list[Change]:
    """What evaluating the files from `since` on by other thresholds changes, by the naive evaluation."""
    recorded = {(d.pattern_id, d.merchant, d.customer or ""): d.seq for d in naive.detections(files, [], naive.Parameters(**then))}
    known = {key for key, seq in recorded.items() if seq < since}
    found: dict[tuple[str, str, str], int] = {}
    history: list[naive.Row] = []
    for seq, rows in files:
        history += rows
        if seq >= since:
            for pattern, merchant, customer in naive.holding(history, rows, {}, naive.Parameters(**now)):
                if (pattern, merchant, customer or "") not in known:
                    found.setdefault((pattern, merchant, customer or ""), seq)
    keys = found.keys() | {key for key, seq in recorded.items() if seq >= since}
    changes = [Change(key, recorded.get(key), found.get(key)) for key in keys if recorded.get(key) != found.get(key)]
    return sorted(changes, key=lambda change: (min(seq for seq in (change.was, change.now) if seq is not None), change.key))


def test_dates_asked_for_together_are_registered_in_date_order_whichever_run_works_first(world: World) -> None:
    land(world, two_files_a_day(DAYS))
    for day in reversed(DAYS[:3]):
        History(world.ledger.session).request_date(world.spec, world.run(), day)
    for day in (DAYS[1], DAYS[2], DAYS[0]):
        files = ingest_date(world.ports, world.spec, world.run(), day, Progress())
        assert [kept.file.date for kept in files] == [day, day]
    assert [(file["seq"], file["key"]) for file in world.files()] == [
        (seq, f"{folder(day)}chunk_{n}.csv") for seq, (day, n) in enumerate(((d, n) for d in DAYS[:3] for n in (1, 2)), start=1)
    ]
    assert {file["state"] for file in world.files()} == {"published"}
    assert History(world.ledger.session).requested_dates(world.spec) == []


def test_the_files_of_a_date_are_found_at_any_depth_and_by_their_last_modification(world: World) -> None:
    today = world.ports.clock().date()
    for name in (
        f"west/dt={today}/a.csv",
        f"dt={today}/deep/dt=2020-01-01/b.csv",
        "undated.csv",
        "dt=2020-01-01/c.csv",
        "x/dt=2020-01-01/d.csv",
    ):
        world.land(f"landing/transactions/{name}", content(rows_of(len(name), 5)))
    ingest_date(world.ports, world.spec, world.run(), today, Progress())
    assert sorted(world.states()) == ["a.csv", "b.csv", "undated.csv"]
    ingest_date(world.ports, world.spec, world.run(), dt.date(2020, 1, 1), Progress())
    assert sorted(world.states()) == ["a.csv", "b.csv", "c.csv", "d.csv", "undated.csv"]


def test_a_date_that_is_ingested_is_left_alone_and_one_without_files_says_so(world: World) -> None:
    land(world, two_files_a_day())
    world.drain()
    with nothing_changes(world):
        files = ingest_date(world.ports, world.spec, world.run(), DAYS[1], Progress())
        said = verify_date(world.ports, auditor_of(world.spec, world.ports), world.spec, world.run(), DAYS[1])
        assert ingest_date(world.ports, world.spec, world.run(), DAYS[3], Progress()) == []
        nothing = verify_date(world.ports, auditor_of(world.spec, world.ports), world.spec, world.run(), DAYS[3])
    assert [kept.file.seq for kept in files] == [3, 4]
    assert said == "transactions dt=2026-11-02: 2 files (2 published); 80 lines = 80 accepted + 0 rejected"
    assert nothing == "transactions dt=2026-11-04: no files, nothing to do"


def test_files_that_may_not_go_on_are_said_to_be_held(world: World) -> None:
    holding = dataclasses.replace(world.spec, on_quarantine=OnQuarantine.HOLD)
    world.land(folder(DAYS[0]) + "a.csv", "no header of ours\n")
    world.land(folder(DAYS[0]) + "b.csv", content(rows_of(1, 5)))
    with pytest.raises(DateHeld, match=r"1 files wait and may not go on, the first is seq 2 landing/transactions/dt=2026-11-01/b\.csv"):
        ingest_date(world.ports, holding, world.run(), DAYS[0], Progress())


def test_backfills_and_ingest_at_once_publish_everything_once(world: World) -> None:
    files = two_files_a_day(DAYS)
    land(world, files)
    failed: list[BaseException] = []

    def at_once(work: Any) -> None:
        try:
            with open_ports(world.where, world.spec, world.said.append) as ports:
                work(ports)
        except BaseException as error:  # noqa: BLE001 (told below)
            failed.append(error)

    works = [lambda ports, day=day: ingest_date(ports, world.spec, world.run(), day, Progress()) for day in (*DAYS, *DAYS)]
    works.append(lambda ports: until_empty(ports, world.spec, world.run(), Progress()))
    for day in DAYS:
        History(world.ledger.session).request_date(world.spec, world.run(), day)
    threads = [threading.Thread(target=at_once, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [file["key"] for file in world.files()] == list(files)
    assert {file["state"] for file in world.files()} == {"published"}
    expected = naive.detections(list(enumerate(files.values(), start=1)), [], naive.Parameters(**SMALL))
    assert world.detected() == [(d.seq, d.pattern_id, d.customer, d.merchant) for d in expected]


@pytest.fixture
def past(begin: Begin) -> Iterator[Past]:
    """Two files a day of three days in batches of two, which straddle the days; a refused and a repeated file among them."""
    with begin(World, live_through) as lived:
        yield lived


def live_through(world: World) -> dict[str, list[naive.Row]]:
    files = two_files_a_day()
    world.land(folder(DAYS[0]) + "chunk_0.csv", content(rows_of(1, 8)) + row(amount="x") * 2)  # 20 % rejected
    land(world, files)
    world.land(folder(DAYS[1]) + "chunk_3.csv", content(files[folder(DAYS[0]) + "chunk_1.csv"], 0))
    world.drain(max_files=2)
    return files


def in_seq_order(world: World, published: Mapping[str, list[naive.Row]]) -> list[tuple[int, list[naive.Row]]]:
    return [(file["seq"], published[file["key"]]) for file in world.files() if file["state"] == "published"]


def test_what_is_evaluated_once_more_is_equal_and_leaves_nothing_but_its_certificates(past: Past) -> None:
    world, _ = past
    with nothing_changes(world):
        compared = compare(world, DAYS[0], DAYS[2])
    assert {file["state"] for file in world.files()} == {"published", "quarantined", "duplicate"}
    assert [(file.kept.file.seq, file.kind) for file in compared.files] == [
        (file["seq"], Kind.LEFT_ALONE if file["state"] == "duplicate" else Kind.EQUAL) for file in world.files()
    ]
    for file in compared.files:
        if file.kept.file.state == "published":
            assert file.bronze.same
            assert file.bronze.now is not None
            assert file.state.same
            assert file.state.now is not None
            assert file.findings.same
    assert sum(sum(file.found.values()) for file in compared.files) == len(world.detected()) > 3
    assert compared.changes == ()
    rows = world.ledger.rows("select * from backfill_certificate order by date")
    assert [(one["date"], one["verdict"], one["different"], one["overrides"]) for one in rows] == [
        (day, "equal", 0, {}) for day in DAYS[:3]
    ]
    assert sorted(world.keys("certificates/")) == sorted(one["key"] + ending for one in rows for ending in (".json", ".md"))
    said = json.loads(world.store.read_bytes(world.bucket, rows[1]["key"] + ".json"))
    assert [file["verdict"] for file in said["files"]] == [
        one["verdict"]
        for one in world.ledger.rows("select verdict from backfill_certificate_file where date = %s order by seq", (DAYS[1],))
    ]
    assert any(file["date"] != DAYS[1].isoformat() for file in said["files"]), "a batch is compared whole"
    assert not any("C1" in line or "M1" in line for line in world.said), "values of rows are shown"


def test_a_repeated_comparison_of_the_same_run_replaces_its_certificate(past: Past) -> None:
    world, _ = past
    run = world.run()
    for _ in range(2):
        reprocess(world.ports, world.spec, run, DAYS[0], DAYS[0], {})
    assert world.ledger.row("select count(*) as n from backfill_certificate") == {"n": 1}
    assert len(world.keys("certificates/")) == 2


@pytest.mark.parametrize("given", [{"min_count": 5}, {"max_avg_cents": 3500, "min_count": 2}, {"min_female": 0}, {"min_female": 9}])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_other_thresholds_name_exactly_the_findings_that_they_would_change_and_publish_nothing(
    past: Past, given: dict[str, int], first: int
) -> None:
    world, published = past
    files = in_seq_order(world, published)
    with nothing_changes(world):
        compared = compare(world, DAYS[first], DAYS[2], **given)
    since = min(file.kept.file.seq for file in compared.files if file.batch)
    expected = expected_changes(files, SMALL, SMALL | given, since)
    assert list(compared.changes) == expected
    seqs = {seq for change in expected for seq in (change.was, change.now)}
    assert {file.kept.file.seq for file in compared.files if file.kind is Kind.CHANGED} == seqs - {None}
    assert compared.count(Kind.DIFFERENT) == 0
    assert {one["verdict"] for one in world.ledger.rows("select verdict from backfill_certificate")} <= {"changed", "equal"}
    assert world.ledger.row("select overrides from backfill_certificate limit 1") == {"overrides": given}


def test_a_changed_rule_names_the_first_row_and_every_finding_that_it_would_change(past: Past) -> None:
    world, published = past
    columns = tuple(
        dataclasses.replace(column, matches=r"[0-9]{1,9}\.(50|99|00)") if column.name == "amount" else column
        for column in world.spec.contract.columns
    )
    stricter = dataclasses.replace(world.spec, contract=dataclasses.replace(world.spec.contract, columns=columns, tolerance=Fraction(1, 1)))
    odd = folder(DAYS[3]) + "odd.csv"
    rows = [*rows_of(77, 6), naive.Row("C3", "M", "M1", Decimal("4.51")), *rows_of(78, 6)]
    world.land(odd, content(rows, 9))
    world.drain()
    with nothing_changes(world), pytest.raises(ReplayDiffers) as raised:
        compare(world, DAYS[3], DAYS[3], stricter)
    (file,) = raised.value.comparison.files
    assert file.difference is not None
    assert file.difference.where.startswith("bronze row 7 (line 8): column ")
    assert f"contract digest {world.spec.contract.digest} then, {stricter.contract.digest} now" in str(raised.value)
    without = [one for one in rows if one.amount != Decimal("4.51")]
    before = in_seq_order(world, {**published, odd: rows})
    after = [*before[:-1], (before[-1][0], without)]
    then, now = (naive.detections(files, [], naive.Parameters(**SMALL)) for files in (before, after))
    differing = {(d.pattern_id, d.merchant, d.customer or "") for d in set(then) ^ set(now)}
    assert {change.key for change in raised.value.comparison.changes} == differing


def test_a_looser_rule_names_the_refused_file_that_it_would_accept_and_what_would_be_found_then(past: Past) -> None:
    world, published = past
    looser = dataclasses.replace(world.spec, contract=dataclasses.replace(world.spec.contract, tolerance=Fraction(1, 2)))
    with nothing_changes(world), pytest.raises(ReplayDiffers, match="would be accepted now with 8 rows") as raised:
        compare(world, DAYS[0], DAYS[2], looser)
    refused = next(file["seq"] for file in world.files() if file["state"] == "quarantined")
    different = [file.kept.file.seq for file in raised.value.comparison.files if file.kind is Kind.DIFFERENT]
    before = in_seq_order(world, published)
    after = [(refused, rows_of(1, 8)), *before]
    then, now = (naive.detections(files, [], naive.Parameters(**SMALL)) for files in (before, after))
    was, is_now = ({(d.pattern_id, d.merchant, d.customer or ""): d.seq for d in found} for found in (then, now))
    expected = {Change(key, was.get(key), is_now.get(key)) for key in was.keys() | is_now.keys() if was.get(key) != is_now.get(key)}
    assert set(raised.value.comparison.changes) == expected
    assert set(different) == {refused} | {seq for change in expected for seq in (change.was, change.now)} - {None}


def rewrite(world: World, key: str, column: str, at: int, value: object) -> None:
    """One value of a Parquet object is another now."""
    table = pq.read_table(pa.BufferReader(world.store.read_bytes(world.bucket, key)))
    values = table[column].to_pylist()
    values[at] = value
    place = table.column_names.index(column)
    changed = table.set_column(place, column, pa.array(values, table.schema.field(column).type))
    body = io.BytesIO()
    pq.write_table(changed, body, store_schema=False)
    world.store.put(world.bucket, key, body.getvalue())


def test_a_tampered_bronze_row_is_the_first_that_differs(past: Past) -> None:
    world, _ = past
    file = world.file(folder(DAYS[1]) + "chunk_1.csv")
    rewrite(world, file["bronze"][0]["key"], "amount_cents", 4, 1)
    with nothing_changes(world), pytest.raises(ReplayDiffers) as raised:
        compare(world, DAYS[0], DAYS[2])
    first = raised.value.comparison.first_difference
    assert first is not None
    assert first[0].kept.file.file_id == file["file_id"]
    assert first[1].where == "bronze row 5 (line 6): column amount_cents"
    assert first[1].values["amount_cents recorded"] == 1
    assert raised.value.comparison.count(Kind.DIFFERENT) == 1
    certificate = world.ledger.row("select * from backfill_certificate where date = %s", (DAYS[1],))
    assert certificate is not None
    assert (certificate["verdict"], certificate["first_difference"]) == (
        "different",
        f"seq {file['seq']}: bronze row 5 (line 6): column amount_cents",
    )


def test_a_tampered_row_of_state_is_the_first_that_differs_and_does_not_hide_in_later_files(past: Past) -> None:
    world, _ = past
    (manifest,) = (row["manifest"] for row in world.ledger.rows("select manifest from batch order by batch limit 1"))
    rewrite(world, manifest["objects"]["partials"]["key"], "cents", 2, 12345)
    with pytest.raises(ReplayDiffers, match=r"partial aggregate [0-9]+: column cents") as raised:
        compare(world, DAYS[0], DAYS[2])
    assert raised.value.comparison.count(Kind.DIFFERENT) == 1


def tamper_with_a_detection(world: World) -> dict[str, Any]:
    """Another customer in the first detection of one; how it was."""
    (detection,) = world.ledger.rows("select * from detection where customer_name is not null order by number limit 1")
    with world.ledger.transaction() as cursor:
        cursor.execute("alter table detection disable trigger detection_immutable")
        cursor.execute("update detection set customer_name = 'C999' where number = %s", (detection["number"],))
        cursor.execute("alter table detection enable trigger detection_immutable")
    return detection


def test_a_tampered_detection_is_named_by_its_number(past: Past) -> None:
    world, _ = past
    detection = tamper_with_a_detection(world)
    with nothing_changes(world), pytest.raises(ReplayDiffers) as raised:
        compare(world, DAYS[0], DAYS[2])
    name = (detection["pattern_id"], detection["merchant_id"])
    assert set(raised.value.comparison.changes) == {
        Change((*name, "C999"), detection["seq"], None),
        Change((*name, detection["customer_name"]), None, detection["seq"]),
    }
    said = [file.difference.where for file in raised.value.comparison.files if file.difference]
    assert len(said) == 1
    assert f"seq {detection['seq']}" in said[0]


def test_a_file_whose_bytes_are_gone_is_compared_on_its_recorded_rows(past: Past) -> None:
    world, _ = past
    key = folder(DAYS[1]) + "chunk_1.csv"
    world.store.delete(world.bucket, key)
    compared = compare(world, DAYS[1], DAYS[1])
    (file,) = [file for file in compared.files if file.kept.file.key == key]
    assert (file.kind, file.note) == (Kind.EQUAL, "its bytes are gone: the recorded bronze was taken")


def test_a_comparison_beside_a_live_ingest_disturbs_neither(past: Past) -> None:
    world, _ = past
    for n in range(4):
        world.land(f"{folder(DAYS[3])}live_{n}.csv", content(rows_of(90 + n), 50 + n))
    failed: list[BaseException] = []

    def live() -> None:
        try:
            with open_ports(world.where, world.spec, world.said.append) as ports:
                while newest_published_seq(ports.ledger.session, "transactions") < 12:  # type: ignore[attr-defined]
                    ingest_once(ports, world.spec, world.run(max_files=1), Progress())
        except BaseException as error:  # noqa: BLE001 (told below)
            failed.append(error)

    thread = threading.Thread(target=live)
    thread.start()
    compared = compare(world, DAYS[0], DAYS[2])
    thread.join()
    assert failed == []
    assert compared.kind is Kind.EQUAL
    assert {file["state"] for file in world.files() if "live" in file["key"]} == {"published"}


def test_the_command_ingests_verifies_and_compares(world: World) -> None:
    files = two_files_a_day()
    land(world, files)
    first = world.sluice("backfill", "transactions", "--from", "2026-11-01", "--to", "2026-11-04")
    assert first.stdout.splitlines() == [
        *(f"transactions dt={day}: 2 files (2 published); 80 lines = 80 accepted + 0 rejected" for day in DAYS[:3]),
        "transactions dt=2026-11-04: no files, nothing to do",
    ]
    assert [file["key"] for file in world.files()] == list(files)
    again = world.sluice("backfill", "transactions", "--from", "2026-11-01", "--to", "2026-11-03", "--reprocess", "--json")
    said = json.loads(again.stdout)
    assert (said["verdict"], [file["verdict"] for file in said["files"]]) == ("equal", ["equal"] * 6)
    other = world.sluice("backfill", "transactions", "--from", "2026-11-01", "--to", "2026-11-03", "--reprocess", "--min-count", "3")
    assert "findings would be added" in other.stdout
    assert world.ledger.row("select count(*) as n from backfill_certificate") == {"n": 6}
    misused = world.sluice("backfill", "transactions", "--from", "2026-11-01", "--to", "2026-11-01", "--min-count", "3", check=2)
    assert "give reprocess too" in misused.stderr


def test_the_command_ends_with_1_and_names_what_differs(past: Past) -> None:
    world, _ = past
    tamper_with_a_detection(world)
    ended = world.sluice("backfill", "transactions", "--from", "2026-11-01", "--to", "2026-11-03", "--reprocess", check=1)
    assert "1 of 8 files are not as they were published; the first is seq " in ended.stderr
    assert (
        "transactions: 6 equal, 1 different, 1 left alone; 1 findings would be added and 1 taken away; nothing was published"
        in ended.stdout
    )
