"""The five steps one after another, in one process: once, until nothing is left, or for as long as files keep coming."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from include.ingestion.errors import FeedBusy
from include.ingestion.feed import FeedSpec
from include.ingestion.ports import Ports
from include.ingestion.repair.failing import WorkFailed
from include.ingestion.run import Run
from include.ingestion.steps.deliver import Delivered, deliver
from include.ingestion.steps.discover import discover
from include.ingestion.steps.gate import gate
from include.ingestion.steps.process import process
from include.ingestion.steps.publish import publish

Result = TypeVar("Result")

_BUSY_PAUSE_SECONDS = 0.5
_IDLE_PAUSE_SECONDS = 0.1


@dataclass
class Progress:
    """What a loop of runs has done so far: counts, and seconds a step."""

    runs: int = 0
    registered: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    published: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """How many files were decided."""
        return self.accepted + self.quarantined + self.duplicate

    def timed(self, step: str, started: float) -> float:
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - started
        return now


def ingest_once(ports: Ports, spec: FeedSpec, run: Run, progress: Progress) -> Delivered:
    """One round of the five steps; where it finds a batch that another feed of the group left unfinished, one for that batch before.

    Whatever fails, the lease is let go, so that the next run need not wait for it.

    Raises:
        FeedBusy, FeedPaused, LeaseLost, EnvironmentFailure, WorkFailed: as the steps do. Where the other feed's batch fails although every
            service answers, that is said, and the feed's own work goes on.
    """
    while True:
        done = _round(ports, spec, run, progress)
        if done is not None:
            return done


def _round(ports: Ports, spec: FeedSpec, run: Run, progress: Progress) -> Delivered | None:
    """The five steps; None where they were for another feed of the group, so that the feed's own are still to come."""
    at = time.perf_counter()
    found = discover(ports, spec, run)
    at = progress.timed("discover", at)
    progress.runs += 1
    progress.registered += found.registered
    of_another = found.resumes_feed not in {None, spec.name}
    if found.token is not None:
        try:
            for group in found.groups:
                gate(ports, spec, run, found.token, group.file_ids)
            at = progress.timed("gate", at)
            processed = process(ports, spec, run, found.token, found.file_ids)
            at = progress.timed("process", at)
            published = publish(ports, spec, run, found.token, processed)
            at = progress.timed("publish", at)
        except WorkFailed as failed:
            if not of_another:
                raise
            ports.say(str(failed))
            return None
        finally:
            ports.ledger.let_go(spec, found.token)
        if of_another:
            return None
        progress.accepted += processed.accepted
        progress.quarantined += processed.quarantined
        progress.duplicate += processed.duplicate
        for name, count in published.counts.items() if published else ():
            progress.published[name] = progress.published.get(name, 0) + count
    at = time.perf_counter()
    delivered = deliver(ports, spec, run)
    progress.timed("deliver", at)
    return delivered


def until_empty(ports: Ports, spec: FeedSpec, run: Run, progress: Progress) -> None:
    """Run until a listing of everything finds nothing new, nothing waits, and everything published is delivered.

    Another run of the feed is waited for, and a file that rests after it failed. A broken environment ends it with its error; bad files
    and files that fail do not.
    """
    while True:
        before = (progress.registered, progress.settled, progress.published.get("files", 0))
        fresh = dataclasses.replace(run, started_at=ports.clock(), full=True)
        try:
            waiting_for_others(ports, lambda fresh=fresh: ingest_once(ports, spec, fresh, progress))  # type: ignore[misc]
        except WorkFailed as failed:
            ports.say(str(failed))
        waiting = ports.ledger.waiting(spec)
        if progress.registered == before[0] and waiting.nothing:
            return
        changed = (progress.registered, progress.settled, progress.published.get("files", 0)) != before
        if waiting.rest_seconds is not None and not changed:
            ports.say(f"{waiting.files} files wait for the next try in {waiting.rest_seconds:.0f} s")
            time.sleep(waiting.rest_seconds)


def follow(ports: Ports, spec: FeedSpec, run: Run, progress: Progress, *, idle_seconds: float, until: Callable[[], bool]) -> None:
    """Go round the five steps while files keep coming, until none came for `idle_seconds` or `until` says so."""
    last_work = time.monotonic()
    while not until():
        before = (progress.registered, progress.published.get("files", 0))
        fresh = dataclasses.replace(run, started_at=ports.clock(), full=False)
        waiting_for_others(ports, lambda fresh=fresh: ingest_once(ports, spec, fresh, progress))  # type: ignore[misc]
        if (progress.registered, progress.published.get("files", 0)) != before:
            last_work = time.monotonic()
        elif time.monotonic() - last_work >= idle_seconds:
            return
        else:
            time.sleep(_IDLE_PAUSE_SECONDS)


def waiting_for_others(ports: Ports, work: Callable[[], Result], seconds: float | None = None) -> Result:
    """Do the work once no other run of the feed is at it; say so once.

    Raises:
        FeedBusy: another run still is after so many seconds; None waits for ever.
    """
    told, first = "", time.monotonic()
    while True:
        try:
            return work()
        except FeedBusy as busy:
            if seconds is not None and time.monotonic() - first >= seconds:
                raise
            if busy.holder != told:
                ports.say(f"waiting: {busy}")
                told = busy.holder
            time.sleep(_BUSY_PAUSE_SECONDS)
