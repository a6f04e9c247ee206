"""A ledger and a bucket as the first release left them become today's, and go on.

tests/data/upgrade holds both: `pg_dump --format=custom` of the ledger after migration 0002, and the bucket's objects as a tar.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from decimal import Decimal

import psycopg
import pytest

from include.stores.migrations import migrations
from include.stores.open import s3_client
from include.stores.prepare import prepare_bucket
from sluice.runtime import settings
from sluice.services.state import PROJECT
from tests import naive
from tests.integration.world import _DROP_SCHEMAS, HEADER, SMALL, World, row

FOLDER = PROJECT / "tests" / "data" / "upgrade"
BUCKET = "first-release"
EMPTY = "drop schema public cascade; create schema public"
IMPORTANCE = [naive.ImportanceRow("C1", "M1", Decimal("4.55"), "es_food"), naive.ImportanceRow("C2", "M1", Decimal("44.5"), "es_food")]


def spent(customer: str, merchant: str = "M1", gender: str = "F") -> naive.Row:
    return naive.Row(customer, gender, merchant, Decimal("4.55"))


# What the first release published, by seq: 2 was quarantined, 4 a duplicate, and a row of 1 rejected.
HISTORY = {
    1: [spent("C1")] * 12 + [spent("C2", gender="M")] * 9 + [spent("C4", "M2", "M")],
    3: [spent("C5")] * 2 + [spent("C6", "M2")] * 3,
}


@pytest.fixture
def world_of_before(services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The first release's ledger, restored into the schema and the bucket that it names."""
    for variable, value in {**services, "SLUICE_BUCKET": BUCKET, "PGDATABASE": database}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PGOPTIONS", "-c client_min_messages=warning")
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(_DROP_SCHEMAS)
        connection.execute(EMPTY)
    where = settings(os.environ)
    client = s3_client(where.s3)
    prepare_bucket(client, where.s3)
    with ExitStack() as stack:
        world = World(where, stack)
        for key in world.keys(""):
            world.store.delete(BUCKET, key)
        with tarfile.open(FOLDER / "first_release_objects.tar.gz") as objects:
            for member in objects:
                body = objects.extractfile(member)
                assert body is not None
                world.store.put(BUCKET, member.name, body.read())
        yield world
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(_DROP_SCHEMAS)
        connection.execute(EMPTY)


def test_the_first_releases_ledger_migrates_and_goes_on(world_of_before: World) -> None:
    world = world_of_before
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


def as_published(files: list[tuple[int, list[naive.Row]]]) -> list[tuple[int, str, str | None, str]]:
    found = naive.detections(files, IMPORTANCE, naive.Parameters(**SMALL))
    return [(one.seq, one.pattern_id, one.customer, one.merchant) for one in found]
