"""What a victim does: the program's own functions on the real ports, with a look at the fates around each effect."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certificate.mortal import At, MortalJob, MortalLedger, MortalStore, commit_mortally

if TYPE_CHECKING:
    from certificate.domain import Domain
    from certificate.victim import Task
    from include.ingestion.feed import FeedSpec
    from include.ingestion.ports import Ports
    from include.ingestion.run import Run


def ingest(task: Task, at: At) -> dict[str, Any]:
    """Rounds of the five steps until nothing is left, feed after feed; then what follows."""
    from include.ingestion.ingest import Progress, ingest_once, until_empty

    progress = Progress()
    with _opened(task, at) as opened:
        work = until_empty if task.patient else ingest_once
        for feed in task.feeds:
            work(opened.ports(feed), opened.spec(feed), opened.run(feed), progress)
        if opened.domain.follow_up is not None:
            opened.domain.follow_up.do(opened.ports(opened.domain.feeds[0]), 0)
    return {"published": dict(progress.published), "runs": progress.runs, "said": opened.said}


def follow_up_later(task: Task, at: At) -> dict[str, Any]:
    """What follows the ingest, as it is when nobody reads any more what earlier ones made."""
    with _opened(task, at) as opened:
        follow_up = opened.domain.follow_up
        assert follow_up is not None
        follow_up.do(opened.ports(opened.domain.feeds[0]), follow_up.later)
    return {"said": opened.said}


def put_right(task: Task, at: At) -> dict[str, Any]:
    """What a person does about what was refused."""
    from certificate.repairs import correct_rows, try_again
    from certificate.stream import Replay

    with _opened(task, at) as opened:
        for repair in task.repairs:
            file = opened.common.ledger.file_story(repair.key)["file"]  # type: ignore[attr-defined]
            ports, feed = opened.ports(file["feed"]), file["feed"]
            if isinstance(repair, Replay):
                try_again(ports, opened.spec(feed), opened.run(feed), file["file_id"], repair)
            else:
                correct_rows(ports, file, repair)
    return {"said": opened.said}


def reconcile_all(task: Task, at: At) -> dict[str, Any]:
    """Bucket against ledger, and away with what nothing refers to."""
    from include.ingestion.reconcile.look import Scope
    from include.ingestion.reconcile.reconcile import reconcile

    differences = []
    with _opened(task, at) as opened:
        for feed in task.feeds:
            found = reconcile(opened.ports(feed), opened.spec(feed), opened.run(feed), Scope(collect=True, grace_seconds=0))
            differences += [str(finding) for finding in found.findings if finding.fails]
    return {"differences": differences}


@dataclass
class _Opened:
    """The real ports with fate around them, for any feed of the domain, and what is said."""

    task: Task
    domain: Domain
    common: Ports
    said: list[str] = field(default_factory=list)

    def spec(self, feed: str) -> FeedSpec:
        return self.common.sister(feed)[0]

    def ports(self, feed: str) -> Ports:
        return dataclasses.replace(self.common, results=self.common.sister(feed)[1])

    def run(self, feed: str) -> Run:
        from include.ingestion.run import Run
        from sluice.runtime import now

        spec = self.spec(feed)
        return Run(self.task.run_id, now(), spec.parameters_from(self.task.parameters), self.task.max_files, spec.max_bytes)


@contextlib.contextmanager
def _opened(task: Task, at: At) -> Iterator[_Opened]:
    from certificate.domains import DOMAINS
    from include.feeds import feed_named
    from include.ingestion.ports import Ports
    from include.quality.gate import GreatExpectationsGate
    from include.stores.catalogue import results_of
    from include.stores.ledger import leases
    from include.stores.open import ledger_connection, s3_client
    from sluice.runtime import new_id, now, settings_from
    from spark_jobs.runner import SparkRunner

    vars(leases).update(LEASE_SECONDS=task.lease_seconds, RENEW_SECONDS=task.lease_seconds / 4)
    commit_mortally(at)
    where = settings_from(os.environ)
    domain = DOMAINS[task.domain]
    ledger = MortalLedger(lambda: ledger_connection(where.ledger), at)
    store = MortalStore(s3_client(where.s3), at)
    said: list[str] = []

    def sister(feed: str) -> tuple[FeedSpec, Any]:
        spec = dataclasses.replace(feed_named(feed), archive=task.archive and feed in domain.archived)
        return spec, results_of(spec, ledger, store, where.s3.bucket, new_id)

    ports = Ports(
        store=store,
        ledger=ledger,
        gate=GreatExpectationsGate(store, where.s3.bucket, ledger),
        results=sister(domain.feeds[0])[1],
        job=MortalJob(SparkRunner(where.spark, store, where.s3), at),
        clock=now,
        new_id=new_id,
        say=said.append,
        bucket=where.s3.bucket,
        sister=sister,
    )
    try:
        yield _Opened(task, domain, ports, said)
    finally:
        ledger.close()


def produce_chunks(task: Task, at: At) -> dict[str, Any]:
    """Cut a source into chunks to its end, under a date of its own."""
    from include.feeds import feed_named
    from include.ingestion import keys
    from include.stores.open import ledger_connection, s3_client
    from sluice.produce.producer import Pace, produce
    from sluice.produce.sources import source
    from sluice.runtime import settings_from

    where = settings_from(os.environ)
    (feed,) = task.feeds
    with ledger_connection(where.ledger) as ledger:
        made = produce(
            source(task.source),
            MortalStore(s3_client(where.s3), at),
            ledger,
            bucket=where.s3.bucket,
            prefix=keys.landing(feed),
            contract=feed_named(feed).contract,
            holder=task.run_id,
            clock=lambda: dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
            say=lambda _: None,
            pace=Pace(task.rows, every=0),
        )
    return {"chunks": made.chunks}
