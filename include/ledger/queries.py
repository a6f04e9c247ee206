"""What people ask of the ledger: files, histories, batches. Rows as they are printed; nothing is changed here."""

from __future__ import annotations

from typing import Any

from include.errors import FileUnknown
from include.ledger.session import LedgerPart

_FILE = """key, seq, state, lines, accepted, rejected, reason, sha256, duplicate_of, batch, registered_at, published_at"""

_RELATED = """seq, key, kind, state, lines, accepted, rejected, reason, requested_by, why,
              (select count(*) from fixed_line l where l.file_id = f.file_id) as fixed_lines"""


class Queries(LedgerPart):
    """Read-only questions."""

    def list_files(self, feed: str, state: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """The files of a feed in seq order, all or those of a state; with a limit the newest."""
        return self.session.rows(
            f"""select * from (
                    select {_FILE} from file where feed = %s and (%s::text is null or state::text = %s) order by seq desc limit %s
                ) newest order by seq""",
            (feed, state, state, limit),
        )

    def list_quarantined(self, feed: str) -> list[dict[str, Any]]:
        """The files that wait for a person, in seq order."""
        return self.session.rows(
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
        found = self.session.rows(
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
            "events": self.session.rows(
                """select at, kind, from_state, to_state, reason, actor, run_id, attempt from file_event
                   where file_id = %s order by event_id""",
                (file["file_id"],),
            ),
            "versions": self.session.rows(
                "select version, file_id, seq, state, etag from file where feed = %s and bucket = %s and key = %s order by version",
                (file["feed"], file["bucket"], file["key"]),
            ),
            "parent": self.session.row(f"select file_id, {_RELATED} from file f where file_id = %s", (file["parent"],)),
            "children": self.session.rows(f"select file_id, {_RELATED} from file f where parent = %s order by seq", (file["file_id"],)),
            "supersedes": self.session.rows(
                "select file_id, seq, key, state from file where file_id = any(%s) order by seq", (file["supersedes"],)
            ),
            "superseded_by": self.session.row(
                """select file_id, seq, key, state from file
                   where feed = %s and supersedes @> array[%s::bigint] and state in ('accepted', 'published', 'superseded')""",
                (file["feed"], file["file_id"]),
            ),
            "batch": self.session.row("select * from batch where group_name = %s and batch = %s", (file["group_name"], file["batch"])),
        }

    def list_batches(self, feed: str, limit: int | None = None) -> list[dict[str, Any]]:
        """The batches of a feed with their newest attempt; with a limit the newest."""
        return self.session.rows(
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
        found = self.session.row(
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
        found = self.session.rows(
            "select report from file where feed = %s and validated_at is not null order by seq desc limit %s", (feed, limit)
        )
        return [row["report"] for row in reversed(found)]

    def failures(self, limit: int = 5) -> list[dict[str, Any]]:
        """The newest failures, newest first."""
        return self.session.rows("select at, feed, run_id, step, what from failure order by failure_id desc limit %s", (limit,))

    def all_undone(self) -> list[dict[str, Any]]:
        """What could not be delivered and is tried again, longest first."""
        return self.session.rows(
            'select group_name as "group", item, failures, since, retry_at, what from delivery_failure order by since, item'
        )
