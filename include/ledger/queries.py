"""What people ask of the ledger: files, histories, batches. Rows as they are printed; nothing is changed here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TypedDict

from psycopg.rows import DictRow

from include.errors import FileUnknown
from include.ledger.session import LedgerPart

_FILE = """key, seq, state, lines, accepted, rejected, reason, sha256, duplicate_of, batch, registered_at, published_at"""

_RELATED = """seq, key, kind, state, lines, accepted, rejected, reason, requested_by, why,
              (select count(*) from fixed_line l where l.file_id = f.file_id) as fixed_lines"""


class FileLine(TypedDict):
    """A file as a list shows it."""

    key: str
    seq: int
    state: str
    lines: int | None
    accepted: int | None
    rejected: int | None
    reason: str | None
    sha256: str | None
    duplicate_of: int | None
    batch: int | None
    registered_at: dt.datetime
    published_at: dt.datetime | None


class QuarantinedLine(TypedDict):
    """A file that waits for a person; `lies_at` is the key of its bytes, `since` when it was moved into its state."""

    file_id: int
    feed: str
    seq: int
    key: str
    state: str
    kind: str
    parent: int | None
    reason_code: str | None
    reason: str | None
    lines: int | None
    accepted: int | None
    rejected: int | None
    sha256: str | None
    failures: int
    location: str
    lies_at: str
    since: dt.datetime


class BatchLine(TypedDict):
    """A batch with its newest attempt: whose run it is, how it ended, why it failed."""

    batch: int
    state: str
    first_seq: int
    last_seq: int
    files: int
    rows: int
    attempt: int
    run_id: str | None
    outcome: str | None
    error: str | None
    reference_version: int | None
    parameters: dict[str, int]
    started_at: dt.datetime
    published_at: dt.datetime | None
    delivered_at: dt.datetime | None
    reason: str | None


class FeedOverview(TypedDict):
    """A feed: its files by state, rows, who works on its group, seconds that its oldest file waits."""

    feed: str
    last_seq: int
    paused_at: dt.datetime | None
    paused_by: str | None
    last_sweep_at: dt.datetime | None
    lease_holder: str | None
    lease_until: dt.datetime | None
    last_batch: int
    states: dict[str, int]
    rows_published: int
    rows_accepted: int
    rows_rejected: int
    oldest_waiting_seconds: float | None


class FailureLine(TypedDict):
    """A failure of a run, where a step names what failed."""

    at: dt.datetime
    feed: str | None
    run_id: str
    step: str
    what: str


class UndoneLine(TypedDict):
    """A delivery that failed and is tried again."""

    group: str
    item: str
    failures: int
    since: dt.datetime
    retry_at: dt.datetime
    what: str


class FileStory(TypedDict):
    """A file and all that is on record about it; columns as the tables have them (docs/columns.md)."""

    file: DictRow
    events: list[DictRow]
    versions: list[DictRow]
    parent: DictRow | None
    children: list[DictRow]
    supersedes: list[DictRow]
    superseded_by: DictRow | None
    batch: DictRow | None


class Queries(LedgerPart):
    """Read-only questions."""

    def list_files(self, feed: str, state: str | None = None, limit: int | None = None) -> list[FileLine]:
        """The files of a feed in seq order, all or those of a state; with a limit the newest."""
        return self.session.rows_as(
            FileLine,
            f"""select * from (
                    select {_FILE} from file where feed = %s and (%s::text is null or state::text = %s) order by seq desc limit %s
                ) newest order by seq""",
            (feed, state, state, limit),
        )

    def list_quarantined(self, feed: str) -> list[QuarantinedLine]:
        """The files that wait for a person, in seq order."""
        return self.session.rows_as(
            QuarantinedLine,
            """select file_id, feed, seq, key, state, kind, parent, reason_code, reason, lines, accepted, rejected, sha256, failures,
                      location, coalesce(location_key, key) as lies_at,
                      (select max(at) from file_event e where e.file_id = f.file_id and e.kind = 'move') as since
               from file f where feed = %s and state in ('quarantined', 'replaying') order by seq""",
            (feed,),
        )

    def file_story(self, wanted: str) -> FileStory:
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

    def list_batches(self, feed: str, limit: int | None = None) -> list[BatchLine]:
        """The batches of a feed with their newest attempt; with a limit the newest."""
        return self.session.rows_as(
            BatchLine,
            """select * from (
                   select b.batch, b.state, b.first_seq, b.last_seq, b.files, b.rows, b.attempt, a.run_id, a.outcome, a.error,
                          b.reference_version, b.parameters, b.started_at, b.published_at, b.delivered_at, b.reason
                   from batch b left join batch_attempt a on (a.group_name, a.batch, a.attempt) = (b.group_name, b.batch, b.attempt)
                   where b.feed = %s order by b.batch desc limit %s
               ) newest order by batch""",
            (feed, limit),
        )

    def feed_overview(self, feed: str) -> FeedOverview:
        """One line about a feed: its files by state, rows, backlog, lease."""
        (found,) = self.session.rows_as(
            FeedOverview,
            """select f.feed, f.last_seq, f.paused_at, f.paused_by, f.last_sweep_at, g.lease_holder, g.lease_until, g.last_batch,
                      (select coalesce(jsonb_object_agg(state, files), '{}') from (
                          select state, count(*) as files from file where feed = f.feed group by state) s) as states,
                      (select coalesce(sum(accepted), 0) from file where feed = f.feed and state = 'published') as rows_published,
                      (select coalesce(sum(accepted), 0) from file
                       where feed = f.feed and state in ('accepted', 'published')) as rows_accepted,
                      (select coalesce(sum(rejected), 0) from file
                       where feed = f.feed and state in ('accepted', 'published')) as rows_rejected,
                      (select extract(epoch from clock_timestamp() - min(registered_at))::float8 from work w join file using (file_id)
                       where w.feed = f.feed and step in ('validate', 'decide', 'publish')) as oldest_waiting_seconds
               from feed f join feed_group g using (group_name) where f.feed = %s""",
            (feed,),
        )
        return found

    def newest_reports(self, feed: str, contract_digest: str, limit: int) -> list[Mapping[str, object]]:
        """What the gate reported of the newest files it judged, in seq order; without those that it judged by another contract."""
        found = self.session.rows(
            """select report from (
                   select seq, report from file where feed = %s and validated_at is not null order by seq desc limit %s
               ) newest where report -> 'judged_by' ->> 'contract_digest' = %s order by seq""",
            (feed, limit, contract_digest),
        )
        return [row["report"] for row in found]

    def failures(self, limit: int = 5) -> list[FailureLine]:
        """The newest failures, newest first."""
        return self.session.rows_as(
            FailureLine, "select at, feed, run_id, step, what from failure order by failure_id desc limit %s", (limit,)
        )

    def all_undone(self) -> list[UndoneLine]:
        """What could not be delivered and is tried again, longest first."""
        return self.session.rows_as(
            UndoneLine, 'select group_name as "group", item, failures, since, retry_at, what from delivery_failure order by since, item'
        )
