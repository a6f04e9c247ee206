"""What reconciliation asks of the ledger: files page by page, sums that should agree, and the few writes that make good what it found."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from include.feed import FeedSpec
from include.files import keys
from include.files.file import FileRecord
from include.files.verdict import Verdict
from include.ledger.files import KEPT, file_record
from include.ledger.leases import GC_LOCK
from include.ledger.session import Cursor, LedgerPart
from include.reconcile.finding import Finding
from include.reconcile.inventory import Expected
from include.run import Run
from include.version import code_version


@dataclass(frozen=True)
class AtWork:
    """What may still be written and pointed at: under the newest token, and by the newest attempt at the newest batch."""

    token: int
    last_batch: int
    open_attempt: int | None

    def may_use(self, key: str) -> bool:
        """Whether a run may yet point at an object.

        >>> now = AtWork(token=7, last_batch=3, open_attempt=2)
        >>> [now.may_use(f"bronze/f/dt=2026-11-21/file=1/attempt={a}/part-00000.parquet") for a in ("6-ab", "7-cd")]
        [False, True]
        >>> [now.may_use(f"state/f/batch={b:08d}/attempt={a}/partials.parquet") for b, a in ((2, 1), (3, 1), (3, 2), (4, 1))]
        [False, False, True, True]
        """
        attempt = keys.bronze_attempt(key)
        if attempt is not None:
            token = attempt.split("-")[0]
            return token.isdigit() and int(token) >= self.token
        tried = keys.batch_attempt(key)
        if tried is None:
            return False
        batch, number = tried
        if batch > self.last_batch:
            return True
        return batch == self.last_batch and self.open_attempt is not None and number >= self.open_attempt


@dataclass(frozen=True)
class DailyTotals:
    """One date of a feed as it was found: objects that hold original bytes, files by state, lines, amounts.

    Amounts are in the smallest unit of the feed's; None where contents were not read. `amount_in` = `amount_out` + `amount_rejected`.
    """

    date: dt.date
    objects: int
    files: int
    accepted: int
    quarantined: int
    duplicate: int
    waiting: int
    lines: int
    lines_accepted: int
    rejected: int
    amount_in: int | None
    amount_out: int | None
    amount_rejected: int | None
    findings: int
    ok: bool


_OF_AN_ATTEMPT = ("manifest.json", "request.json")
_PAGE = 1000

# What the ledger says twice, and where the two do not agree. `%(feed)s` alone.
_SUMS = """
select 'feed ' || f.feed as place,
       format('last_seq is %%s, %%s files are registered, the highest seq is %%s', f.last_seq, count(*), max(file.seq)) as what
from feed f join file using (feed) where f.feed = %(feed)s
group by f.feed having f.last_seq <> count(*) or f.last_seq <> max(file.seq)
union all
select 's3://' || bucket || '/' || key, format('of %%s versions %%s are the latest', count(*), count(*) filter (where latest))
from file where feed = %(feed)s group by bucket, key having count(*) filter (where latest) <> 1
union all
select 'file ' || file_id, format('%%s lines, %%s accepted and %%s rejected', lines, accepted, rejected)
from file where feed = %(feed)s and lines <> accepted + rejected
union all
select 'file ' || f.file_id, format('%%s rows were accepted, its bronze objects were written with %%s', f.accepted, b.rows)
from file f cross join lateral (select coalesce(sum((ref ->> 'rows')::bigint), 0) as rows from jsonb_array_elements(f.bronze) ref) b
where f.feed = %(feed)s and f.state in ('accepted', 'published', 'superseded') and b.rows <> f.accepted
union all
select 'batch ' || b.batch, format('%%s files with %%s rows were put into it, %%s with %%s belong to it', b.files, b.rows, count(f.file_id),
                                   coalesce(sum(f.accepted), 0))
from batch b left join file f using (group_name, batch)
where b.feed = %(feed)s and b.state <> 'abandoned'
group by b.group_name, b.batch having b.files <> count(f.file_id) or b.rows <> coalesce(sum(f.accepted), 0)
union all
select 'file ' || f.file_id, format('is %%s in batch %%s, which is %%s', f.state, f.batch, coalesce(b.state::text, 'not there'))
from file f left join batch b using (group_name, batch)
where f.feed = %(feed)s and (f.state in ('published', 'superseded')) <> (coalesce(b.state = 'published', false))
union all
select 'file ' || f.file_id, format('is %%s, and the next step on record for it is %%s', f.state, coalesce(w.step, 'none'))
from file f left join work w using (file_id)
where f.feed = %(feed)s and w.step is distinct from next_step(f.state, f.validated_at, f.delivered_at)
union all
select 'batch ' || b.batch, format('is %%s, and the next step on record for it is %%s', b.state, coalesce(w.step, 'none'))
from batch b left join work w using (group_name, batch)
where b.feed = %(feed)s and w.step is distinct from next_step(b.state, b.delivered_at)
order by 1, 2 limit 100
"""

_DAILY_TOTALS = """
select date,
       count(*) as files,
       count(*) filter (where state in ('accepted', 'published', 'superseded')) as accepted,
       count(*) filter (where state in ('quarantined', 'discarded')) as quarantined,
       count(*) filter (where state = 'duplicate') as duplicate,
       count(*) filter (where state in ('registered', 'replaying')) as waiting,
       coalesce(sum(lines), 0)::bigint as lines,
       coalesce(sum(accepted), 0)::bigint as lines_accepted,
       coalesce(sum(rejected), 0)::bigint as rejected
from file where feed = %(feed)s and kind = 'landing' and (%(date)s::date is null or date = %(date)s) group by date order by date
"""


class Checks(LedgerPart):
    """The ledger as reconciliation reads it."""

    def at_work(self, spec: FeedSpec) -> AtWork:
        """What may still be pointed at: asked before the pointers are read, so that nothing falls between the two."""
        found = self.session.row(
            """select g.lease_token as token, g.last_batch,
                      (select attempt from batch b where b.group_name = g.group_name and b.state = 'open') as open_attempt
               from feed_group g where g.group_name = %s""",
            (spec.group,),
        )
        assert found is not None, "a feed has its group"
        return AtWork(**found)

    def records_page(self, spec: FeedSpec, after_seq: int, limit: int, date: dt.date | None) -> list[FileRecord]:
        """The next files in seq order, of a date or all."""
        found = self.session.rows(
            f"""select {KEPT} from file
               where feed = %(feed)s and seq > %(after)s and (%(date)s::date is null or date = %(date)s) order by seq limit %(limit)s""",
            {"feed": spec.name, "after": after_seq, "date": date, "limit": limit},
        )
        return [file_record(row) for row in found]

    def objects_of_batches(self, spec: FeedSpec, bucket: str) -> Iterator[Expected]:
        """What the published attempts left, and the references: all of it may be there."""
        after = 0
        while page := self.session.rows(
            """select batch, attempt, manifest -> 'objects' as objects from batch
               where feed = %s and state = 'published' and batch > %s order by batch limit %s""",
            (spec.name, after, _PAGE),
        ):
            for row in page:
                folders = keys.attempt_folder(spec.name, row["batch"], row["attempt"]), keys.delivery_folder(spec.name, row["batch"])
                names = [keys.in_attempt(folder, name) for folder in folders for name in _OF_AN_ATTEMPT]
                names += [ref["key"] for ref in (row["objects"] or {}).values()]
                yield from (Expected(bucket, key, "attempt", row["batch"], required=False) for key in names)
            after = page[-1]["batch"]
        for row in self.session.rows("select bucket, key, version from reference where feed = %s", (spec.name,)):
            yield Expected(row["bucket"], row["key"], "reference", row["version"], required=False)

    def daily_totals(self, spec: FeedSpec, date: dt.date | None) -> list[dict[str, Any]]:
        """Landed files, decisions and lines by date."""
        return [dict(row) for row in self.session.rows(_DAILY_TOTALS, {"feed": spec.name, "date": date})]

    def sums_that_differ(self, spec: FeedSpec) -> list[tuple[str, str]]:
        """(where, what) of everything that the ledger says twice and not alike; one statement, so one moment."""
        return [(row["place"], row["what"]) for row in self.session.rows(_SUMS, {"feed": spec.name})]

    def mark_gone(self, spec: FeedSpec, token: int, run: Run, file_id: int) -> dt.datetime:
        """Note that original bytes are nowhere any more; when they were last known to be there."""
        with self.session.fenced(spec, token, run) as cursor:
            cursor.execute(
                """update file f set location = 'gone', location_key = null where file_id = %s
                   returning greatest(f.registered_at, f.validated_at,
                                      (select checked_at from reconciliation r where r.feed = f.feed and r.date = f.date)) as seen""",
                (file_id,),
            )
            found = cursor.fetchone()
            assert found is not None, "the ledger never forgets a file"
            seen: dt.datetime = found["seen"]
            event_text = f"gone: its object is not there any more; last seen {seen.isoformat(timespec='seconds')}"
            _event(cursor, run, file_id, "relocated", event_text)
        return seen

    def point_at_rows(self, spec: FeedSpec, token: int, run: Run, verdict: Verdict, why: str) -> None:
        """Point at bronze and rejects that were made again with the recorded result; counts and digests stay."""
        with self.session.fenced(spec, token, run) as cursor:
            cursor.execute(
                """update file set bronze = %s, rejects = %s
                   where file_id = %s and bronze_digest is not distinct from %s and sha256 = %s returning file_id""",
                (
                    Jsonb([dataclasses.asdict(ref) for ref in verdict.bronze]),
                    Jsonb(dataclasses.asdict(verdict.rejects)) if verdict.rejects else None,
                    verdict.file_id,
                    verdict.bronze_digest,
                    verdict.sha256,
                ),
            )
            if cursor.fetchone() is not None:
                _event(cursor, run, verdict.file_id, "note", why)

    @contextmanager
    def gc_lock(self, spec: FeedSpec, candidates: Sequence[str]) -> Iterator[frozenset[str]]:
        """Keep everybody from beginning to point at objects of state; which of these a reference or a published batch points at by now."""
        tried = {attempt for key in candidates if (attempt := keys.batch_attempt(key)) is not None}
        with self.session.transaction() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", (GC_LOCK,))
            cursor.execute(
                """select key from reference where key = any(%(keys)s)
                   union
                   select ref ->> 'key' from batch cross join lateral jsonb_path_query(manifest, '$.objects.*') as ref
                   where feed = %(feed)s and batch = any(%(batches)s) and state = 'published'""",
                {"keys": list(candidates), "feed": spec.name, "batches": sorted({batch for batch, _ in tried})},
            )
            yield frozenset(row["key"] for row in cursor.fetchall())

    def record(
        self, spec: FeedSpec, run: Run, read: bool, daily_totals: Sequence[DailyTotals], findings: Sequence[Finding], at: dt.datetime
    ) -> None:
        """Keep the newest check of each date, and every finding. Amounts stay those of the last check that read contents."""
        with self.session.transaction(run) as cursor:
            cursor.executemany(
                """insert into reconciliation as kept
                       (feed, date, checked_at, run_id, code_version, objects, files, accepted, quarantined, duplicate, waiting,
                        lines, lines_accepted, rejected, amount_in, amount_out, amount_rejected, read_at, findings, ok)
                   values (%(feed)s, %(date)s, %(at)s, %(run)s, %(code)s, %(objects)s, %(files)s,
                           %(accepted)s, %(quarantined)s, %(duplicate)s, %(waiting)s, %(lines)s, %(lines_accepted)s, %(rejected)s,
                           %(amount_in)s, %(amount_out)s, %(amount_rejected)s, %(read_at)s, %(findings)s, %(ok)s)
                   on conflict (feed, date) do update set
                       (checked_at, run_id, code_version, objects, files, accepted, quarantined, duplicate, waiting,
                        lines, lines_accepted, rejected, amount_in, amount_out, amount_rejected, read_at, findings, ok)
                     = (excluded.checked_at, excluded.run_id, excluded.code_version, excluded.objects, excluded.files, excluded.accepted,
                        excluded.quarantined, excluded.duplicate, excluded.waiting,
                        excluded.lines, excluded.lines_accepted, excluded.rejected,
                        case when excluded.read_at is null then kept.amount_in else excluded.amount_in end,
                        case when excluded.read_at is null then kept.amount_out else excluded.amount_out end,
                        case when excluded.read_at is null then kept.amount_rejected else excluded.amount_rejected end,
                        coalesce(excluded.read_at, kept.read_at), excluded.findings, excluded.ok)""",
                [
                    dataclasses.asdict(totals)
                    | {"feed": spec.name, "at": at, "run": run.run_id, "code": code_version(), "read_at": at if read else None}
                    for totals in daily_totals
                ],
            )
            cursor.executemany(
                """insert into reconciliation_finding (feed, date, file_id, at, run_id, code, severity, place, what, next_step, repaired)
                   values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                [
                    (
                        spec.name,
                        one.date,
                        one.file_id,
                        at,
                        run.run_id,
                        one.code,
                        one.severity,
                        one.where,
                        one.what,
                        one.next_step,
                        one.repaired,
                    )
                    for one in findings
                ],
            )

    def newest_checks(self, feed: str, limit: int | None = None) -> list[dict[str, Any]]:
        """The newest check of each date, newest dates last."""
        return self.session.rows(
            "select * from (select * from reconciliation where feed = %s order by date desc limit %s) newest order by date", (feed, limit)
        )


def _event(cursor: Cursor, run: Run, file_id: int, kind: str, reason: str) -> None:
    cursor.execute("insert into file_event (file_id, kind, reason, run_id) values (%s, %s, %s, %s)", (file_id, kind, reason, run.run_id))
