"""What a process of the certificate does: the program's own functions on the real ports, with faults injected around effects.

It imports all that the program needs, Spark and Great Expectations too, so only processes forked from `preloaded` import it.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime as dt
import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.clients import ledger_connection, s3_client
from include.domains import auditor_of, feed_named, parts_of, ports_of
from include.feed import FeedSpec
from include.files import keys
from include.ledger import leases
from include.pipeline.ports import FeedParts, Ports
from include.pipeline.run import Progress, ingest_once, until_empty
from include.pipeline.services import Services
from include.quality.gate import GreatExpectationsGate
from include.reconcile.context import Scope
from include.reconcile.reconcile import reconcile
from include.replay.replay import replay
from include.run import Run
from sluice.produce.producer import Pace, produce
from sluice.produce.sources import source
from sluice.runtime import new_id, now, settings_from
from spark_jobs.runner import SparkRunner
from tools.certificate.domain import Domain
from tools.certificate.domains import DOMAINS
from tools.certificate.faults import FaultInjectingJob, FaultInjectingLedger, FaultInjectingStore, inject_into_lake_commits
from tools.certificate.stream import DAY, Fix, Replay
from tools.certificate.task import At, Counts, Task, Work

_BY, _WHY = "certificate", "it is right now"
_PRODUCED_AT = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


@dataclass
class _Opened:
    """The real ports with faults injected around their effects, for any feed of the domain."""

    task: Task
    domain: Domain
    common: Ports

    def of(self, feed: str) -> tuple[Ports, FeedSpec, Run]:
        spec, parts = self.common.peer_feed(feed)
        run = Run(self.task.run_id, now(), spec.parameters_from(self.task.parameters), self.task.max_files, spec.max_bytes)
        return dataclasses.replace(self.common, parts=parts), spec, run


@contextlib.contextmanager
def _opened(task: Task, at: At) -> Iterator[_Opened]:
    vars(leases).update(LEASE_SECONDS=task.lease_seconds, RENEW_SECONDS=task.lease_seconds / 4)
    inject_into_lake_commits(at)
    where = settings_from(os.environ)
    domain = DOMAINS[task.domain]
    ledger = FaultInjectingLedger(lambda: ledger_connection(where.ledger), at)
    store = FaultInjectingStore(s3_client(where.s3), at)

    job = FaultInjectingJob(SparkRunner(where.spark, store, where.s3), at)
    services = Services(store, ledger, job, now, new_id, lambda _: None, where.s3.bucket)

    def peer_feed(feed: str) -> tuple[FeedSpec, FeedParts]:
        spec = dataclasses.replace(feed_named(feed), archive=task.archive and feed in domain.archived)
        return spec, parts_of(spec, services)

    ports = ports_of(feed_named(domain.feeds[0]), services, GreatExpectationsGate(store, where.s3.bucket, ledger.replays))
    try:
        yield _Opened(task, domain, dataclasses.replace(ports, peer_feed=peer_feed))
    finally:
        ledger.close()


def ingest(task: Task, at: At) -> Counts:
    """Rounds of the five steps until nothing is left, feed after feed; then what follows."""
    progress = Progress()
    with _opened(task, at) as opened:
        work = until_empty if task.patient else ingest_once
        for feed in task.feeds:
            work(*opened.of(feed), progress)
        if opened.domain.follow_up is not None:
            opened.domain.follow_up.do(opened.of(opened.domain.feeds[0])[0], 0)
    return {"published": dict(progress.published), "runs": progress.runs}


def follow_up_later(task: Task, at: At) -> Counts:
    """What follows the ingest, as it is when nobody reads any more what earlier ones made."""
    with _opened(task, at) as opened:
        follow_up = opened.domain.follow_up
        assert follow_up is not None
        follow_up.do(opened.of(opened.domain.feeds[0])[0], follow_up.later)
    return {}


def put_right(task: Task, at: At) -> Counts:
    """What a person does about what was refused."""
    with _opened(task, at) as opened:
        for repair in task.repairs:
            file = opened.common.ledger.queries.file_story(repair.key)["file"]
            ports, spec, run = opened.of(file["feed"])
            if isinstance(repair, Replay):
                _try_again(ports, spec, run, file["file_id"], repair)
            else:
                _correct_rows(ports, file, repair)
    return {}


def _try_again(ports: Ports, spec: FeedSpec, run: Run, file_id: int, repair: Replay) -> None:
    """Have a refused file tried again; other bytes come from an object of the person's own, which goes away after it."""
    if repair.body is None:
        replay(ports, spec, run, file_id, _BY, _WHY)
        return
    theirs = f"corrected/{repair.key}"
    ports.store.put(ports.bucket, theirs, repair.body)
    replay(ports, spec, run, file_id, _BY, _WHY, f"s3://{ports.bucket}/{theirs}")
    ports.store.delete(ports.bucket, theirs)


def _correct_rows(ports: Ports, file: Mapping[str, Any], repair: Fix) -> None:
    """Put a file's `rejects.csv` with new text in its lines below fixes/."""
    folder = keys.error_folder(file["feed"], file["date"], file["key"], file["file_id"])
    rejects = ports.store.read_bytes(ports.bucket, keys.in_error(folder, "rejects.csv")).decode()
    reader = csv.DictReader(io.StringIO(rejects, newline=""))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, reader.fieldnames or (), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "original": repair.lines[int(row["line"])]} for row in reader if int(row["line"]) in repair.lines)
    ports.store.put(ports.bucket, f"{keys.fixes(file['feed'])}{DAY}/{repair.name}", text.getvalue().encode())


def reconcile_all(task: Task, at: At) -> Counts:
    """Bucket against ledger, and away with what nothing refers to."""
    with _opened(task, at) as opened:
        found = []
        for feed in task.feeds:
            ports, spec, run = opened.of(feed)
            found.append(reconcile(ports, auditor_of(spec, ports), spec, run, Scope(collect=True, grace_seconds=0)))
    return {"differences": [str(finding) for one in found for finding in one.findings if finding.fails]}


def produce_chunks(task: Task, at: At) -> Counts:
    """Cut a source into chunks to its end, under a date of its own."""
    where = settings_from(os.environ)
    (feed,) = task.feeds
    with ledger_connection(where.ledger) as ledger:
        made = produce(
            source(task.source),
            FaultInjectingStore(s3_client(where.s3), at),
            ledger,
            bucket=where.s3.bucket,
            prefix=keys.landing(feed),
            contract=feed_named(feed).contract,
            holder=task.run_id,
            clock=lambda: _PRODUCED_AT,
            log=lambda _: None,
            pace=Pace(task.rows, every=0),
        )
    return {"chunks": made.chunks}


WORKS: dict[Work, Callable[[Task, At], Counts]] = {
    Work.INGEST: ingest,
    Work.PRODUCE: produce_chunks,
    Work.RECONCILE: reconcile_all,
    Work.REPAIR: put_right,
    Work.FOLLOW_UP: follow_up_later,
}
