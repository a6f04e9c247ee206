"""What people ask of the ledger: files, histories, batches, detections. Rows as they are printed; nothing is changed here."""

from __future__ import annotations

from typing import Any

from include.ingestion.errors import FileUnknown
from include.stores.ledger.session import LedgerSession

_FILE = """key, seq, state, lines, accepted, rejected, reason, sha256, duplicate_of, batch, registered_at, published_at"""

_RELATED = """seq, key, kind, state, lines, accepted, rejected, reason, asked_by, why,
              (select count(*) from fixed_line l where l.file_id = f.file_id) as fixed_lines"""


class Queries(LedgerSession):
    """Read-only questions."""

    def list_files(self, feed: str, state: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """The files of a feed in seq order, all or those of a state; with a limit the newest."""
        return self.rows(
            f"""select * from (
                    select {_FILE} from file where feed = %s and (%s::text is null or state::text = %s) order by seq desc limit %s
                ) newest order by seq""",
            (feed, state, state, limit),
        )

    def list_quarantined(self, feed: str) -> list[dict[str, Any]]:
        """The files that wait for a person, in seq order."""
        return self.rows(
            """select file_id, feed, seq, key, state, kind, parent, reason_code, reason, lines, accepted, rejected, sha256, failures,
                      location, coalesce(location_key, key) as lies_at,
                      (select max(at) from file_event e where e.file_id = f.file_id and e.kind = 'move') as since
               from file f where feed = %s and state in ('quarantined', 'replaying') order by seq""",
            (feed,),
        )

    def file_story(self, wanted: str) -> dict[str, Any]:
        """Everything about one file: named by id, by key, or by the end of its key; the newest version of it.

        Raises:
            FileUnknown: there is none, or several keys end like this.
        """
        tail = "%/" + wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found = self.rows(
            """select * from file
               where file_id::text = %(wanted)s or key = %(wanted)s or key like %(tail)s or 's3://' || bucket || '/' || key = %(wanted)s
               order by (file_id::text = %(wanted)s) desc, (key = %(wanted)s) desc, seq desc limit 50""",
            {"wanted": wanted, "tail": tail},
        )
        if not found or (len({row["key"] for row in found}) > 1 and wanted not in (str(found[0]["file_id"]), found[0]["key"])):
            raise FileUnknown(wanted, sorted({row["key"] for row in found})[:5])
        file = found[0]
        return {
            "file": file,
            "events": self.rows(
                """select at, kind, from_state, to_state, reason, actor, run_id, attempt from file_event
                   where file_id = %s order by event_id""",
                (file["file_id"],),
            ),
            "versions": self.rows(
                "select version, file_id, seq, state, etag from file where feed = %s and bucket = %s and key = %s order by version",
                (file["feed"], file["bucket"], file["key"]),
            ),
            "parent": self.row(f"select file_id, {_RELATED} from file f where file_id = %s", (file["parent"],)),
            "children": self.rows(f"select file_id, {_RELATED} from file f where parent = %s order by seq", (file["file_id"],)),
            "supersedes": self.rows(
                "select file_id, seq, key, state from file where file_id = any(%s) order by seq", (file["supersedes"],)
            ),
            "superseded_by": self.row(
                """select file_id, seq, key, state from file
                   where feed = %s and supersedes @> array[%s::bigint] and state in ('accepted', 'published', 'superseded')""",
                (file["feed"], file["file_id"]),
            ),
            "batch": self.row("select * from batch where group_name = %s and batch = %s", (file["group_name"], file["batch"])),
            "detections": self.list_detections(seq=file["seq"]) if file["feed"] == "transactions" else [],
        }

    def list_detections(
        self, pattern: str | None = None, merchant: str | None = None, seq: int | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Published detections in number order; with a limit the newest."""
        return self.rows(
            """select * from (
                   select d.number, d.seq, f.key as file_key, d.pattern_id, d.action_type, d.customer_name, d.merchant_id,
                          d.detected_at, d.y_start_at
                   from detection d join file f on f.feed = 'transactions' and f.seq = d.seq
                   where (%(pattern)s::text is null or d.pattern_id = %(pattern)s)
                     and (%(merchant)s::text is null or d.merchant_id = %(merchant)s)
                     and (%(seq)s::bigint is null or d.seq = %(seq)s)
                   order by d.number desc limit %(limit)s
               ) newest order by number""",
            {"pattern": pattern, "merchant": merchant, "seq": seq, "limit": limit},
        )

    def list_batches(self, feed: str, limit: int | None = None) -> list[dict[str, Any]]:
        """The batches of a feed with their newest attempt; with a limit the newest."""
        return self.rows(
            """select * from (
                   select b.batch, b.state, b.first_seq, b.last_seq, b.files, b.rows, b.attempt, a.run_id, a.outcome, a.error,
                          b.reference_version, b.parameters, b.started_at, b.published_at, b.delivered_at, b.reason
                   from batch b left join batch_attempt a on (a.group_name, a.batch, a.attempt) = (b.group_name, b.batch, b.attempt)
                   where b.feed = %s order by b.batch desc limit %s
               ) newest order by batch""",
            (feed, limit),
        )

    def feed_overview(self, feed: str) -> dict[str, Any]:
        """One line about a feed: its files by state, rows, backlog, lease, newest failure."""
        found = self.row(
            """select f.feed, f.last_seq, f.paused_at, f.paused_by, f.last_sweep_at, g.lease_holder, g.lease_until, g.last_batch,
                      (select coalesce(jsonb_object_agg(state, files), '{}') from (
                          select state, count(*) as files from file where feed = f.feed group by state) s) as states,
                      (select coalesce(sum(accepted), 0) from file where feed = f.feed and state = 'published') as rows_published,
                      (select coalesce(sum(accepted), 0) from file
                       where feed = f.feed and state in ('accepted', 'published')) as rows_accepted,
                      (select coalesce(sum(rejected), 0) from file
                       where feed = f.feed and state in ('accepted', 'published')) as rows_rejected,
                      (select extract(epoch from clock_timestamp() - min(registered_at))::float8 from file
                       where feed = f.feed and state in ('registered', 'accepted')) as oldest_waiting_seconds
               from feed f join feed_group g using (group_name) where f.feed = %s""",
            (feed,),
        )
        return dict(found or {})

    def newest_reports(self, feed: str, limit: int) -> list[dict[str, Any]]:
        """What the gate reported of the newest files it judged, in seq order."""
        found = self.rows("select report from file where feed = %s and judged_at is not null order by seq desc limit %s", (feed, limit))
        return [row["report"] for row in reversed(found)]

    def failures(self, limit: int = 5) -> list[dict[str, Any]]:
        """The newest failures, newest first."""
        return self.rows("select at, feed, run_id, step, what from failure order by failure_id desc limit %s", (limit,))

    def counts_by_pattern(self) -> dict[str, int]:
        """How many detections there are of each pattern."""
        return {
            row["pattern_id"]: row["n"]
            for row in self.rows("select pattern_id, count(*) as n from detection group by pattern_id order by 1")
        }

    def state_objects_until(self, feed: str, seq: int) -> list[dict[str, Any]]:
        """The objects that together hold the state as of a file: merged ones that end before it, and the batch it lies in."""
        return self.rows(
            """with usable as (
                   select * from state_object where feed = %(feed)s and (last_seq <= %(seq)s or (level = 0 and first_seq <= %(seq)s))
               )
               select key, level, first_seq, last_seq, rows, etag from usable u
               where not exists (select from usable h where h.level > u.level and h.first_seq <= u.first_seq and h.last_seq >= u.last_seq)
               order by first_seq""",
            {"feed": feed, "seq": seq},
        )

    def newest_published_seq(self, feed: str) -> int:
        """The highest published seq, 0 if there is none."""
        found = self.row("select coalesce(max(seq), 0) as seq from file where feed = %s and state = 'published'", (feed,))
        return found["seq"] if found else 0
