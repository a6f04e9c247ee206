"""How far the main job is, as the ledger tells it: one query round, a value, and whether it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.ingestion.feed import FeedSpec
    from include.stores.ledger import PostgresLedger

_CHUNKS = """
select count(*) filter (where landed_at is not null) as landed,
       count(*) filter (where landed_at is not null and not exists (
           select from file f where f.bucket = c.bucket and f.key = c.key)) as unregistered,
       extract(epoch from clock_timestamp() - min(landed_at) filter (where landed_at is not null and not exists (
           select from file f where f.bucket = c.bucket and f.key = c.key)))::float8 as oldest_seconds
from producer_chunk c where prefix in (select prefix from feed_source where feed = %s)
"""


@dataclass(frozen=True)
class Snapshot:
    """Counts since the ledger began. `oldest_seconds`: age of the oldest file that is not published or refused yet."""

    landed: int
    accepted: int
    published: int
    refused: int
    rows_accepted: int
    rows_rejected: int
    backlog: int
    undelivered: int
    oldest_seconds: float | None
    detections: dict[str, int]
    failure: str | None

    @property
    def settled(self) -> bool:
        """Whether everything that landed is published or refused, and delivered."""
        return self.backlog == 0 and self.undelivered == 0


def take(ledger: PostgresLedger, spec: FeedSpec, failures_after: int) -> Snapshot:
    """Ask the ledger. Of failures only those after the given id count."""
    chunks = ledger.row(_CHUNKS, (spec.name,))
    overview = ledger.feed_overview(spec.name)
    waiting = ledger.waiting(spec)
    states = overview["states"]
    assert chunks is not None
    ages = [age for age in (chunks["oldest_seconds"], waiting.oldest_seconds) if age is not None]
    failed = ledger.row("select step, what from failure where failure_id > %s order by failure_id desc limit 1", (failures_after,))
    return Snapshot(
        landed=chunks["landed"],
        accepted=states.get("accepted", 0) + states.get("published", 0),
        published=states.get("published", 0),
        refused=states.get("quarantined", 0) + states.get("duplicate", 0),
        rows_accepted=int(overview["rows_accepted"]),
        rows_rejected=int(overview["rows_rejected"]),
        backlog=chunks["unregistered"] + waiting.files,
        undelivered=waiting.undelivered,
        oldest_seconds=max(ages, default=None),
        detections=ledger.counts_by_pattern(),
        failure=f"{failed['step']}: {failed['what']}" if failed else None,
    )


def newest_failure(ledger: PostgresLedger) -> int:
    """The id of the newest failure on record, 0 if there is none."""
    found = ledger.row("select coalesce(max(failure_id), 0) as newest from failure")
    return found["newest"] if found else 0
