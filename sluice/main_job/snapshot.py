"""How far the main job is, as the ledger tells it: what this run landed apart from the whole feed, and whether all is done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.domains.transactions.queries import counts_by_pattern

if TYPE_CHECKING:
    from include.feed import FeedSpec
    from include.ledger import Ledger

_WAITING = """
select count(*) filter (where f.file_id is null) as unregistered,
       extract(epoch from clock_timestamp() - min(landed_at))::float8 as oldest_seconds
from producer_chunk c left join file f on f.feed = %(feed)s and f.bucket = c.bucket and f.key = c.key and f.latest
where landed_at is not null and prefix in (select prefix from feed_source where feed = %(feed)s)
  and (f.file_id is null or f.state in ('registered', 'accepted'))
"""
_CHUNKS = """
select coalesce(f.state::text, 'registered') as state, c.landed_at, f.seq, f.accepted, f.rejected
from producer_source s join producer_chunk c using (source_id)
     left join file f on f.feed = %(feed)s and f.bucket = c.bucket and f.key = c.key and f.latest
where s.location = %(location)s and c.landed_at is not null
"""
_LANDED = f"""
with chunk as ({_CHUNKS}), mine as (select * from chunk where landed_at >= %(since)s)
select (select coalesce(jsonb_object_agg(state, files), '{{}}') from (
           select state, count(*) as files from mine group by state) s) as states,
       coalesce(sum(accepted) filter (where state in ('accepted', 'published')), 0)::bigint as rows_accepted,
       coalesce(sum(rejected) filter (where state in ('accepted', 'published')), 0)::bigint as rows_rejected,
       (select coalesce(jsonb_object_agg(pattern_id, found), '{{}}') from (
           select pattern_id, count(*) as found from detection where seq in (select seq from mine) group by pattern_id) d) as detections
from mine
"""
_BEFORE = f"""
with chunk as ({_CHUNKS}), earlier as (select * from chunk where landed_at < %(since)s)
select (select coalesce(jsonb_object_agg(state, files), '{{}}') from (
           select state, count(*) as files from earlier group by state) s) as states,
       min(landed_at) as first_at, max(landed_at) as last_at
from earlier
"""
_WORDS = {"registered": "waiting", "accepted": "waiting", "quarantined": "refused", "replaying": "refused"}


@dataclass(frozen=True)
class Landing:
    """What tells a run's chunks from others: where its source lies, and when (by the ledger's clock) the run began."""

    location: str
    since: dt.datetime


@dataclass(frozen=True)
class Part:
    """Files by what became of them, each in one of the counts; the rows that count of them; what was found by them."""

    files: dict[str, int]
    rows_accepted: int
    rows_rejected: int
    detections: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.files.values())


@dataclass(frozen=True)
class Snapshot:
    """This run's chunks, and all files of the feed. `oldest_seconds`: since the landing of the oldest that waits."""

    run: Part
    feed: Part
    backlog: int
    undelivered: int
    oldest_seconds: float | None
    failure: str | None

    @property
    def decided(self) -> bool:
        """Whether everything that landed is published or refused, and delivered."""
        return self.backlog == 0 and self.undelivered == 0


@dataclass(frozen=True)
class Before:
    """What earlier runs landed of a source."""

    files: dict[str, int]
    first_at: dt.datetime | None
    last_at: dt.datetime | None


def by_fate(states: Mapping[str, int]) -> dict[str, int]:
    """States of the ledger in the words of the main job, published and refused always among them.

    >>> by_fate({"registered": 1, "accepted": 2, "quarantined": 3, "duplicate": 4})
    {'published': 0, 'refused': 3, 'waiting': 3, 'duplicate': 4}
    """
    fates = {"published": 0, "refused": 0}
    for state, files in states.items():
        word = _WORDS.get(state, state)
        fates[word] = fates.get(word, 0) + files
    return fates


def landing_from_now(ledger: Ledger, location: str) -> Landing:
    """A run on a source that begins now."""
    now = ledger.row("select clock_timestamp() as now")
    assert now is not None
    return Landing(location, now["now"])


def take(ledger: Ledger, spec: FeedSpec, landing: Landing, failures_after: int) -> Snapshot:
    """Ask the ledger. Of failures only those after the given id count."""
    chunks = ledger.row(_WAITING, {"feed": spec.name})
    mine = ledger.row(_LANDED, _about(spec, landing))
    overview = ledger.queries.feed_overview(spec.name)
    waiting = ledger.files.waiting(spec)
    assert chunks is not None
    assert mine is not None
    ages = [age for age in (chunks["oldest_seconds"], waiting.oldest_seconds) if age is not None]
    failed = ledger.row("select step, what from failure where failure_id > %s order by failure_id desc limit 1", (failures_after,))
    return Snapshot(
        run=Part(by_fate(mine["states"]), mine["rows_accepted"], mine["rows_rejected"], mine["detections"]),
        feed=Part(
            by_fate(overview["states"]), int(overview["rows_accepted"]), int(overview["rows_rejected"]), counts_by_pattern(ledger.session)
        ),
        backlog=chunks["unregistered"] + waiting.files,
        undelivered=waiting.undelivered,
        oldest_seconds=max(ages, default=None),
        failure=f"{failed['step']}: {failed['what']}" if failed else None,
    )


def landed_before(ledger: Ledger, spec: FeedSpec, landing: Landing) -> Before:
    """What the ledger knows of a source from before this run."""
    found = ledger.row(_BEFORE, _about(spec, landing))
    assert found is not None
    return Before(by_fate(found["states"]), found["first_at"], found["last_at"])


def newest_failure(ledger: Ledger) -> int:
    """The id of the newest failure on record, 0 if there is none."""
    found = ledger.row("select coalesce(max(failure_id), 0) as newest from failure")
    return found["newest"] if found else 0


def _about(spec: FeedSpec, landing: Landing) -> dict[str, Any]:
    return {"feed": spec.name, "location": landing.location, "since": landing.since}
