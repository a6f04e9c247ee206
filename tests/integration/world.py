"""A ledger, a bucket and a feed of a test's own, on the running services."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from include.clients import ledger_connection, s3_client
from include.domains import feed_named
from include.domains.transactions.queries import list_detections
from include.feed import FeedSpec
from include.ledger import Ledger
from include.pipeline.ports import Ports
from include.pipeline.run import Progress, ingest_once, until_empty
from include.provision import prepare_ledger
from include.run import Run
from include.storage.s3 import S3Store
from sluice.runtime import Settings, new_id, now, open_ports, settings
from sluice.services.state import State
from tests.integration.command import run_sluice
from tests.integration.in_process import InThisProcess
from tests.integration.stack import SCHEMA, renew

HEADER = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"
DAY = "landing/transactions/dt=2026-11-01/"
SMALL = {"min_total": 20, "min_count": 3, "max_avg_cents": 2300, "min_female": 2, "top": 10, "bottom": 10}


def row(customer: str = "C1", merchant: str = "M1", amount: str = "4.55", gender: str = "F", step: str = "0") -> str:
    """One transaction as a line of a file."""
    return f"{step},'{customer}','4','{gender}','28007','{merchant}','28007','es_food',{amount},0\n"


class World:
    """What a test acts through: real services, nothing shared with other tests but the servers.

    `ports` evaluate batches in this process, for tests that are about something else; `on_spark` and the command have them done by Spark.
    """

    def __init__(self, where: Settings, stack: ExitStack) -> None:
        self.where = where
        self.bucket = where.s3.bucket
        self.spec: FeedSpec = feed_named("transactions")
        self.said: list[str] = []
        self.store: S3Store = S3Store(s3_client(where.s3))
        self.on_spark: Ports = stack.enter_context(open_ports(where, self.spec, self.said.append))
        self.ports: Ports = dataclasses.replace(self.on_spark, job=InThisProcess(self.store, self.bucket))
        self.ledger: Ledger = self.ports.ledger

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
        return self.ledger.queries.list_files("transactions")

    def states(self) -> dict[str, str]:
        """State by base name, of the newest version."""
        return {file["key"].rsplit("/", 1)[-1]: file["state"] for file in self.files()}

    def file(self, name: str) -> dict[str, Any]:
        return self.ledger.queries.file_story(name)["file"]

    def keys(self, prefix: str) -> list[str]:
        return [stamp.key for stamp in self.store.objects(self.bucket, prefix)]

    def detected(self) -> list[tuple[int, str, str | None, str]]:
        return [(d["seq"], d["pattern_id"], d["customer_name"], d["merchant_id"]) for d in list_detections(self.ledger.session)]

    def sluice(self, *words: str, check: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command, on this world; with other values of some variables where a test says so."""
        return run_sluice(*words, check=check, **environment)


@pytest.fixture
def world(state: State, services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A fresh ledger and a fresh bucket."""
    with ExitStack() as stack:
        yield World(fresh(state, services, database, monkeypatch), stack)


@pytest.fixture
def where(state: State, stores: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh ledger and a fresh bucket; Spark is not there to be asked."""
    return fresh(state, stores, database, monkeypatch)


def fresh(state: State, services: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A ledger, alone in the database, and a bucket, named by the environment for as long as the block needs them."""
    renew(state, database)
    where = told(services, database, f"test-{new_id()}", monkeypatch)
    s3_client(where.s3).create_bucket(Bucket=where.s3.bucket)
    with ledger_connection(where.ledger) as connection:
        prepare_ledger(connection, where.s3.bucket)
    return where


def told(services: Mapping[str, str], database: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A database and a bucket, named by the environment."""
    for variable, value in services.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("SLUICE_BUCKET", bucket)
    monkeypatch.setenv("PGDATABASE", database)
    monkeypatch.setenv("PGOPTIONS", f"-c search_path={SCHEMA} -c client_min_messages=warning")
    return settings(os.environ)
