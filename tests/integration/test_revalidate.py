"""Files judged once more from where their bytes lie now: in landing, in error, in the archive; the ledger is left alone."""

from __future__ import annotations

import dataclasses

from include.pipeline.revalidate import Revalidated, revalidate, take_back
from include.pipeline.run import Progress, until_empty
from tests.integration.world import HEADER, World, row


def again(world: World) -> list[Revalidated]:
    ids = [one["file_id"] for one in world.ledger.rows("select file_id from file order by seq")]
    return revalidate(world.ports, world.spec, ids, "again")


def test_a_file_judged_again_has_the_rows_and_counts_that_were_recorded_wherever_its_bytes_lie(world: World) -> None:
    archiving = dataclasses.replace(world.spec, archive=True)
    world.land("good.csv", HEADER + "".join([row(f"C{n}") for n in range(19)] + [row(amount="x")]))
    world.land("bad.csv", HEADER + row(amount="x"))
    until_empty(world.ports, archiving, world.run(), Progress())
    before = world.ledger.rows("select * from file order by seq")
    assert [one["location"] for one in before] == ["error", "archive"]
    bad, good = again(world)
    assert (bad.same_bytes, bad.same_rows, bad.what) == (True, True, "")
    assert (good.same_bytes, good.same_rows, good.what) == (True, True, "")
    assert good.verdict is not None
    assert (good.verdict.lines, good.verdict.accepted, good.verdict.rejected) == (20, 19, 1)
    assert (good.verdict.bronze_digest, len(good.verdict.bronze_digest or "")) == (good.kept.bronze_digest, 64)
    assert {ref.key for ref in good.verdict.bronze}.isdisjoint(ref.key for ref in good.kept.bronze)
    assert world.ledger.rows("select * from file order by seq") == before
    take_back(world.ports, good.verdict)
    assert [key for key in world.keys("bronze/") if "again" in key and "good" in key] == []


def test_bytes_that_went_or_changed_are_said_to_be_so(world: World) -> None:
    keys = [world.land(f"{name}.csv", HEADER + row(name)) for name in ("changed", "gone", "kept")]
    world.drain()
    world.store.put(world.bucket, keys[0], b"other bytes")
    world.store.delete(world.bucket, keys[1])
    changed, gone, kept = again(world)
    assert (changed.verdict, changed.same_rows, changed.what) == (None, False, "its original bytes are not there any more")
    assert (gone.verdict, gone.same_rows, gone.what) == (None, False, "its original bytes are not there any more")
    assert (kept.same_rows, kept.what) == (True, "")
