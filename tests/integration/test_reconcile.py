"""Loss, duplication, truncation, flipped bytes in a history on real services: found by the next run, made good where that can be."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from include.domains import auditor_of
from include.errors import EnvironmentFailure, LedgerMixed
from include.pipeline.run import Progress, until_empty
from include.reconcile.checks import Checks
from include.reconcile.context import Scope
from include.reconcile.reconcile import Reconciled, reconcile
from tests.integration.snapshots import Begin
from tests.integration.world import HEADER, World, row

D1 = dt.date(2026, 11, 1)
D2 = dt.date(2026, 11, 2)
OTHER_DAY = "landing/transactions/dt=2026-11-02/"
ALL = Scope()
READ = Scope(verify=True)


def content(*rows: str) -> str:
    return HEADER + "".join(rows)


def check(world: World, scope: Scope = READ) -> Reconciled:
    return reconcile(world.ports, auditor_of(world.spec, world.ports), world.spec, world.run(), scope)


def found(reconciled: Reconciled) -> list[tuple[str, bool]]:
    """Differences only: code, and whether it was made good."""
    return [(one.code.value, one.repaired) for one in reconciled.findings if one.severity == "difference"]


def lived(world: World, batches: int) -> None:
    """Two dates: nine good files in so many batches, then a bad file, a duplicate, and one with rejected rows. Detections."""
    for n in range(1, 10):
        world.land(f"chunk_{n}.csv", content(*[row("C1", amount="4.50")] * n, row(f"C{n}", f"M{n}", gender="M", amount="0.07")))
    world.drain(max_files=-(-9 // batches))
    world.land(OTHER_DAY + "bad.csv", "step,customer\n1,'C1'\n")
    world.land(OTHER_DAY + "again.csv", content(*[row("C1", amount="4.50")], row("C1", "M1", gender="M", amount="0.07")))
    rejected = [row(amount="12.5x"), row("C1", gender="X", amount="12.50")]
    world.land(OTHER_DAY + "some.csv", content(*[row(f"R{n}") for n in range(18)], *rejected))
    world.drain()
    assert [file["state"] for file in world.files()[9:]] == ["duplicate", "quarantined", "published"]
    assert len(world.ledger.queries.list_batches("transactions")) == batches + 1
    assert world.keys("detections/")


def short(world: World) -> None:
    lived(world, 1)


def long(world: World) -> None:
    lived(world, 9)
    assert {part["level"] for part in world.ledger.rows("select level from state_object")} == {0, 1}


@pytest.fixture
def history(begin: Begin) -> Iterator[World]:
    """A short one: state is two objects."""
    with begin(World, short) as (world, _):
        yield world


@pytest.fixture
def long_history(begin: Begin) -> Iterator[World]:
    """One in which state was merged."""
    with begin(World, long) as (world, _):
        yield world


def on_disk(world: World, key: str) -> Path:
    """The file in which the embedded S3 server keeps an object."""
    return Path(os.environ["SLUICE_STATE"], "s3", "objects", world.bucket, key)


def lose(world: World, key: str) -> None:
    world.store.delete(world.bucket, key)


def flip(world: World, key: str) -> None:
    """One bit of one byte in the middle, behind the server's back: size and etag stay."""
    path = on_disk(world, key)
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(body)


def truncate(world: World, key: str) -> None:
    path = on_disk(world, key)
    os.truncate(path, path.stat().st_size // 2)


def of_file(world: World, name: str) -> dict[str, str]:
    """The objects of one file, by what they are."""
    file = world.file(name)
    folder = f"error/transactions/dt={file['date']}/{name}.{file['file_id']}/"
    return {
        "landing": file["key"],
        "original": file["location_key"] or file["key"],
        "bronze": file["bronze"][0]["key"] if file["bronze"] else "",
        "gate rejects": file["rejects"]["key"] if file["rejects"] else "",
        "report": folder + "report.json",
        "rejects": folder + "rejects.csv",
    }


def state_keys(world: World, level: int) -> list[str]:
    return [part["key"] for part in world.ledger.rows("select key from state_object where level = %s order by first_seq", (level,))]


def logical(world: World) -> dict[str, object]:
    """What must not change when things are made good: rows, state, detections."""
    from include.domains.transactions.queries import list_detections, state_as_of

    files = world.ledger.rows("select seq, state, sha256, lines, accepted, rejected, bronze_digest from file order by seq")
    return {
        "files": files,
        "detections": list_detections(world.ledger.session),
        "state": [state_as_of(world.ledger.session, world.store, world.bucket, "transactions", seq, None) for seq in (3, None)],
        "detection files": {key: world.store.read_bytes(world.bucket, key) for key in world.keys("detections/")},
    }


def test_a_clean_history_gives_no_findings_and_its_figures_are_on_record(history: World) -> None:
    clean = check(history)
    assert clean.findings == ()
    assert (clean.ok, clean.failures) == (True, 0)
    rows = Checks(history.ledger.session).newest_checks("transactions")
    figures = ["objects", "files", "accepted", "quarantined", "duplicate", "waiting", "lines", "lines_accepted", "rejected", "ok"]
    assert [row["date"] for row in rows] == [D1, D2]
    assert [[row[name] for name in figures] for row in rows] == [
        [9, 9, 9, 0, 0, 0, 54, 54, 0, True],
        [3, 3, 1, 1, 1, 0, 22, 20, 2, True],
    ]
    assert [(row["amount_in"], row["amount_out"], row["amount_rejected"]) for row in rows] == [
        (45 * 450 + 9 * 7, 45 * 450 + 9 * 7, 0),
        (18 * 455 + 1250, 18 * 455, 1250),
    ]
    assert check(history, ALL).findings == ()
    assert check(history, Scope(D1)).findings == ()
    kept = Checks(history.ledger.session).newest_checks("transactions")
    assert [row["amount_in"] for row in kept] == [45 * 450 + 9 * 7, 18 * 455 + 1250]
    assert history.ledger.queries.failures() == []


@pytest.mark.parametrize(("harm", "kind"), [(lose, "missing"), (flip, "differ"), (truncate, "differ")])
def test_what_sluice_made_is_made_again_when_it_is_lost_or_damaged(
    long_history: World, harm: Callable[[World, str], None], kind: str
) -> None:
    history = long_history
    before = logical(history)
    some = of_file(history, "some.csv")
    harmed = {
        some["gate rejects"]: "rejects",
        some["report"]: "report",
        some["rejects"]: "rejects",
        of_file(history, "bad.csv")["report"]: "report",
        of_file(history, "chunk_3.csv")["bronze"]: "bronze",
        state_keys(history, 0)[4]: "state",
        state_keys(history, 1)[0]: "state",
        history.keys("detections/")[0]: "detections",
    }
    for key in harmed:
        harm(history, key)
    first = check(history)
    differences = {one.where.removeprefix(f"s3://{history.bucket}/"): one for one in first.findings if one.severity == "difference"}
    assert differences.keys() == harmed.keys()
    for key, what in harmed.items():
        assert differences[key].code.startswith(f"{what}_{kind}")
        assert differences[key].repaired
    assert first.ok
    assert logical(history) == before
    second = check(history)
    assert (found(second), second.ok) == ([], True)


def test_a_loss_is_found_by_comparing_listings_alone(long_history: World) -> None:
    history = long_history
    for key in (of_file(history, "chunk_3.csv")["bronze"], state_keys(history, 0)[5], history.keys("detections/")[0]):
        lose(history, key)
    truncate(history, of_file(history, "some.csv")["rejects"])
    assert sorted(found(check(history, ALL))) == [
        ("bronze_missing", True),
        ("detections_missing", True),
        ("rejects_differ", True),
        ("state_missing", True),
    ]
    assert found(check(history, ALL)) == []


def test_an_original_that_is_lost_is_marked_with_when_it_was_last_seen_and_its_results_stay(history: World) -> None:
    before = logical(history)
    check(history)
    seen = Checks(history.ledger.session).newest_checks("transactions")[0]["checked_at"]
    lose(history, of_file(history, "chunk_4.csv")["landing"])
    lose(history, of_file(history, "bad.csv")["original"])
    first = check(history)
    assert found(first) == [("object_gone", False), ("object_gone", False)]
    assert (first.ok, first.failures) == (False, 2)
    assert seen.astimezone(dt.UTC).isoformat(timespec="seconds")[:19] in first.findings[0].what
    assert [history.file(name)["location"] for name in ("chunk_4.csv", "bad.csv")] == ["gone", "gone"]
    event = history.ledger.queries.file_story("chunk_4.csv")["events"][-1]
    assert (event["kind"], event["reason"][:4]) == ("relocated", "gone")
    assert logical(history) == before
    (failure,) = history.ledger.queries.failures()
    assert (failure["step"], failure["feed"]) == ("reconcile", "transactions")
    assert failure["what"].startswith("object_gone: s3://")
    assert failure["what"].endswith("(and 1 more differences)")
    rows = Checks(history.ledger.session).newest_checks("transactions")
    assert [(row["objects"], row["files"], row["findings"], row["ok"]) for row in rows] == [(8, 9, 1, False), (2, 3, 1, False)]
    second = check(history)
    assert (second.findings, second.ok) == ((), True)


@pytest.mark.parametrize("harm", [flip, truncate])
def test_a_damaged_original_is_named_until_the_right_bytes_are_back(history: World, harm: Callable[[World, str], None]) -> None:
    places = [of_file(history, name)["original"] for name in ("chunk_5.csv", "again.csv", "bad.csv")]
    right = [history.store.read_bytes(history.bucket, place) for place in places]
    for place in places:
        harm(history, place)
    for _ in range(2):
        assert found(check(history)) == [("bytes_differ", False)] * 3
    for place, body in zip(places, right, strict=True):
        lose(history, place)
        history.store.put(history.bucket, place, body)
    assert found(check(history)) == []


def test_bronze_that_is_lost_together_with_its_original_cannot_be_made_again(history: World) -> None:
    places = of_file(history, "chunk_6.csv")
    lose(history, places["landing"])
    lose(history, places["bronze"])
    first = check(history)
    assert found(first) == [("object_gone", False), ("bronze_missing", False)]
    assert "its original bytes are not there any more" in first.findings[1].what
    assert found(check(history)) == [("bronze_missing", False)]


def test_bytes_that_are_judged_differently_now_are_not_put_in_the_place_of_those_that_were_accepted(history: World) -> None:
    history.ledger.rows("update file set bronze_digest = repeat('0', 64) where seq = 7 returning 1")
    first = check(history)
    assert found(first) == [("bronze_differs", False)]
    assert "are judged differently now: 8 accepted and 0 rejected rows" in first.findings[0].what
    assert history.keys("bronze/transactions/dt=2026-11-01/file=7/") == [of_file(history, "chunk_7.csv")["bronze"]]


def test_an_unknown_object_is_registered_at_once_and_ingested_by_the_next_run(history: World) -> None:
    history.land("landing/transactions/dt=2020-01-01/old.csv", content(row("C0")))
    history.land("notes.txt", "anything")
    first = check(history, ALL)
    assert [(one.code.value, one.where.rsplit("/", 1)[-1]) for one in first.findings] == [
        ("not_a_file", "notes.txt"),
        ("unknown_object", "old.csv"),
    ]
    assert first.ok
    assert (history.file("old.csv")["seq"], history.file("old.csv")["state"]) == (13, "registered")
    history.drain()
    assert history.file("old.csv")["state"] == "published"
    assert [one.code.value for one in check(history).findings] == ["not_a_file"]


def test_a_date_alone_is_registered_and_read_where_a_date_is_given(history: World) -> None:
    history.land(OTHER_DAY + "late.csv", content(row("C8")))
    history.land("late.csv", content(row("C9")))
    flip(history, of_file(history, "chunk_5.csv")["bronze"])
    flip(history, of_file(history, "some.csv")["bronze"])
    second = check(history, Scope(D2))
    assert [(one.code.value, one.date) for one in second.findings if one.code != "unreferred"] == [
        ("unknown_object", D2),
        ("bronze_differs", D2),
    ]
    first = check(history, Scope(D1))
    assert [(one.code.value, one.date) for one in first.findings if one.code != "unreferred"] == [
        ("unknown_object", D1),
        ("bronze_differs", D1),
    ]
    assert found(check(history)) == []


def test_other_bytes_under_a_known_key_are_a_new_version_and_the_old_one_is_overwritten(history: World) -> None:
    history.land("chunk_2.csv", content(row("C2", "M7")))
    first = check(history, ALL)
    assert [one.code.value for one in first.findings] == ["overwritten"]
    versions = history.ledger.rows("select version, seq, location from file where key like '%%chunk_2.csv' order by version")
    assert [tuple(one.values()) for one in versions] == [(1, 2, "overwritten"), (2, 13, "landing")]
    history.drain()
    assert found(check(history)) == []


def test_a_refused_original_that_is_put_back_is_seen_again(history: World) -> None:
    file = history.file("bad.csv")
    body = history.store.read_bytes(history.bucket, file["location_key"])
    history.land(file["key"], body)
    assert [one.code.value for one in check(history).findings] == ["seen_again"]
    history.drain()
    assert check(history).findings == ()


def test_an_object_written_twice_is_a_duplicate_and_adds_up(history: World) -> None:
    body = history.store.read_bytes(history.bucket, of_file(history, "chunk_8.csv")["landing"])
    history.land("copy_of_8.csv", body)
    check(history)
    history.drain()
    assert history.file("copy_of_8.csv")["state"] == "duplicate"
    clean = check(history)
    assert (clean.findings, clean.daily_totals[0].duplicate, clean.daily_totals[0].objects) == ((), 1, 10)


def test_sums_that_do_not_add_up_are_named(history: World) -> None:
    wrong = {
        "update merchant_transaction_counts set total_transactions = total_transactions + %s where merchant_id = 'M1'": (
            "merchant_transaction_counts"
        ),
        "update file set accepted = accepted + %s, lines = lines + %s where seq = 3": "file ",
        "update batch set files = files + %s where batch = 2": "batch 2",
        "update detection_file set last_number = last_number + %s": "detection_file",
        "update state_object set covered = not covered where level = 0 and first_seq = abs(%s)": "state_object ",
        "update state_object set last_seq = last_seq + %s where level = 0 and first_seq = 12": "batch 2",
    }
    for statement, place in wrong.items():
        for by in (1, -1):
            history.ledger.rows(statement.replace("%s", str(by)) + " returning 1")
            now = check(history, ALL)
            named = [one.where for one in now.findings if one.code == "counts_differ"]
            assert any(where.startswith(place) for where in named) if by == 1 else named == []
            assert now.ok is (by == -1)


def test_work_that_does_not_follow_from_the_record_is_named(history: World) -> None:
    history.ledger.rows(
        """insert into work (feed, group_name, step, file_id, seq)
           select feed, feed, 'deliver', file_id, seq from file where seq = 1 returning 1"""
    )
    history.ledger.rows(
        "insert into work (feed, group_name, step, batch) values ('transactions', 'transactions', 'publish', 1) returning 1"
    )
    (first,) = history.ledger.rows("select file_id, state from file where seq = 1")
    named = {(one.where, one.what) for one in check(history, ALL).findings}
    assert named == {
        (f"file {first['file_id']}", f"is {first['state']}, and the next step on record for it is deliver"),
        ("batch 1", "is published, and the next step on record for it is publish"),
    }
    history.ledger.rows("delete from work returning 1")
    assert check(history, ALL).ok


def test_a_seq_that_was_given_and_no_file_has_is_refused_by_name(history: World) -> None:
    newest = max(file["seq"] for file in history.files())
    history.ledger.rows("update feed set last_seq = last_seq + 1 where feed = 'transactions' returning 1")
    with pytest.raises(LedgerMixed, match=f"no file has seq {newest + 1} of transactions, which was given to one"):
        check(history, ALL)
    history.ledger.rows("update feed set last_seq = last_seq - 1 where feed = 'transactions' returning 1")
    assert check(history, ALL).ok


def test_what_moved_from_one_merchant_to_another_is_found_by_reading_state(history: World) -> None:
    history.ledger.rows(
        """update merchant_transaction_counts set total_transactions = total_transactions + case merchant_id when 'M1' then -1 else 1 end
           where merchant_id in ('M1', 'M2') returning 1"""
    )
    assert check(history, ALL).findings == ()
    wrong = check(history)
    assert [(one.code.value, one.what) for one in wrong.findings] == [
        ("counts_differ", "2 merchants have another number of transactions than state holds")
    ]


def test_amounts_that_do_not_add_up_are_named(history: World) -> None:
    """Rejects that name another line: the counts agree, the amounts do not."""
    key = of_file(history, "some.csv")["gate rejects"]
    body = history.store.read_bytes(history.bucket, key).replace(b",21,", b",20,", 1).replace(b",20,", b",3,", 1)
    ref = history.store.put(history.bucket, key, body, rows=2)
    history.ledger.rows("update file set rejects = %s::jsonb where seq = 12 returning 1", (json.dumps(dataclasses.asdict(ref)),))
    wrong = check(history)
    assert "amounts_differ" in {one.code.value for one in wrong.findings}
    assert not wrong.ok


def test_what_nothing_refers_to_is_listed_and_deleted_only_on_request_and_after_its_time(history: World) -> None:
    left = [
        "bronze/transactions/dt=2026-11-01/file=1/attempt=1-dead/part-00000.parquet",
        "state/transactions/batch=00000001/attempt=99/partials.parquet",
        "state/transactions/compacted/level=1/seq=1-8.dead.parquet",
        "error/transactions/dt=2026-11-01/nobody.csv.999/report.json",
        "detections/transactions/dt=2026-11-01/detections_00000900-00000901.csv",
    ]
    others = ["data_docs/transactions/index.html", "fixes/transactions/dt=2026-11-01/replacement=1.ab/a.csv", "state/other_feed/x"]
    for key in left + others:
        history.store.put(history.bucket, key, b"left behind")
    before = set(history.keys(""))
    listed = check(history, ALL)
    assert sorted(one.where.removeprefix(f"s3://{history.bucket}/") for one in listed.findings) == sorted(left)
    assert {one.code.value for one in listed.findings} == {"unreferred"}
    assert listed.ok
    assert len(check(history, Scope(collect=True)).findings) == len(left)
    assert set(history.keys("")) == before
    collected = check(history, Scope(collect=True, grace_seconds=0))
    assert {one.code.value for one in collected.findings} == {"collected"}
    assert set(history.keys("")) == before - set(left)
    assert check(history).findings == ()


def test_what_a_run_at_work_may_yet_point_at_is_left_alone(history: World) -> None:
    history.land("chunk_20.csv", content(*[row("C20")] * 3))
    history.land("chunk_21.csv", content(*[row("C21")] * 3))

    class Dead(BaseException):
        """The process ends here."""

    def die(*_: object, **__: object) -> None:
        raise Dead

    class Stopping:
        request = history.ports.parts.publisher().request
        prepare = die

    parts = dataclasses.replace(history.ports.parts, publisher=Stopping)  # type: ignore[arg-type]
    stopped = dataclasses.replace(history.ports, parts=parts)
    with pytest.raises(Dead):
        until_empty(stopped, history.spec, history.run(), Progress())
    at_work = {key for key in history.keys("state/transactions/batch=") if "attempt=1/" in key and "batch=00000003" in key}
    assert at_work
    collected = check(history, Scope(collect=True, grace_seconds=0))
    assert [one for one in collected.findings if one.code == "collected"] == []
    assert at_work <= set(history.keys("state/"))
    history.drain()
    assert set(history.states().values()) == {"published", "duplicate", "quarantined"}
    check(history, Scope(collect=True, grace_seconds=0))
    assert check(history).findings == ()


def test_a_file_on_its_way_to_the_error_prefix_is_not_gone(history: World) -> None:
    """Killed between the deletion of the original and the word of it in the ledger: the outbox explains it."""
    key = history.land("bad2.csv", "nothing of ours")
    history.drain()
    history.ledger.rows("update file set location = 'landing', location_key = null, delivered_at = null where key = %s returning 1", (key,))
    assert found(check(history, ALL)) == []
    history.drain()
    assert history.file("bad2.csv")["location"] == "error"
    assert check(history).findings == ()


def test_it_is_safe_beside_runs_that_ingest(history: World) -> None:
    """Rounds of reconciliation, collecting without grace, while files come in: no false finding, nothing lost."""
    done = threading.Event()
    failed: list[BaseException] = []
    stack = ExitStack()
    other = World(history.where, stack)

    def ingest() -> None:
        try:
            for n in range(30, 42):
                other.land(f"chunk_{n}.csv", content(*[row(f"C{n}")] * 3) if n % 3 else "nothing of ours")
                until_empty(other.ports, other.spec, other.run(), Progress())
        except BaseException as error:  # noqa: BLE001 (told to the test)
            failed.append(error)
        finally:
            done.set()

    worker = threading.Thread(target=ingest)
    worker.start()
    rounds = 0
    while not done.is_set():
        beside = check(history, Scope(collect=True, grace_seconds=0))
        assert found(beside) == []
        rounds += 1
    worker.join()
    stack.close()
    assert failed == []
    assert rounds >= 1
    states = history.states()
    assert [states[f"chunk_{n}.csv"] for n in range(30, 42)] == [("published" if n % 3 else "quarantined") for n in range(30, 42)]
    assert found(check(history)) == []


def test_the_command_ends_with_1_where_a_difference_is_left_and_names_it(history: World) -> None:
    assert "bucket and ledger agree" in history.sluice("reconcile").stdout
    lose(history, of_file(history, "chunk_4.csv")["landing"])
    lose(history, of_file(history, "chunk_5.csv")["bronze"])
    failed = history.sluice("reconcile", "transactions", "--json", check=1)
    said = json.loads(failed.stdout)
    assert (said["ok"], said["failures"], said["counts"]) == (False, 1, {"bronze_missing": 1, "object_gone": 1})
    assert [(one["code"], one["repaired"]) for one in said["findings"]] == [("object_gone", False), ("bronze_missing", True)]
    assert [(day["date"], day["objects"], day["ok"]) for day in said["dates"]] == [("2026-11-01", 8, False), ("2026-11-02", 3, True)]
    again = history.sluice("reconcile", "--date", "2026-11-01")
    assert "2026-11-01" in again.stdout
    assert "2026-11-02" not in again.stdout
    for wrong in (("--all", "--date", "2026-11-01"), ("--date", "yesterday"), ("--grace", "5")):
        history.sluice("reconcile", *wrong, check=2)


def test_a_store_that_does_not_answer_ends_it_and_nothing_is_called_missing(history: World) -> None:
    down = history.sluice("reconcile", "transactions", check=3, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    assert "S3" in down.stderr
    assert history.ledger.rows("select * from reconciliation_finding") == []
    assert EnvironmentFailure.exit_code == 3
