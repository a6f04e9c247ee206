"""The services that benchmarks run on: their own, with a ledger and a bucket that every measurement finds empty."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from include.clients import ledger_connection, s3_client
from include.domains import feed_named
from include.domains.transactions.queries import list_detections
from include.errors import UsageError
from include.files import keys
from include.ledger import Ledger
from include.pipeline.ports import Ports
from include.pipeline.run import Progress, ingest_once, until_empty
from include.provision import prepare_ledger
from include.run import Run
from sluice.cli.output import log
from sluice.runtime import Settings, command_run_id, now, open_ports, settings_from
from sluice.services.catalogue import all_services, without_airflow
from sluice.services.environment import environment
from sluice.services.process import running
from sluice.services.state import State
from sluice.services.supervisor import bring_up, take_down
from tools.benchmarks.dag_runs import FOLLOW, INGEST, DagRuns
from tools.benchmarks.errors import BenchmarkFailed
from tools.fresh import empty_bucket, load_reference

MARK = "made-by-benchmarks"
_SCHEMAS = "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'"
Detections = frozenset[tuple[int, str, str, str]]


class World:
    def __init__(self, state: State, where: Settings) -> None:
        self.state = state
        self.where = where
        self.bucket = where.s3.bucket
        self.s3 = s3_client(where.s3)
        self.data = state.folder("data")

    def connect(self) -> psycopg.Connection[Any]:
        return ledger_connection(self.where.ledger)

    def clear(self, source_bucket: str | None = None) -> None:
        """A ledger and a bucket as on the first day."""
        with self.connect() as connection:
            for (schema,) in connection.execute(_SCHEMAS).fetchall():
                connection.execute(f'drop schema "{schema}" cascade'.encode())
            connection.execute("create schema public")
            prepare_ledger(connection, source_bucket or self.bucket)
        empty_bucket(self.s3, self.bucket)

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def land_folder(self, folder: Path, feeds: Iterable[str]) -> None:
        for feed in feeds:
            for path in sorted(folder.glob(f"{feed}/dt=*/*")):
                day = dt.date.fromisoformat(path.parent.name.removeprefix("dt="))
                self.s3.upload_file(str(path), self.bucket, keys.landing_file(keys.landing(feed), day, path.name))

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sluice", *words]

    def sluice(self, *words: str) -> Any:
        """What the command answers as JSON."""
        done = subprocess.run(self.command(*words, "--json"), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkFailed(f"sluice {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)


class TransactionsWorld(World):
    """With the feed of transactions, its reference, and Airflow where there is one (`dags`)."""

    def __init__(self, state: State, ports: Ports, where: Settings, dags: DagRuns | None) -> None:
        super().__init__(state, where)
        self.ports = ports
        self.dags = dags
        self.spec = feed_named("transactions")
        self.ledger: Ledger = ports.ledger
        self.prefix = keys.landing_date(keys.landing(self.spec.name), now().date())

    # -- before a measurement ---------------------------------------------------------------------------------------------

    def begin(self, importance: Path | None) -> None:
        """As on the first day, with this reference."""
        self.clear()
        if importance is not None:
            with self.connect() as connection:
                load_reference(connection, self.s3, self.bucket, self.spec.name, "importance", importance, "benchmarks")

    def clear(self, source_bucket: str | None = None) -> None:
        """As on the first day; no DAG runs meanwhile or after it."""
        if self.dags is not None:
            self.dags.rest(INGEST, FOLLOW)
        self.ledger.close()
        super().clear(source_bucket)

    def weights(self) -> pa.Table:
        """The reference in force, aggregated: what every peer joins with, without the work of aggregating it."""
        found = self.ledger.row("select bucket, key from reference order by version desc limit 1")
        if found is None:
            types = {"customer": pa.string(), "merchant": pa.string(), "weight_nano": pa.int64()}
            return pa.schema(list(types.items())).empty_table()
        return pq.read_table(pa.BufferReader(self.ports.store.read_bytes(found["bucket"], found["key"])))

    def key(self, number: int) -> str:
        """Where the chunk of that number lands; padded, so that a listing has them in order, which the peers rely on."""
        return f"{self.prefix}chunk_{number:05d}.csv"

    def land(self, chunks: Iterable[bytes], first: int = 1) -> int:
        """Put chunks, numbered from `first`; how many they were."""
        number = first - 1
        for number, chunk in enumerate(chunks, start=first):
            self.s3.put_object(Bucket=self.bucket, Key=self.key(number), Body=chunk)
        return number - first + 1

    # -- work -------------------------------------------------------------------------------------------------------------

    def run(self, thresholds: Mapping[str, int] | None = None, *, full: bool = True) -> Run:
        return Run(command_run_id("benchmark"), now(), self.spec.parameters_from(thresholds or {}), full=full)

    def ingest(self) -> Progress:
        """One round of the five steps in this process, as a scheduled run would go."""
        progress = Progress()
        ingest_once(self.ports, self.spec, self.run(full=False), progress)
        return progress

    def drain(self, thresholds: Mapping[str, int] | None = None) -> Progress:
        progress = Progress()
        until_empty(self.ports, self.spec, self.run(thresholds), progress)
        return progress

    # -- after it ---------------------------------------------------------------------------------------------------------

    def count(self, query: str) -> int:
        """The one number, `n`, that a query finds; 0 for null."""
        found = self.ledger.row(query)
        return int((found and found["n"]) or 0)

    def detections(self) -> Detections:
        """(seq, pattern, merchant, customer), the customer empty where the pattern names none."""
        if unwritten := self.count("select count(*) as n from detection_file where written_at is null"):
            raise BenchmarkFailed(f"{unwritten} detection files are not written")
        return frozenset(
            (d["seq"], d["pattern_id"], d["merchant_id"], d["customer_name"] or "") for d in list_detections(self.ledger.session)
        )

    def clean_history(self, files: int) -> None:
        """Make sure that all files were published, none refused: otherwise the figures are of something else.

        Raises:
            BenchmarkFailed: they were not.
        """
        published = self.count(
            """select count(*) as n from file f join batch b using (group_name, batch)
               where f.state = 'published' and b.delivered_at is not null"""
        )
        if published != files:
            states = self.ledger.queries.feed_overview(self.spec.name)["states"]
            raise BenchmarkFailed(f"{published} of {files} files were published and delivered: {states}")


@contextmanager
def services_of(folder: Path, *, airflow: bool = False) -> Iterator[tuple[State, Settings]]:
    """Services in a folder of the benchmark's own, with Airflow or without; what this call started is stopped at the end.

    Raises:
        UsageError: the folder holds services that somebody else made: a benchmark empties their ledger.
    """
    state = State(folder.resolve())
    mark = state.root / MARK
    if state.exists and not mark.is_file():
        raise UsageError(
            f"{state.root} holds services that no benchmark made; benchmarks empty the ledger, so give them a folder of their own"
        )
    services = all_services(state) if airflow else without_airflow(state)
    state.folder()
    mark.touch()
    with ExitStack() as stack:
        if running(state, "postgres") is None:
            stack.callback(take_down, state, services, log)
        bring_up(state, services, log)
        variables = environment(state)
        os.environ.pop("PGOPTIONS", None)
        os.environ.update(variables | {"SLUICE_STATE": str(state.root)})
        yield state, settings_from(variables)


@contextmanager
def opened(folder: Path, *, airflow: bool = True) -> Iterator[TransactionsWorld]:
    with services_of(folder, airflow=airflow) as (state, where), open_ports(where, feed_named("transactions"), lambda _: None) as ports:
        yield TransactionsWorld(state, ports, where, DagRuns.of(os.environ) if airflow else None)


def same_detections(found: Mapping[str, Detections]) -> int:
    """How many there are, the same in all.

    Raises:
        BenchmarkFailed: two differ; says where.
    """
    (first, expected), *others = found.items()
    for name, detections in others:
        if detections != expected:
            missing, more = sorted(expected - detections)[:3], sorted(detections - expected)[:3]
            raise BenchmarkFailed(
                f"{name} has {len(detections)} detections and {first} {len(expected)}: "
                f"{name} lacks {missing or 'none'}, and alone has {more or 'none'}"
            )
    return len(expected)
