"""The lease of a feed's group: one run works at a time, and one that lost its lease can no longer write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from include.ingestion.errors import EnvironmentFailure, FeedBusy, FeedPaused, LeaseLost, UsageError
from include.ingestion.feed import FeedSpec
from include.ingestion.run import Run
from include.stores.ledger.session import Cursor, LedgerSession, translated

LEASE_SECONDS = 60
RENEW_SECONDS = 15


class Leases(LedgerSession):
    """Taking, keeping and letting go of a lease."""

    def take_lease(self, spec: FeedSpec, run: Run) -> int:
        """The token of a fresh lease; the same run may take its own lease again, under a newer token.

        Raises:
            FeedBusy: another run holds it.
            FeedPaused: a person paused the feed.
        """
        with self.transaction(run) as cursor:
            _refuse_paused(cursor, spec.name)
            cursor.execute(
                """select lease_holder, lease_token, extract(epoch from lease_until - clock_timestamp())::float8 as seconds_left,
                          (select count(*) > 1 from feed f where f.group_name = g.group_name) as shared
                   from feed_group g where group_name = %s for update""",
                (spec.group,),
            )
            lease = cursor.fetchone()
            assert lease is not None, "feed.group_name references feed_group"
            if lease["lease_holder"] not in (None, run.run_id) and lease["seconds_left"] > 0:
                raise FeedBusy(spec.name, lease["lease_holder"], lease["seconds_left"], spec.group if lease["shared"] else "")
            token: int = lease["lease_token"] + 1
            cursor.execute(
                """update feed_group set lease_holder = %s, lease_token = %s, lease_until = clock_timestamp() + make_interval(secs => %s)
                   where group_name = %s""",
                (run.run_id, token, LEASE_SECONDS, spec.group),
            )
        return token

    def refuse_paused(self, feed: str) -> None:
        """Refuse to work for a feed that a person paused.

        Raises:
            FeedPaused: it is.
        """
        with self.transaction() as cursor:
            _refuse_paused(cursor, feed)

    def let_go(self, spec: FeedSpec, token: int) -> None:
        """End a lease; the token grows, so that nothing can be written under it any more. Not ours any more: nothing happens."""
        with self.transaction() as cursor:
            cursor.execute(
                """update feed_group set lease_holder = null, lease_until = null, lease_token = lease_token + 1
                   where group_name = %s and lease_token = %s""",
                (spec.group, token),
            )

    def let_go_of_run(self, spec: FeedSpec, run_id: str) -> None:
        """End whatever lease a run holds: what a failed run does, so that the next need not wait for it to run out."""
        with self.transaction() as cursor:
            cursor.execute(
                """update feed_group set lease_holder = null, lease_until = null, lease_token = lease_token + 1
                   where group_name = %s and lease_holder = %s""",
                (spec.group, run_id),
            )

    @contextmanager
    def kept_lease(self, spec: FeedSpec, token: int) -> Iterator[None]:
        """Renew a lease for as long as the block works, from a thread and a connection of its own.

        Raises:
            LeaseLost: at entry, where it is lost already. Later losses show at the block's next write.
        """
        self._renew(self, spec, token)
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(spec, token, done), name="sluice-lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join(timeout=RENEW_SECONDS)

    def _keep(self, spec: FeedSpec, token: int, done: threading.Event) -> None:
        session = LedgerSession(self._connect)
        try:
            while not done.wait(RENEW_SECONDS):
                try:
                    self._renew(session, spec, token)
                except LeaseLost:
                    return  # the block's next write says so, in the thread that can act on it
                except EnvironmentFailure:
                    continue  # PostgreSQL may be back at the next beat; if not, the block's next write says so
        finally:
            session.close()

    @staticmethod
    def _renew(session: LedgerSession, spec: FeedSpec, token: int) -> None:
        with translated():
            renewed = session.connection.execute(
                """update feed_group set lease_until = clock_timestamp() + make_interval(secs => %s)
                   where group_name = %s and lease_token = %s""",
                (LEASE_SECONDS, spec.group, token),
            )
            if renewed.rowcount == 0:
                raise LeaseLost(spec.name, token)


def _refuse_paused(cursor: Cursor, feed: str) -> None:
    cursor.execute("select paused_at, paused_by from feed where feed = %s", (feed,))
    found = cursor.fetchone()
    if found is None:
        raise UsageError(f"the ledger has no feed {feed}; `sluice migrate` adds the feeds of this release")
    if found["paused_at"] is not None:
        raise FeedPaused(feed, found["paused_at"].isoformat(timespec="seconds"), found["paused_by"])
