"""Objects of ours that nothing refers to: what attempts left behind that came to nothing. Listed; deleted only on request."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from include.files.file import FileStamp
from include.reconcile.arrivals import uri
from include.reconcile.context import ReconcileContext
from include.reconcile.finding import Code, Finding

_TOGETHER = 100


def unreferred(context: ReconcileContext) -> Iterator[Finding]:
    """Name what nothing refers to; with `collect`, delete what is older than the grace period."""
    now = context.ports.clock()
    due: list[FileStamp] = []
    for stamp in context.inventory.unreferred():
        if context.at_work.may_use(stamp.key):
            continue
        if context.scope.collect and now - stamp.last_modified >= dt.timedelta(seconds=context.scope.grace_seconds):
            due.append(stamp)
            if len(due) >= _TOGETHER:
                yield from _collect(context, due)
                due = []
        else:
            yield Finding(Code.UNREFERRED, uri(stamp), f"{stamp.size} bytes that nothing refers to, since {stamp.last_modified:%F %T} UTC")
    yield from _collect(context, due)


def _collect(context: ReconcileContext, due: Sequence[FileStamp]) -> Iterator[Finding]:
    """Delete objects while nobody can begin to point at them, except those that the ledger or the feed's results point at by now."""
    if not due:
        return
    with context.checks.gc_lock(context.spec, [stamp.key for stamp in due]) as pointed_at:
        results = {(one.bucket, one.key) for one in context.auditor.pointers(None)}
        for stamp in due:
            if stamp.key in pointed_at or (stamp.bucket, stamp.key) in results:
                continue
            if context.ports.store.delete(stamp.bucket, stamp.key, stamp.etag):
                yield Finding(Code.COLLECTED, uri(stamp), f"{stamp.size} bytes that nothing referred to; deleted", repaired=True)
