"""A ledger and a bucket as the first release left them become today's, and go on.

tests/data/upgrade holds both: `pg_dump --format=custom` of the ledger after migration 0002, and its bucket as a tar; and the same of
all three domains after migration 0011, with what their tables and views then said, row by row.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from decimal import Decimal

import pytest

from include.clients import s3_client
from include.ledger.migrate import migrations
from include.provision import prepare_bucket
from sluice.runtime import settings
from sluice.services.state import PROJECT, State
from tests import naive
from tests.integration.stack import clear
from tests.integration.world import HEADER, SMALL, World, row

FOLDER = PROJECT / "tests" / "data" / "upgrade"
IMPORTANCE = [naive.ImportanceRow("C1", "M1", Decimal("4.55"), "es_food"), naive.ImportanceRow("C2", "M1", Decimal("44.5"), "es_food")]


def spent(customer: str, merchant: str = "M1", gender: str = "F") -> naive.Row:
    return naive.Row(customer, gender, merchant, Decimal("4.55"))


# What the first release published, by seq: 2 was quarantined, 4 a duplicate, and a row of 1 rejected.
HISTORY = {
    1: [spent("C1")] * 12 + [spent("C2", gender="M")] * 9 + [spent("C4", "M2", "M")],
    3: [spent("C5")] * 2 + [spent("C6", "M2")] * 3,
}


@pytest.fixture
def before(state: State, services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], World]]:
    """An earlier ledger's bucket, under the name that its ledger knows, and an empty database that the ledger can be restored into."""

    def world_with(name: str) -> World:
        bucket = name.replace("_", "-")
        for variable, value in {**services, "SLUICE_BUCKET": bucket, "PGDATABASE": database}.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("PGOPTIONS", "-c client_min_messages=warning")
        clear(state, database)
        where = settings(os.environ)
        prepare_bucket(s3_client(where.s3), where.s3)
        world = World(where, stack)
        for key in world.keys(""):
            world.store.delete(bucket, key)
        with tarfile.open(FOLDER / f"{name}_objects.tar.gz") as objects:
            for member in objects:
                body = objects.extractfile(member)
                assert body is not None
                world.store.put(bucket, member.name, body.read())
        return world

    with ExitStack() as stack:
        yield world_with


def test_the_first_releases_ledger_migrates_and_goes_on(before: Callable[[str], World]) -> None:
    world = before("first_release")
    said = world.sluice("restore", str(FOLDER / "first_release.dump"), "--yes")
    pending = [migration.name for migration in migrations()[2:]]
    assert f"migrations applied on top: {', '.join(pending)}" in said.stderr
    assert world.sluice("migrate", "--plan").stdout.endswith("nothing to do\n")
    states = {"chunk_1.csv": "published", "chunk_2.csv": "quarantined", "chunk_3.csv": "published", "chunk_4.csv": "duplicate"}
    assert world.states() == states
    files = list(HISTORY.items())
    assert world.detected() == as_published(files)

    new = [spent("C7", gender="M")] * 4 + [spent("C2", gender="M")] * 20 + [spent("C8", "M2")] * 3
    world.land("chunk_5.csv", HEADER + row("C7", gender="M") * 4 + row("C2", gender="M") * 20 + row("C8", "M2") * 3)
    world.land("chunk_6.csv", HEADER + row("C5") * 2 + row("C6", "M2") * 3)
    world.drain()
    assert world.states() == {**states, "chunk_5.csv": "published", "chunk_6.csv": "duplicate"}
    assert world.detected() == as_published([*files, (5, new)])
    assert len(world.detected()) > len(as_published(files))
    world.sluice("quarantine", "discard", "chunk_2.csv", "--why", "it is old")
    assert world.states()["chunk_2.csv"] == "discarded"


def test_journals_that_an_older_release_wrote_make_its_ledger_anew(before: Callable[[str], World]) -> None:
    world = before("three_domains")
    world.sluice("migrate")
    world.sluice("restore", "--journals", "--yes")
    world.ledger.close()
    then = json.loads((FOLDER / "three_domains.json").read_text())
    files = world.ledger.rows("select feed, seq, state from file order by feed, seq")
    assert {f"{file['feed']} {file['seq']}": file["state"] for file in files} == then["states"]
    assert published(world, "detection_file") == {table: rows for table, rows in then["tables"].items() if table != "detection_file"}


def published(world: World, *but: str) -> dict[str, list[str]]:
    """The rows of every table and view that the domains publish in, as text, but for some."""
    tables = [table for table in json.loads((FOLDER / "three_domains.json").read_text())["tables"] if table not in but]
    return {table: sorted(row["row"] for row in world.ledger.rows(f"select to_jsonb(t)::text as row from {table} t")) for table in tables}


def as_published(files: list[tuple[int, list[naive.Row]]]) -> list[tuple[int, str, str | None, str]]:
    found = naive.detections(files, IMPORTANCE, naive.Parameters(**SMALL))
    return [(one.seq, one.pattern_id, one.customer, one.merchant) for one in found]


def test_a_ledger_of_all_three_domains_migrates_comes_out_equal_and_goes_on(before: Callable[[str], World]) -> None:
    world = before("three_domains")
    world.sluice("restore", str(FOLDER / "three_domains.dump"), "--yes")
    then = json.loads((FOLDER / "three_domains.json").read_text())
    files = world.ledger.rows("select feed, seq, state from file order by feed, seq")
    assert {f"{file['feed']} {file['seq']}": file["state"] for file in files} == then["states"]
    assert published(world) == then["tables"]
    for feed in ("transactions", "sales", "stocks"):
        assert f"{feed}: bucket and ledger agree" in world.sluice("reconcile", feed).stdout

    world.land("4.csv", HEADER + row("C7"))
    world.land(
        "landing/stocks/dt=2026-04-03/4.csv",
        "stock_id,company_id,symbol,price,volume,timestamp,exchange,sector\n9,1,S9,1.00,1,2026-04-03T00:00:00Z,XETRA,tech\n",
    )
    world.land(
        "landing/sales/dt=2026-04-03/4.csv",
        "customer_id,store_id,product_name,sales_date,sales_person_id,price,quantity,total_cost\n1,1,a,2026-04-03,1,2.00,1,2.00\n",
    )
    world.sluice("ingest", "transactions", "stocks", "sales", "--until-empty")
    newest = {
        row["feed"]: row["state"] for row in world.ledger.rows("select distinct on (feed) feed, state from file order by feed, seq desc")
    }
    assert newest == dict.fromkeys(newest, "published")
