"""How far the main job is, as the ledger tells it: what a run landed apart from the feed, and since when the oldest file waits."""

from __future__ import annotations

from pathlib import Path

from include.pipeline.discover import discover
from sluice.main_job.snapshot import Part, landed_before, landing_from_now, take
from tests.integration.world import HEADER, World, row


def test_a_runs_files_are_counted_apart_and_the_oldest_waits_since_it_landed(world: World, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text(HEADER + row(customer="C1") + row(customer="C2") + row(step="x") + row(customer="C3"))
    produce = ("produce", str(source), "--rows", "1", "--every", "0")
    first = landing_from_now(world.ledger, str(source))
    world.land("beside.csv", HEADER + row(customer="C9"))
    world.sluice(*produce, "--limit", "3")
    world.ledger.rows("update producer_chunk set landed_at = landed_at - interval '100 s' where number = 2 returning 1")

    landed = take(world.ledger, world.spec, first, 0)
    assert landed.run.files == {"published": 0, "refused": 0, "waiting": 2}, "the second landed before this run, as far as one can tell"
    assert (landed.backlog, landed.decided) == (3, False)
    assert landed.oldest_seconds is not None
    assert landed.oldest_seconds >= 100
    found = discover(world.ports, world.spec, world.run())
    assert found.token is not None
    registered = take(world.ledger, world.spec, first, 0)
    assert registered.oldest_seconds is not None
    assert registered.oldest_seconds >= 100, "to be registered makes no file younger"
    assert registered.backlog == 4
    world.ledger.leases.release(world.spec, found.token)

    world.drain()
    ended = take(world.ledger, world.spec, first, 0)
    assert ended.decided
    assert ended.run == Part({"published": 1, "refused": 1}, 1, 0, {})
    assert ended.feed.files == {"published": 3, "refused": 1}
    assert (ended.run.total, ended.feed.total) == (2, 4)

    second = landing_from_now(world.ledger, str(source))
    world.sluice(*produce)
    world.drain()
    assert take(world.ledger, world.spec, second, 0).run == Part({"published": 1, "refused": 0}, 1, 0, {})
    before = landed_before(world.ledger, world.spec, second)
    assert before.files == {"published": 2, "refused": 1}
    third = landing_from_now(world.ledger, str(source))
    world.sluice(*produce, "--from-start")
    world.drain()
    assert take(world.ledger, world.spec, third, 0).run.files == {"published": 0, "refused": 1, "duplicate": 3}
