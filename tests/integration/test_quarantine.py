"""Refused files: listed, exported, discarded, replayed as they are or corrected; both files keep their history."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from include.errors import UsageError
from include.pipeline.discover import discover
from include.replay.replay import plan, replay
from tests.integration.world import HEADER, World, row

BAD = HEADER + row(step="x") + row("C2")
GOOD = HEADER + row(step="1") + row("C2")
ME = getpass.getuser()


def events(world: World, name: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(one["kind"], one["from_state"], one["to_state"], one["actor"]) for one in world.ledger.queries.file_story(name)["events"]]


def refused(world: World, name: str = "bad.csv", content: str = BAD) -> int:
    """A quarantined file; its id."""
    world.land(name, content)
    world.drain()
    file: dict[str, Any] = world.file(name)
    assert file["state"] == "quarantined"
    return int(file["file_id"])


def bucket(world: World) -> dict[str, str]:
    return {stamp.key: stamp.etag for stamp in world.store.objects(world.bucket, "")}


def everything(world: World) -> list[Any]:
    return [world.ledger.rows(f"select * from {table} order by 1") for table in ("file", "file_event", "batch", "fixed_line", "feed")]


def test_a_replay_is_a_plan_until_it_is_told_to_go(world: World, tmp_path: Path) -> None:
    refused(world)
    (tmp_path / "fixed.csv").write_text(HEADER + "".join(row(f"C{n}") for n in range(19)) + row(amount="x"))
    ledger, objects = everything(world), bucket(world)
    said = world.sluice("quarantine", "replay", "bad.csv", "--with", str(tmp_path / "fixed.csv")).stdout
    assert "1 of 2 rows were rejected, more than the 10 % tolerated" in said
    assert "20 rows: 19 would be accepted, 1 rejected" in said
    assert "line 21: amount does not match" in said
    assert "it would pass" in said
    assert said.endswith("nothing was done; --go does it\n")
    own = json.loads(world.sluice("quarantine", "replay", "bad.csv", "--json").stdout)
    assert (own["passes"], own["lines"], own["accepted"], own["rejected"]) == (False, 2, 1, 1)
    assert own["first_rejected"] == [{"line": 2, "columns": ["step"], "rules": ["matches"], "reasons": ["step does not match [0-9]{1,9}"]}]
    assert everything(world) == ledger
    assert bucket(world) == objects


def test_a_corrected_file_takes_effect_at_the_end_of_the_order_and_both_keep_their_history(world: World, tmp_path: Path) -> None:
    bad = refused(world)
    world.land("later.csv", HEADER + row("C9"))
    world.drain()
    (tmp_path / "fixed.csv").write_text(GOOD)
    done = world.sluice(
        "quarantine", "replay", "bad.csv", "--with", str(tmp_path / "fixed.csv"), "--why", "step was x", "--go", "--ingest", "--json"
    )
    made = json.loads(done.stdout)
    assert (made["seq"], made["state"], made["parent"]) == (3, "published", bad)
    parent, child = world.file(str(bad)), world.file(str(made["file_id"]))
    assert (parent["state"], parent["seq"], parent["lines"], parent["accepted"]) == ("discarded", 1, 2, 1)
    assert parent["reason"] == f"replaced by file {made['file_id']} (seq 3): step was x"
    assert (child["kind"], child["parent"], child["requested_by"], child["why"], child["accepted"]) == (
        "replacement",
        bad,
        ME,
        "step was x",
        2,
    )
    assert child["key"].startswith(f"fixes/transactions/dt=2026-11-01/replacement={bad}.")
    assert child["key"].endswith("/fixed.csv")
    assert events(world, str(bad))[2:] == [
        ("relocated", None, None, None),
        ("move", "quarantined", "replaying", ME),
        ("replay", None, None, ME),
        ("move", "replaying", "quarantined", ME),
        ("move", "quarantined", "discarded", ME),
    ]
    story = world.sluice("show", str(bad)).stdout
    assert f"file {made['file_id']} (seq 3, published): stands in for it, by {ME}" in story
    assert f"file {made['file_id']} (seq 3) is to take its place: step was x" in story
    assert f"stands in for file {bad} (seq 1, discarded): {ME}: step was x" in world.sluice("show", str(made["file_id"])).stdout
    assert world.ledger.rows("select sum(total_transactions)::int as n from merchant_transaction_counts") == [{"n": 3}]
    world.drain()
    assert len(world.files()) == 3


def test_the_original_bytes_pass_once_the_fault_was_not_theirs_and_are_no_duplicate_of_themselves(world: World) -> None:
    """The bytes of a refused overwrite are fine: what was wrong is the name."""
    world.land("a.csv", HEADER + row("C1"))
    world.drain()
    world.land("a.csv", HEADER + row("C2"))
    world.drain()
    (bad,) = world.ledger.queries.list_quarantined("transactions")
    assert plan(world.ports, world.spec, bad["file_id"]).passes
    made = replay(world.ports, world.spec, world.run(), bad["file_id"], "ann", "both are meant")
    world.drain()
    assert (world.file(str(made.file_id))["state"], world.file(str(bad["file_id"]))["state"]) == ("published", "discarded")
    assert world.file(str(made.file_id))["sha256"] == world.file(str(bad["file_id"]))["sha256"]


def test_a_replay_that_is_refused_leaves_the_file_quarantined_for_its_first_reason_and_tells_what_was_tried(world: World) -> None:
    bad = refused(world)
    before = world.file(str(bad))
    made = replay(world.ports, world.spec, world.run(), bad, "ann", "perhaps now")
    assert world.file(str(bad))["state"] == "replaying"
    world.drain()
    after, child = world.file(str(bad)), world.file(str(made.file_id))
    assert (after["state"], after["reason"], after["reason_code"]) == ("quarantined", before["reason"], before["reason_code"])
    assert (child["state"], child["reason"]) == ("quarantined", before["reason"])  # not "the same bytes as file 1": that is why it is here
    last = world.ledger.queries.file_story(str(bad))["events"][-1]
    assert (last["kind"], last["reason"]) == (
        "replay",
        f"file {made.file_id} (seq 2) did not take its place: it is quarantined: {before['reason']}",
    )
    with pytest.raises(UsageError, match=f"was to take the place of file {bad}: replay file {bad}"):
        replay(world.ports, world.spec, world.run(), made.file_id, "ann", "")
    replay(world.ports, world.spec, world.run(), bad, "ann", "once more")
    world.drain()
    assert [file["state"] for file in world.files()] == ["quarantined"] * 3


def test_bytes_that_were_accepted_under_another_name_meanwhile_are_a_duplicate_and_change_nothing(world: World, tmp_path: Path) -> None:
    bad = refused(world)
    world.land("resent.csv", GOOD)
    world.drain()
    (tmp_path / "fixed.csv").write_text(GOOD)
    planned = plan(world.ports, world.spec, bad, str(tmp_path / "fixed.csv"))
    assert not planned.passes
    assert planned.holder == (world.file("resent.csv")["file_id"], 2)
    made = replay(world.ports, world.spec, world.run(), bad, "ann", "", str(tmp_path / "fixed.csv"))
    world.drain()
    assert (world.file(str(made.file_id))["state"], world.file(str(bad))["state"]) == ("duplicate", "quarantined")
    assert world.ledger.rows("select sum(total_transactions)::int as n from merchant_transaction_counts") == [{"n": 2}]


def test_a_file_is_replayed_with_an_object_of_the_bucket(world: World) -> None:
    bad = refused(world)
    world.store.put(world.bucket, "desk/corrected.csv", GOOD.encode())
    replay(world.ports, world.spec, world.run(), bad, "ann", "", f"s3://{world.bucket}/desk/corrected.csv")
    world.drain()
    assert world.states() == {"bad.csv": "discarded", "corrected.csv": "published"}
    assert world.keys("desk/") == ["desk/corrected.csv"]


def test_only_one_replay_of_a_file_waits_at_a_time_and_only_a_quarantined_file_is_replayed(world: World) -> None:
    bad = refused(world)
    world.land("good.csv", HEADER + row("C7"))
    world.drain()
    replay(world.ports, world.spec, world.run(), bad, "ann", "")
    objects = bucket(world)
    with pytest.raises(UsageError, match=r"is being replayed: file \d+ \(seq 3\) waits to take its place, asked for by ann"):
        replay(world.ports, world.spec, world.run(), bad, "bob", "")
    with pytest.raises(UsageError, match="is published: only a quarantined file can be replayed"):
        replay(world.ports, world.spec, world.run(), world.file("good.csv")["file_id"], "ann", "")
    assert bucket(world) == objects
    world.drain()
    with pytest.raises(UsageError, match="no file '999' in the ledger"):
        replay(world.ports, world.spec, world.run(), 999, "ann", "")


def test_a_file_whose_bytes_are_gone_is_replayed_only_with_others(world: World, tmp_path: Path) -> None:
    key = world.land("a.csv", GOOD)
    discover(world.ports, world.spec, world.run(run_id="gone"))
    world.store.delete(world.bucket, key)
    world.let_lease_run_out()
    world.drain()
    gone = world.file("a.csv")
    assert (gone["reason_code"], gone["location"]) == ("object_gone", "gone")
    done = world.sluice("quarantine", "replay", "a.csv", check=2)
    assert "lie nowhere any more (gone); give others: --with PATH or --with s3://bucket/key" in done.stderr
    assert "nothing of it lies in" not in world.sluice("quarantine", "export", "a.csv", str(tmp_path)).stderr  # its report does
    (tmp_path / "again.csv").write_text(GOOD)
    replay(world.ports, world.spec, world.run(), gone["file_id"], "ann", "", str(tmp_path / "again.csv"))
    world.drain()
    assert world.states() == {"a.csv": "discarded", "again.csv": "published"}


def test_what_was_refused_is_listed_exported_and_discarded_with_who_and_why(world: World, tmp_path: Path) -> None:
    bad = refused(world)
    (listed,) = json.loads(world.sluice("quarantine", "list", "--json").stdout)
    assert (listed["file_id"], listed["feed"], listed["state"], listed["reason_code"]) == (
        bad,
        "transactions",
        "quarantined",
        "too_many_rejects",
    )
    written = world.sluice("quarantine", "export", "bad.csv", str(tmp_path)).stdout.split()
    assert written == [str(tmp_path / f"bad.csv.{bad}" / name) for name in ("bad.csv", "rejects.csv", "report.json")]
    assert Path(written[0]).read_text() == BAD
    world.sluice("quarantine", "discard", "bad.csv", "--why", "a test file of the supplier")
    assert world.file("bad.csv")["reason"] == f"discarded by {ME}: a test file of the supplier"
    assert events(world, "bad.csv")[-1] == ("move", "quarantined", "discarded", ME)
    assert json.loads(world.sluice("quarantine", "list", "transactions", "--json").stdout) == []
    assert world.file("bad.csv")["location"] == "error"
    assert (
        "is discarded: only a quarantined file can be discarded"
        in world.sluice("quarantine", "discard", "bad.csv", "--why", "x", check=2).stderr
    )
    world.land("bad.csv", BAD)
    world.drain()
    assert (len(world.files()), world.states()["bad.csv"], world.keys("landing/")) == (1, "discarded", [])


def test_a_refused_file_that_is_named_like_its_own_rejects_keeps_its_bytes(world: World) -> None:
    world.land("rejects.csv", BAD)
    world.drain()
    file = world.file("rejects.csv")
    assert world.store.read_bytes(world.bucket, file["location_key"]).decode() == BAD
    assert world.store.read_bytes(world.bucket, file["location_key"].rsplit("/", 1)[0] + "/rejects.csv").startswith(b"file_id,line,")
