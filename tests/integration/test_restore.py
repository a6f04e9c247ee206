"""Backups of the ledger, and a ledger that is behind its bucket."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from include.domains.transactions.queries import list_detections, state_as_of
from include.errors import LedgerBehind
from include.files import keys
from include.files.journal import Position
from include.pipeline.deliver import deliver
from include.pipeline.journal import newest, write_journal
from include.replay.replay import discard, replay
from sluice.ledger import backup
from sluice.runtime import now
from tests.integration.world import HEADER, World, row

_LEDGER = {
    "files": "select to_jsonb(f) - 'delivered_at' as row from file f order by seq",
    "events": """select to_jsonb(e) - 'event_id' - 'at' - 'run_id' as row from file_event e
                 where kind <> 'relocated' order by file_id, event_id""",
    "batches": "select to_jsonb(b) - 'delivered_at' as row from batch b order by batch",
    "attempts": "select to_jsonb(a) as row from batch_attempt a order by batch, attempt",
    "detections": "select to_jsonb(d) as row from detection d order by number",
    "detection files": "select to_jsonb(d) - 'written_at' as row from detection_file d order by first_number",
    "counters": "select to_jsonb(c) as row from merchant_transaction_counts c order by merchant_id",
    "references": "select to_jsonb(r) as row from reference r order by version",
}


def restore(world: World, file: Path) -> str:
    """Restore a backup; the sessions of before belong to the ledger of before."""
    said = world.sluice("restore", str(file), "--yes").stdout
    world.ledger.close()
    return said


def remembered(world: World) -> dict[str, Any]:
    """Everything that the ledger says, apart from when it was delivered; and the state."""
    said = {name: [found["row"] for found in world.ledger.rows(query)] for name, query in _LEDGER.items()}
    return said | {"state": state_as_of(world.ledger.session, world.store, world.bucket, "transactions", None, None)}


def outside(world: World) -> list[str]:
    """The objects that others read."""
    return sorted(key for folder in ("detections/", "error/", "landing/") for key in world.keys(folder))


def corrected(world: World, name: str, line: str) -> None:
    """Put the rejected row of a file below fixes/, corrected."""
    rejects = world.store.read_bytes(world.bucket, world.file(name)["rejects"]["key"]).decode()
    header, first = rejects.splitlines()[:2]
    file_id, number = first.split(",")[:2]
    world.store.put(world.bucket, f"{keys.fixes('transactions')}{name}", f'{header}\n{file_id},{number},,,,"{line.strip()}"\n'.encode())


def first_half(world: World) -> None:
    world.land("a.csv", HEADER + row("C1") * 2 + row("C2"))
    world.land("bad.csv", "nothing\n1\n")
    world.ingest()


def second_half(world: World) -> None:
    world.land("b.csv", HEADER + row("C1") + row("C3", gender="M") + row("C4", amount="-1") + row("C5") * 9)
    world.ingest()
    world.land("again.csv", HEADER + row("C1") * 2 + row("C2"))
    world.land("worse.csv", "nothing\n1\n2\n")
    world.ingest()
    world.land("c.csv", HEADER + row("C3", "M2") * 3 + row("C6", "M2") * 3)
    world.ingest()


def test_a_restored_ledger_catches_up_to_what_was_delivered_and_doubles_nothing(world: World, tmp_path: Path) -> None:
    first_half(world)
    assert "bytes" in world.sluice("backup", str(tmp_path / "ledger.dump")).stdout
    second_half(world)
    before, objects = remembered(world), outside(world)
    assert [detection["customer_name"] for detection in before["detections"]] == ["C1", "C5", "C3", "C6"]
    assert [file["state"] for file in before["files"]] == ["published", "quarantined", "published", "duplicate", "quarantined", "published"]

    assert "sluice reconcile transactions" in restore(world, tmp_path / "ledger.dump")
    assert len(world.files()) == 2
    refused = world.sluice("ingest", "transactions", check=1)
    assert "delivered results up to seq 6, and this ledger knows seq 2" in refused.stderr
    assert len(world.files()) == 2

    world.sluice("reconcile", "transactions")
    assert [file["state"] for file in remembered(world)["files"]] == [file["state"] for file in before["files"]]
    world.drain()
    assert remembered(world) == before
    assert outside(world) == objects
    assert world.ledger.files.waiting(world.spec).nothing

    world.land("d.csv", HEADER + row("C7") * 3)
    world.drain()
    assert world.states()["d.csv"] == "published"
    assert [(d["number"], d["customer_name"]) for d in list_detections(world.ledger.session)][-1] == (5, "C7")
    assert json.loads(world.sluice("reconcile", "transactions", "--verify", "--json").stdout)["ok"]


def test_a_restored_ledger_catches_up_although_names_hold_other_bytes_by_now(world: World, tmp_path: Path) -> None:
    first_half(world)
    world.sluice("backup", str(tmp_path / "ledger.dump"))
    world.land("bad.csv", HEADER + row("C1") * 3)
    world.land("a.csv", HEADER + row("C9"))
    world.ingest()
    world.land("bad.csv", "nothing\n2\n")
    world.ingest()
    before, objects = remembered(world), outside(world)
    latest = [(file["state"], file["version"], file["latest"]) for file in before["files"]]
    assert latest == [
        ("published", 1, False),
        ("quarantined", 1, False),
        ("quarantined", 2, True),
        ("published", 2, False),
        ("quarantined", 3, True),
    ]

    restore(world, tmp_path / "ledger.dump")
    world.sluice("reconcile", "transactions")
    world.drain()
    assert remembered(world) == before
    assert outside(world) == objects


@pytest.mark.parametrize("kept_before", ["everything", "nothing"])
def test_a_restored_ledger_knows_what_people_did_since(world: World, tmp_path: Path, kept_before: str) -> None:
    """A replay that was accepted, one that was refused, one that waits, a file given up, rows corrected: each is a person's word."""
    for name in ("replaced", "still-bad", "waits", "given-up"):
        world.land(f"{name}.csv", f"{name}\n1\n")
    world.land("rows.csv", HEADER + row("C1") * 19 + row("C2", amount="x"))
    if kept_before == "everything":
        world.drain()
    world.sluice("backup", str(tmp_path / "ledger.dump"))
    world.drain()

    (tmp_path / "good.csv").write_text(HEADER + row("C3"))
    ids = {name.removesuffix(".csv"): world.file(name)["file_id"] for name in world.states()}
    replay(world.ports, world.spec, world.run(), ids["replaced"], "ann", "the bank sent it again", str(tmp_path / "good.csv"))
    replay(world.ports, world.spec, world.run(), ids["still-bad"], "bob", "perhaps now")
    corrected(world, "rows.csv", row("C2"))
    world.drain()
    discard(world.ports, world.spec, world.run(), ids["given-up"], "eve", "the bank says: a trial")
    waits = replay(world.ports, world.spec, world.run(), ids["waits"], "cyd", "and this one")
    before, objects = remembered(world), outside(world)
    acted = [(event["kind"], event["actor"]) for event in before["events"] if event["actor"] or event["kind"] in {"fix", "replay"}]
    assert sorted(set(acted), key=str) == [
        ("fix", None), ("move", "ann"), ("move", "bob"), ("move", "cyd"), ("move", "eve"),
        ("replay", "ann"), ("replay", "bob"), ("replay", "cyd"), ("replay", None),
    ]  # fmt: skip

    restore(world, tmp_path / "ledger.dump")
    with pytest.raises(LedgerBehind):
        discard(world.ports, world.spec, world.run(), ids["given-up"], "eve", "too early")
    with pytest.raises(LedgerBehind):
        replay(world.ports, world.spec, world.run(), ids["waits"], "cyd", "too early")
    world.sluice("reconcile", "transactions")
    deliver(world.ports, world.spec, world.run())
    assert remembered(world) == before
    assert outside(world) == objects
    assert world.file(str(ids["waits"]))["state"] == "replaying"
    world.drain()
    assert world.file(str(waits.file_id))["state"] == "quarantined"
    assert world.file(str(ids["waits"]))["state"] == "quarantined"
    assert json.loads(world.sluice("reconcile", "transactions", "--verify", "--json").stdout)["ok"]


def test_a_restored_ledger_finds_what_was_moved_away_before_its_key_was_overwritten(world: World, tmp_path: Path) -> None:
    world.spec = dataclasses.replace(world.spec, archive=True)
    world.sluice("backup", str(tmp_path / "ledger.dump"))
    world.land("a.csv", HEADER + row("C1"))
    world.land("bad.csv", "nothing\n1\n")
    world.ingest()
    world.land("a.csv", HEADER + row("C9"))
    world.land("bad.csv", "nothing\n2\n")
    world.ingest()
    before = remembered(world)
    places = [(file["version"], file["state"], file["location"]) for file in before["files"]]
    assert places == [(1, "published", "archive"), (1, "quarantined", "error"), (2, "quarantined", "error"), (2, "quarantined", "error")]
    objects = {key: world.store.read_bytes(world.bucket, key) for folder in ("archive/", "error/") for key in world.keys(folder)}

    restore(world, tmp_path / "ledger.dump")
    world.sluice("reconcile", "transactions")
    world.drain()
    assert remembered(world) == before
    world.sluice("reconcile", "transactions", "--collect", "--grace", "0")
    assert {key: world.store.read_bytes(world.bucket, key) for folder in ("archive/", "error/") for key in world.keys(folder)} == objects


def test_a_ledger_that_is_lost_altogether_is_put_back_from_the_bucket(world: World) -> None:
    first_half(world)
    second_half(world)
    before, objects = remembered(world), outside(world)
    schema = world.ledger.rows("select current_schema() as name")[0]["name"]
    with world.ledger.transaction() as cursor:
        cursor.execute(f"drop schema {schema} cascade; drop schema sales, finance cascade")
        cursor.execute(f"create schema {schema}")
    assert "0001_ledger.sql" in world.sluice("migrate").stdout
    world.sluice("reconcile", "transactions")
    world.drain()
    assert remembered(world) == before
    assert outside(world) == objects


def test_what_was_published_and_never_delivered_is_simply_ingested_again(world: World, tmp_path: Path) -> None:
    first_half(world)
    world.sluice("backup", str(tmp_path / "ledger.dump"))
    world.land("b.csv", HEADER + row("C1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("include.pipeline.run.deliver", lambda *_: pytest.fail("killed before deliver"))
        with pytest.raises(pytest.fail.Exception):
            world.ingest()
    assert world.states()["b.csv"] == "published"
    restore(world, tmp_path / "ledger.dump")
    world.drain()
    assert world.states()["b.csv"] == "published"
    assert [d["customer_name"] for d in list_detections(world.ledger.session)] == ["C1"]


def test_a_hole_in_the_journal_is_told_and_nothing_is_ingested(world: World, tmp_path: Path) -> None:
    first_half(world)
    world.sluice("backup", str(tmp_path / "ledger.dump"))
    second_half(world)
    entries = sorted(key for key in world.keys(keys.journal("transactions")) if key != keys.journal_newest("transactions"))
    world.store.delete(world.bucket, entries[1])
    restore(world, tmp_path / "ledger.dump")
    assert "the journal has a hole: batch 3 made state 3, the ledger is at 1" in world.sluice("reconcile", check=1).stderr
    assert "Nothing was ingested" in world.sluice("ingest", "transactions", check=1).stderr


def test_what_is_no_backup_is_refused_and_the_ledger_stays(world: World, tmp_path: Path) -> None:
    first_half(world)
    (tmp_path / "text.dump").write_text("hello")
    assert "is no backup" in world.sluice("restore", str(tmp_path / "text.dump"), "--yes", check=2).stderr
    assert "there is no file" in world.sluice("restore", str(tmp_path / "none.dump"), "--yes", check=2).stderr
    world.sluice("backup", str(tmp_path / "ledger.dump"))
    assert "is there already" in world.sluice("backup", str(tmp_path / "ledger.dump"), check=2).stderr
    (tmp_path / "cut.dump").write_bytes((tmp_path / "ledger.dump").read_bytes()[:-1000])
    assert "pg_restore failed" in world.sluice("restore", str(tmp_path / "cut.dump"), "--yes", check=1).stderr
    assert world.states() == {"a.csv": "published", "bad.csv": "quarantined"}


def test_a_restore_that_fails_half_way_leaves_the_ledger_as_it_was(world: World, tmp_path: Path) -> None:
    first_half(world)
    elsewhere = f"elsewhere_{world.bucket.replace('-', '_')}"
    with world.ledger.transaction() as cursor:
        cursor.execute(f"create schema {elsewhere}")
        cursor.execute(f"create table {elsewhere}.note (text text)")
        cursor.execute(f"create view zz_notes as select * from {elsewhere}.note")
    world.sluice("backup", str(tmp_path / "ledger.dump"))
    with world.ledger.transaction() as cursor:
        cursor.execute(f"drop schema {elsewhere} cascade")
    assert "pg_restore failed" in world.sluice("restore", str(tmp_path / "ledger.dump"), "--yes", check=1).stderr
    assert world.states() == {"a.csv": "published", "bad.csv": "quarantined"}
    assert not world.ledger.rows("select from pg_namespace where nspname like current_schema() || '_before_%%'")


def test_two_restores_at_one_instant_keep_both_ledgers_of_before(world: World, tmp_path: Path) -> None:
    first_half(world)
    world.sluice("backup", str(tmp_path / "ledger.dump"))
    at, kept = now(), []
    for _ in range(3):
        world.ledger.close()
        done = backup.restore(world.where.ledger, tmp_path / "ledger.dump", world.bucket, at)
        own = done.schemas[0]
        assert [
            name.removeprefix(f"{schema}_before_{at:%Y%m%d_%H%M%S}") for schema, name in zip(done.schemas, done.kept_as, strict=True)
        ] == ["" if not kept else f"_{len(kept) + 1}"] * len(done.schemas)
        kept.append(done.kept_as[0])
    there = world.ledger.rows("select nspname from pg_namespace where starts_with(nspname, %s) order by 1", (f"{own}_before_",))
    assert [row["nspname"] for row in there] == kept
    assert world.states() == {"a.csv": "published", "bad.csv": "quarantined"}


def test_the_journal_is_never_said_to_go_less_far_than_it_does(world: World) -> None:
    """A run that was taken for dead keeps what it delivers after another has come farther."""
    first_half(world)
    replay(world.ports, world.spec, world.run(), world.file("bad.csv")["file_id"], "ann", "perhaps now")
    said, _ = newest(world.ports, world.spec.group)
    assert said == Position({"transactions": 3}, 1)
    write_journal(world.ports, world.spec, [], [world.file("a.csv")["file_id"]])
    assert newest(world.ports, world.spec.group)[0] == said
