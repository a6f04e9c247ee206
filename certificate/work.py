"""What a victim does: the program's own functions on the real ports, with a look at the fates around each effect."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from certificate.mortal import At, MortalJob, MortalLedger, MortalStore

if TYPE_CHECKING:
    from certificate.victim import Task
    from include.ingestion.feed import FeedSpec
    from include.ingestion.ports import Ports
    from include.ingestion.run import Run


def ingest(task: Task, at: At) -> dict[str, Any]:
    """Rounds of the five steps until nothing is left."""
    from include.ingestion.ingest import Progress, ingest_once, until_empty

    progress = Progress()
    with _ports(task, at) as (ports, spec, run, said):
        if task.patient:
            until_empty(ports, spec, run, progress)
        else:
            ingest_once(ports, spec, run, progress)
    return {"published": dict(progress.published), "runs": progress.runs, "said": said}


def reconcile_all(task: Task, at: At) -> dict[str, Any]:
    """Bucket against ledger, and away with what nothing refers to."""
    from include.ingestion.reconcile.look import Scope
    from include.ingestion.reconcile.reconcile import reconcile

    with _ports(task, at) as (ports, spec, run, _):
        found = reconcile(ports, spec, run, Scope(collect=True, grace_seconds=0))
    return {"differences": [str(finding) for finding in found.findings if finding.fails]}


@contextlib.contextmanager
def _ports(task: Task, at: At) -> Iterator[tuple[Ports, FeedSpec, Run, list[str]]]:
    """The real ports with fate around them, the feed, the run, and what is said."""
    from include.feeds import feed_named
    from include.ingestion.run import Run
    from include.quality.gate import GreatExpectationsGate
    from include.stores.catalogue import results_of
    from include.stores.ledger import leases
    from include.stores.open import ledger_connection, s3_client
    from sluice.runtime import new_id, now, open_ports, settings_from
    from spark_jobs.runner import SparkRunner

    vars(leases).update(LEASE_SECONDS=task.lease_seconds, RENEW_SECONDS=task.lease_seconds / 4)
    where = settings_from(os.environ)
    spec = dataclasses.replace(feed_named(task.feed), archive=task.archive)
    ledger = MortalLedger(lambda: ledger_connection(where.ledger), at)
    store = MortalStore(s3_client(where.s3), at)
    said: list[str] = []
    with open_ports(where, spec, said.append) as real:
        ports = dataclasses.replace(
            real,
            store=store,
            ledger=ledger,
            gate=GreatExpectationsGate(store, where.s3.bucket),
            results=results_of(spec, ledger, store, where.s3.bucket, new_id),
            job=MortalJob(SparkRunner(where.spark, store, where.s3), at),
        )
        yield ports, spec, Run(task.run_id, now(), spec.parameters_from(task.parameters), task.max_files, spec.max_bytes), said


def produce_chunks(task: Task, at: At) -> dict[str, Any]:
    """Cut a source into chunks to its end, under a date of its own."""
    from include.feeds import feed_named
    from include.ingestion import keys
    from include.stores.open import ledger_connection, s3_client
    from sluice.produce.producer import Pace, produce
    from sluice.produce.sources import source
    from sluice.runtime import settings_from

    where = settings_from(os.environ)
    with ledger_connection(where.ledger) as ledger:
        made = produce(
            source(task.source),
            MortalStore(s3_client(where.s3), at),
            ledger,
            bucket=where.s3.bucket,
            prefix=keys.landing(task.feed),
            contract=feed_named(task.feed).contract,
            holder=task.run_id,
            clock=lambda: dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
            say=lambda _: None,
            pace=Pace(task.rows, every=0),
        )
    return {"chunks": made.chunks}
