"""The five steps one after another, in one process: once, until nothing is left, or for as long as files keep coming."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from include.errors import FeedBusy
from include.feed import FeedSpec
from include.files.failure import Undone
from include.pipeline.deliver import Delivered, deliver
from include.pipeline.delivering import NotDelivered, stuck
from include.pipeline.discover import discover
from include.pipeline.gate import gate
from include.pipeline.outage import WorkFailed
from include.pipeline.ports import Ports
from include.pipeline.process import process
from include.pipeline.publish import publish
from include.run import Run

Result = TypeVar("Result")

_BUSY_PAUSE_SECONDS = 0.5
_IDLE_PAUSE_SECONDS = 0.1
_MOST_TRIES = 3  # how often a delivery fails before `until_empty` no longer waits for it: some 15 s


@dataclass
class Progress:
    """What a loop of runs has done so far: counts, and seconds a step."""

    runs: int = 0
    registered: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    published: dict[str, int] = field(default_factory=dict)
    tried: int = 0
    delivered: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def decided(self) -> int:
        """How many files were decided."""
        return self.accepted + self.quarantined + self.duplicate

    def timed(self, step: str, started: float) -> float:
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - started
        return now


def ingest_once(ports: Ports, spec: FeedSpec, run: Run, progress: Progress) -> Delivered:
    """One round of the five steps; where it finds a batch that another feed of the group left unfinished, one for that batch before.

    Whatever fails, the lease is let go, so that the next run need not wait for it. What could not be delivered is in the answer: nothing
    else waits for it.

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
    batch_ports, batch_spec = ports.for_peer_feed(spec, found.resumes_feed or spec.name)
    resumes_peer = batch_spec.name != spec.name
    if found.token is not None:
        try:
            for group in found.groups:
                gate(ports, spec, run, found.token, group.file_ids)
            at = progress.timed("gate", at)
            processed = process(batch_ports, batch_spec, run, found.token, found.file_ids)
            at = progress.timed("process", at)
            published = publish(batch_ports, batch_spec, run, found.token, processed)
            at = progress.timed("publish", at)
        except WorkFailed as failed:
            if not resumes_peer:
                raise
            ports.log(str(failed))
            return None
        finally:
            ports.ledger.leases.release(spec, found.token)
        if resumes_peer:
            return None
        progress.accepted += processed.accepted
        progress.quarantined += processed.quarantined
        progress.duplicate += processed.duplicate
        for name, count in published.counts.items() if published else ():
            progress.published[name] = progress.published.get(name, 0) + count
    return _deliver(ports, spec, run, progress)


def _deliver(ports: Ports, spec: FeedSpec, run: Run, progress: Progress) -> Delivered:
    at = time.perf_counter()
    delivered = deliver(ports, spec, run)
    progress.timed("deliver", at)
    progress.tried += delivered.tried
    progress.delivered += delivered.done
    return delivered


def until_empty(ports: Ports, spec: FeedSpec, run: Run, progress: Progress) -> Delivered:
    """Run until a listing of everything finds nothing new, nothing waits, and everything published is delivered.

    Another run of the feed is waited for, and a file that rests after it failed. What cannot be delivered is tried a few times more; it is
    in the answer if it still fails. A broken environment ends it with its error; bad files and files that fail do not.
    """
    delivered = Delivered(0, 0, 0)
    while True:
        before = (progress.registered, progress.decided, progress.published.get("files", 0))
        fresh = dataclasses.replace(run, started_at=ports.clock(), full=True)
        try:
            delivered = waiting_for_others(ports, lambda fresh=fresh: ingest_once(ports, spec, fresh, progress))  # type: ignore[misc]
        except WorkFailed as failed:
            ports.log(str(failed))
        waiting = ports.ledger.files.waiting(spec)
        if progress.registered == before[0] and (waiting.nothing or (not waiting.files and _given_up(delivered.undone))):
            return delivered
        changed = (progress.registered, progress.decided, progress.published.get("files", 0)) != before
        if waiting.rest_seconds is not None and not changed:
            ports.log(f"{waiting.files} files wait for the next try in {waiting.rest_seconds:.0f} s")
            time.sleep(waiting.rest_seconds)
        while not waiting.files and waiting.undelivered and not _given_up(delivered.undone):
            time.sleep(_until_tried_again(ports, delivered))
            delivered = _deliver(ports, spec, fresh, progress)
            waiting = ports.ledger.files.waiting(spec)


def _given_up(undone: Sequence[Undone]) -> bool:
    """Whether deliveries fail, and all that do have failed too often to be waited for."""
    return bool(undone) and min(one.failures for one in undone) >= _MOST_TRIES


def _until_tried_again(ports: Ports, delivered: Delivered) -> float:
    """Seconds until the first delivery that rests is due, or another run may be done with its own."""
    rests = [(one.retry_at - ports.clock()).total_seconds() for one in delivered.undone]
    return max(min(rests, default=_BUSY_PAUSE_SECONDS), _IDLE_PAUSE_SECONDS)


def follow(ports: Ports, spec: FeedSpec, run: Run, progress: Progress, *, idle_seconds: float, until: Callable[[], bool]) -> Delivered:
    """Go round the five steps while files keep coming, until none came for `idle_seconds` or `until` says so."""
    last_work, delivered = time.monotonic(), Delivered(0, 0, 0)
    while not until():
        before = (progress.registered, progress.published.get("files", 0))
        fresh = dataclasses.replace(run, started_at=ports.clock(), full=False)
        delivered = waiting_for_others(ports, lambda fresh=fresh: ingest_once(ports, spec, fresh, progress))  # type: ignore[misc]
        if (progress.registered, progress.published.get("files", 0)) != before:
            last_work = time.monotonic()
        elif time.monotonic() - last_work >= idle_seconds:
            break
        else:
            time.sleep(_IDLE_PAUSE_SECONDS)
    return delivered


def not_delivered(ports: Ports, spec: FeedSpec, progress: Progress, delivered: Delivered) -> NotDelivered | None:
    """Why rounds of the five steps that ended like this fail in the end, if they do."""
    failed = stuck(delivered.undone, progress.tried, progress.delivered, ports.clock())
    return NotDelivered(spec.group, failed) if failed else None


def waiting_for_others(ports: Ports, work: Callable[[], Result], seconds: float | None = None) -> Result:
    """Do the work once no other run of the feed is at it; say so once.

    Raises:
        FeedBusy: another run still is after so many seconds; None waits for ever.
    """
    last_holder, first = "", time.monotonic()
    while True:
        try:
            return work()
        except FeedBusy as busy:
            if seconds is not None and time.monotonic() - first >= seconds:
                raise
            if busy.holder != last_holder:
                ports.log(f"waiting: {busy}")
                last_holder = busy.holder
            time.sleep(_BUSY_PAUSE_SECONDS)
