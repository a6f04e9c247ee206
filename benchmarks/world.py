"""The services that benchmarks run on: their own, with a ledger and a bucket that every measurement finds empty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.dag_runs import FOLLOW, INGEST, DagRuns
from benchmarks.errors import BenchmarkFailed
from include.feeds import feed_named
from include.ingestion import keys
from include.ingestion.errors import UsageError
from include.ingestion.ingest import Progress, ingest_once, until_empty
from include.ingestion.ports import Ports
from include.ingestion.run import Run
from include.stores.ledger import PostgresLedger
from include.stores.migrations import schemas_beside
from include.stores.open import ledger_connection, s3_client
from include.stores.prepare import prepare_ledger
from sluice.cli.output import say
from sluice.runtime import Settings, command_run_id, new_id, now, open_ports, settings_from
from sluice.services.catalogue import all_services
from sluice.services.environment import environment
from sluice.services.process import running
from sluice.services.state import State
from sluice.services.supervisor import bring_up, take_down

MARK = "made-by-benchmarks"
Detections = frozenset[tuple[int, str, str, str]]


class World:
    """What a measurement acts through."""

    def __init__(self, state: State, ports: Ports, where: Settings, dags: DagRuns) -> None:
        self.state = state
        self.ports = ports
        self.where = where
        self.dags = dags
        self.spec = feed_named("transactions")
        self.s3 = s3_client(where.s3)
        self.bucket = where.s3.bucket
        self.ledger: PostgresLedger = ports.ledger  # type: ignore[assignment]
        self.data = state.folder("data")
        self.prefix = keys.landing_date(keys.landing(self.spec.name), now().date())

    # -- before a measurement ---------------------------------------------------------------------------------------------

    def clear(self, importance: Path | None = None, *, source_bucket: str | None = None) -> None:
        """A ledger and a bucket as on the first day, with this reference; no DAG runs meanwhile or after it."""
        self.dags.rest(INGEST, FOLLOW)
        self.ledger.close()
        with ledger_connection(self.where.ledger) as connection:
            for schema in ("public", *schemas_beside()):
                connection.execute(f"drop schema if exists {schema} cascade".encode())
            connection.execute("create schema public")
            prepare_ledger(connection, source_bucket or self.bucket)
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            found = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
            if found:
                self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": found, "Quiet": True})  # type: ignore[typeddict-item]
        if importance is not None:
            self._load_reference(importance)

    def _load_reference(self, importance: Path) -> None:
        from sluice.produce.sources import source
        from sluice.reference.loader import load

        with ledger_connection(self.where.ledger) as connection:
            load(
                source(str(importance), store=self.ports.store),
                self.ports.store,
                connection,
                bucket=self.bucket,
                feed=self.spec.name,
                name="importance",
                loaded_by="benchmarks",
                run_id=None,
                new_id=new_id,
                say=lambda _: None,
            )

    def weights(self) -> pa.Table:
        """The reference in force, aggregated: what every peer joins with, without the work of aggregating it."""
        found = self.ledger.row("select bucket, key from reference order by version desc limit 1")
        if found is None:
            return pa.table(
                {"customer": pa.array([], pa.string()), "merchant": pa.array([], pa.string()), "weight_nano": pa.array([], pa.int64())}
            )
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

    def ingest(self, thresholds: Mapping[str, int] | None = None) -> Progress:
        """One round of the five steps in this process, as a scheduled run would go."""
        progress = Progress()
        ingest_once(self.ports, self.spec, self.run(thresholds, full=False), progress)
        return progress

    def drain(self, thresholds: Mapping[str, int] | None = None) -> Progress:
        """Rounds in this process until nothing is left."""
        progress = Progress()
        until_empty(self.ports, self.spec, self.run(thresholds), progress)
        return progress

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sluice", *words]

    def sluice(self, *words: str) -> Any:
        """What the command answers as JSON."""
        done = subprocess.run(self.command(*words, "--json"), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkFailed(f"sluice {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)

    # -- after it ---------------------------------------------------------------------------------------------------------

    def published(self) -> int:
        """Files whose results are published and delivered."""
        found = self.ledger.row(
            """select count(*) as n from file f join batch b using (group_name, batch)
               where f.state = 'published' and b.delivered_at is not null"""
        )
        return int(found["n"]) if found else 0

    def detections(self) -> Detections:
        """(seq, pattern, merchant, customer), the customer empty where the pattern names none."""
        unwritten = self.ledger.row("select count(*) as n from detection_file where written_at is null")
        if unwritten and unwritten["n"]:
            raise BenchmarkFailed(f"{unwritten['n']} detection files are not written")
        return frozenset((d["seq"], d["pattern_id"], d["merchant_id"], d["customer_name"] or "") for d in self.ledger.list_detections())

    def clean_history(self, files: int) -> None:
        """Make sure that all files were published, none refused: otherwise the figures are of something else.

        Raises:
            BenchmarkFailed: they were not.
        """
        published = self.published()
        if published != files:
            raise BenchmarkFailed(
                f"{published} of {files} files were published and delivered: {self.ledger.feed_overview(self.spec.name)['states']}"
            )


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    """Services in a folder of the benchmarks' own; those that this call started are stopped at the end.

    Raises:
        UsageError: the folder holds services that somebody else made: a benchmark empties their ledger.
    """
    state = State(folder.resolve())
    mark = state.root / MARK
    if state.exists and not mark.is_file():
        raise UsageError(
            f"{state.root} holds services that no benchmark made; benchmarks empty the ledger, so give them a folder of their own"
        )
    services = all_services(state)
    were_running = running(state, "postgres") is not None
    state.folder()
    mark.touch()
    with ExitStack() as stack:
        if not were_running:
            stack.callback(take_down, state, services, say)
        bring_up(state, services, say)
        told = environment(state)
        os.environ.pop("PGOPTIONS", None)
        os.environ.update(told | {"SLUICE_STATE": str(state.root)})
        where = settings_from(told)
        ports = stack.enter_context(open_ports(where, feed_named("transactions"), lambda _: None))
        yield World(state, ports, where, DagRuns(told["AIRFLOW_URL"], told["AIRFLOW_USERNAME"], told["AIRFLOW_PASSWORD"]))


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
