"""A ledger, a bucket and a feed of a test's own, on the running services."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from include.feeds import feed_named
from include.ingestion.feed import FeedSpec
from include.ingestion.ingest import Progress, ingest_once, until_empty
from include.ingestion.ports import Ports
from include.ingestion.run import Run
from include.stores.ledger import PostgresLedger
from include.stores.open import ledger_connection, s3_client
from include.stores.prepare import prepare_ledger
from include.stores.s3 import S3Store
from sluice.runtime import Settings, new_id, now, open_ports, settings

HEADER = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"
DAY = "landing/transactions/dt=2026-11-01/"
_DROP_SCHEMAS = """
do $$
declare
    name text;
begin
    for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' and nspname <> 'public' loop
        execute format('drop schema %I cascade', name);
    end loop;
end $$
"""
SMALL = {"min_total": 20, "min_count": 3, "max_avg_cents": 2300, "min_female": 2, "top": 10, "bottom": 10}


def row(customer: str = "C1", merchant: str = "M1", amount: str = "4.55", gender: str = "F", step: str = "0") -> str:
    """One transaction as a line of a file."""
    return f"{step},'{customer}','4','{gender}','28007','{merchant}','28007','es_food',{amount},0\n"


class World:
    """What a test acts through: real services, nothing shared with other tests but the servers."""

    def __init__(self, where: Settings, stack: ExitStack) -> None:
        self.where = where
        self.bucket = where.s3.bucket
        self.spec: FeedSpec = feed_named("transactions")
        self.said: list[str] = []
        self.ports: Ports = stack.enter_context(open_ports(where, self.spec, self.said.append))
        self.store: S3Store = S3Store(s3_client(where.s3))
        self.ledger: PostgresLedger = self.ports.ledger  # type: ignore[assignment]

    def land(self, name: str, content: str | bytes) -> str:
        """Put an object below the landing prefix; a bare name goes under a date."""
        key = name if name.startswith("landing/") else DAY + name
        self.store.put(self.bucket, key, content.encode() if isinstance(content, str) else content)
        return key

    def run(self, **changes: Any) -> Run:
        return dataclasses.replace(Run(f"test-{new_id()}", now(), self.spec.parameters_from(SMALL)), **changes)

    def ingest(self, **changes: Any) -> Progress:
        """One round of the five steps."""
        progress = Progress()
        ingest_once(self.ports, self.spec, self.run(**changes), progress)
        return progress

    def drain(self, **changes: Any) -> Progress:
        """Rounds until nothing is left."""
        progress = Progress()
        until_empty(self.ports, self.spec, self.run(**changes), progress)
        return progress

    def let_lease_run_out(self) -> None:
        """As if the run that has the feed had not renewed its lease in time."""
        self.ledger.rows(
            "update feed_group set lease_until = clock_timestamp() - interval '1 s' where group_name = %s returning 1", (self.spec.group,)
        )

    def files(self) -> list[dict[str, Any]]:
        return self.ledger.list_files("transactions")

    def states(self) -> dict[str, str]:
        """State by base name, of the newest version."""
        return {file["key"].rsplit("/", 1)[-1]: file["state"] for file in self.files()}

    def file(self, name: str) -> dict[str, Any]:
        return self.ledger.file_story(name)["file"]

    def keys(self, prefix: str) -> list[str]:
        return [stamp.key for stamp in self.store.objects(self.bucket, prefix)]

    def detected(self) -> list[tuple[int, str, str | None, str]]:
        return [(d["seq"], d["pattern_id"], d["customer_name"], d["merchant_id"]) for d in self.ledger.list_detections()]

    def sluice(self, *words: str, check: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command, on this world; with other values of some variables where a test says so."""
        return run_sluice(*words, check=check, **environment)


def run_sluice(*words: str, check: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, in the environment of the test."""
    done = subprocess.run(
        [sys.executable, "-m", "sluice", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert check is None or done.returncode == check, done.stderr
    return done


@pytest.fixture
def world(services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A fresh ledger and a fresh bucket."""
    with fresh(services, database, monkeypatch) as where, ExitStack() as stack:
        yield World(where, stack)


@contextmanager
def fresh(services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A ledger, alone in the database, and a bucket, named by the environment for as long as the block needs them."""
    name = f"test-{new_id()}"
    schema = name.replace("-", "_")
    for variable, value in services.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("SLUICE_BUCKET", name)
    monkeypatch.setenv("PGDATABASE", database)
    monkeypatch.setenv("PGOPTIONS", f"-c search_path={schema} -c client_min_messages=warning")
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(_DROP_SCHEMAS)
        connection.execute(f"create schema {schema}".encode())
    where = settings(os.environ)
    s3_client(where.s3).create_bucket(Bucket=name)
    with ledger_connection(where.ledger) as connection:
        prepare_ledger(connection, name)
    yield where
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(_DROP_SCHEMAS)
