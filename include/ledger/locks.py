"""The fence of deliveries: a write that only the newest holder of a group's delivery lease may do. It holds up nobody who publishes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from include.errors import LeaseLost
from include.ledger.session import Cursor, LedgerSession
from include.run import Run

GC_LOCK = 0x51_01CF  # any fixed number: who begins to point at state objects, and who deletes those that nobody points at


@contextmanager
def delivering(session: LedgerSession, group: str, token: int, run: Run | None = None) -> Iterator[Cursor]:
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
