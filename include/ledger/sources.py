"""Where the files of a feed arrive, as rows: a new place is a row and not a release."""

from __future__ import annotations

import datetime as dt
from typing import TypedDict

from include.errors import UsageError
from include.feed import FeedSpec
from include.files.file import Source
from include.files.sources import refuse_source
from include.ledger.session import LedgerPart


class SourceRow(TypedDict):
    """A place of a feed, and what arrived there."""

    feed: str
    bucket: str
    prefix: str
    active: bool
    files: int
    newest: dt.datetime | None


class Sources(LedgerPart):
    """The places of feeds. What was registered from one that is no longer active goes on as it would."""

    def active(self, spec: FeedSpec) -> list[Source]:
        """The active places of the feed."""
        found = self.session.rows("select bucket, prefix from feed_source where feed = %s and active order by bucket, prefix", (spec.name,))
        return [Source(row["bucket"], row["prefix"]) for row in found]

    def list(self, feed: str | None = None) -> list[SourceRow]:
        """The places of a feed, or of all, with the files that arrived there."""
        return self.session.rows_as(
            SourceRow,
            """select s.feed, s.bucket, s.prefix, s.active, count(f.file_id) as files, max(f.registered_at) as newest
               from feed_source s left join file f on f.feed = s.feed and f.bucket = s.bucket and starts_with(f.key, s.prefix)
               where %(feed)s::text is null or s.feed = %(feed)s group by s.feed, s.bucket, s.prefix order by s.feed, s.bucket, s.prefix""",
            {"feed": feed},
        )

    def add(self, spec: FeedSpec, source: Source, own_bucket: str) -> bool:
        """Let files of the feed arrive at a place; False where they do already.

        Raises:
            UsageError: objects there are another place's, or Sluice's own.
        """
        with self.session.transaction() as cursor:
            cursor.execute("lock table feed_source in share row exclusive mode")
            cursor.execute("select feed, bucket, prefix from feed_source where active")
            others: dict[str, list[Source]] = {}
            for row in cursor.fetchall():
                other = Source(row["bucket"], row["prefix"])
                if (row["feed"], other) == (spec.name, source):
                    return False
                others.setdefault(row["feed"], []).append(other)
            refuse_source(source, own_bucket, others)
            cursor.execute(
                """insert into feed_source (feed, bucket, prefix) values (%s, %s, %s)
                   on conflict (feed, bucket, prefix) do update set active = true""",
                (spec.name, source.bucket, source.prefix),
            )
        return True

    def disable(self, spec: FeedSpec, source: Source) -> None:
        """Look for no files at a place any more.

        Raises:
            UsageError: it is no active place of the feed.
        """
        with self.session.transaction() as cursor:
            cursor.execute(
                "update feed_source set active = false where feed = %s and bucket = %s and prefix = %s and active returning feed",
                (spec.name, source.bucket, source.prefix),
            )
            if cursor.fetchone() is None:
                raise UsageError(
                    f"s3://{source.bucket}/{source.prefix} is no active place of {spec.name}; `sluice source list {spec.name}` shows them"
                )
