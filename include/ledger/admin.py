"""What people and callbacks tell the ledger: pause, resume, what failed."""

from __future__ import annotations

from include.ledger.session import LedgerPart


class Admin(LedgerPart):
    """Small writes that need no lease."""

    def pause(self, feed: str, by: str) -> None:
        """Let no run of the feed begin; a run at work ends as it would."""
        with self.session.transaction() as cursor:
            cursor.execute(
                "update feed set paused_at = coalesce(paused_at, clock_timestamp()), paused_by = coalesce(paused_by, %s) where feed = %s",
                (by, feed),
            )

    def resume(self, feed: str) -> None:
        with self.session.transaction() as cursor:
            cursor.execute("update feed set paused_at = null, paused_by = null where feed = %s", (feed,))

    def answers(self) -> None:
        """Ask for nothing: fails where PostgreSQL does not answer."""
        self.session.rows("select 1 as one")

    def record_failure(self, feed: str | None, run_id: str, step: str, what: str) -> None:
        with self.session.transaction() as cursor:
            cursor.execute("insert into failure (feed, run_id, step, what) values (%s, %s, %s, %s)", (feed, run_id, step, what))
