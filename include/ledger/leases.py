"""The leases of a feed's group: one run works at a time and one delivers, and one that lost its lease can no longer write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from include.errors import EnvironmentFailure, FeedBusy, FeedPaused, LeaseLost, Refused, UsageError
from include.feed import FeedSpec
from include.ledger.session import Cursor, LedgerPart, LedgerSession, map_driver_errors, repeated
from include.run import Run

LEASE_SECONDS = 60
RENEW_SECONDS = 15


class Leases(LedgerPart):
    """Taking, keeping and letting go of a lease."""

    @repeated
    def acquire(self, spec: FeedSpec, run: Run, *, paused_too: bool = False) -> int:
        """The token of a fresh lease; the same run may take its own lease again, under a newer token.

        Raises:
            FeedBusy: another run holds it.
            FeedPaused: a person paused the feed.
        """
        with self.session.transaction(run) as cursor:
            if not paused_too:
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
        with self.session.transaction() as cursor:
            _refuse_paused(cursor, feed)

    @repeated
    def release(self, spec: FeedSpec, token: int) -> None:
        """End a lease; the token grows, so that nothing can be written under it any more. Not ours any more: nothing happens."""
        with self.session.transaction() as cursor:
            cursor.execute(
                """update feed_group set lease_holder = null, lease_until = null, lease_token = lease_token + 1
                   where group_name = %s and lease_token = %s""",
                (spec.group, token),
            )

    def release_run(self, spec: FeedSpec, run_id: str) -> None:
        """End whatever leases a run holds: what a failed run does, so that the next need not wait for them to run out."""
        for table in ("feed_group", "delivery"):
            with self.session.transaction() as cursor:
                cursor.execute(
                    f"""update {table} set lease_holder = null, lease_until = null, lease_token = lease_token + 1
                        where group_name = %s and lease_holder = %s""".encode(),
                    (spec.group, run_id),
                )

    def acquire_delivery(self, spec: FeedSpec, run: Run) -> int:
        """The token of a fresh lease on the deliveries of the group; the same run may take its own again, under a newer token.

        Nobody who is at a write is waited for: that may be a slow one.

        Raises:
            FeedBusy: another run holds it.
        """
        with self.session.transaction(run) as cursor:
            cursor.execute("insert into delivery (group_name) values (%s) on conflict do nothing", (spec.group,))
            cursor.execute(
                """select lease_holder, lease_token, extract(epoch from lease_until - clock_timestamp())::float8 as seconds_left
                   from delivery where group_name = %s for update skip locked""",
                (spec.group,),
            )
            lease = cursor.fetchone()
            if lease is None:
                raise FeedBusy(spec.name, "a run that is writing", LEASE_SECONDS, spec.group)
            if lease["lease_holder"] not in (None, run.run_id) and lease["seconds_left"] > 0:
                raise FeedBusy(spec.name, lease["lease_holder"], lease["seconds_left"], spec.group)
            cursor.execute(
                """update delivery
                   set lease_holder = %s, lease_until = clock_timestamp() + make_interval(secs => %s),
                       lease_token = greatest(lease_token + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint)
                   where group_name = %s returning lease_token""",
                (run.run_id, LEASE_SECONDS, spec.group),
            )
            taken = cursor.fetchone()
            assert taken is not None
        token: int = taken["lease_token"]
        return token

    def release_delivery(self, spec: FeedSpec, token: int) -> None:
        """End a lease on deliveries. Not ours any more: nothing happens."""
        with self.session.transaction() as cursor:
            cursor.execute(
                """update delivery set lease_holder = null, lease_until = null, lease_token = lease_token + 1
                   where group_name = %s and lease_token = %s""",
                (spec.group, token),
            )

    def held(self, spec: FeedSpec, token: int) -> AbstractContextManager[None]:
        """Renew a lease for as long as the block works, from a thread and a connection of its own.

        Raises:
            LeaseLost: at entry, where it is lost already. Later losses show at the block's next write.
        """
        return self._kept("feed_group", spec, token)

    def delivery_held(self, spec: FeedSpec, token: int) -> AbstractContextManager[None]:
        """The same for a lease on deliveries."""
        return self._kept("delivery", spec, token)

    @contextmanager
    def _kept(self, table: str, spec: FeedSpec, token: int) -> Iterator[None]:
        def renew(session: LedgerSession) -> None:
            self._renew(session, table, spec, token)

        renew(self.session)
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(renew, done), name="sluice-lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join(timeout=RENEW_SECONDS)

    def _keep(self, renew: Callable[[LedgerSession], None], done: threading.Event) -> None:
        session = self.session.another()
        try:
            while not done.wait(RENEW_SECONDS):
                try:
                    renew(session)
                except LeaseLost:
                    return  # the block's next write says so, in the thread that can act on it
                except (EnvironmentFailure, Refused):
                    continue  # PostgreSQL may be back at the next beat; if not, the block's next write says so
        finally:
            session.close()

    @staticmethod
    def _renew(session: LedgerSession, table: str, spec: FeedSpec, token: int) -> None:
        with map_driver_errors():
            renewed = session.connection.execute(
                f"""update {table} set lease_until = clock_timestamp() + make_interval(secs => %s)
                    where group_name = %s and lease_token = %s""".encode(),
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


GC_LOCK = 0x51_01CF  # any fixed number: who begins to point at state objects, and who deletes those that nobody points at


@contextmanager
def fenced_delivery(session: LedgerSession, group: str, token: int, run: Run | None = None) -> Iterator[Cursor]:
    """A transaction of the newest holder."""
    with session.transaction(run) as cursor:
        check_delivery(cursor, group, token)
        yield cursor


def check_delivery(cursor: Cursor, group: str, token: int) -> None:
    """Lock the group's delivery, not the group, and refuse any token but the newest."""
    cursor.execute("select lease_token from delivery where group_name = %s for update", (group,))
    newest = cursor.fetchone()
    if newest is None or newest["lease_token"] != token:
        raise LeaseLost(group, token)


def shared_gc_lock(cursor: Cursor) -> None:
    """Held to the end of the transaction: nothing that is pointed at from here on is deleted as unreferred meanwhile."""
    cursor.execute("select pg_advisory_xact_lock_shared(%s)", (GC_LOCK,))
