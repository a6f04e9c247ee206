"""Objects where files arrive that the ledger does not know like this: registered now, by the normal rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from include.files import keys
from include.files.file import FileStamp, Source
from include.pipeline.discover import register_found
from include.reconcile.context import ReconcileContext
from include.reconcile.finding import Code, Finding
from include.reconcile.stock import listed_arrivals, places

_PAGE = 2000


def arrivals(context: ReconcileContext) -> Iterator[Finding]:
    """Register what is new; say what came back, what was overwritten, and what is no file of the feed."""
    sources = places(context)
    suspects: set[tuple[str, str]] = set()
    listing = context.inventory.arrivals()
    while page := [*islice(listing, _PAGE)]:
        files = []
        for stamp in page:
            why = refused(context, stamp, sources)
            if why is not None and keys.is_fix(context.spec.name, stamp.key):
                continue  # a replacement: registered by its command
            if why is not None:
                yield Finding(Code.NOT_A_FILE, uri(stamp), f"is no file of {context.spec.name} ({why}) and stays untouched")
            elif context.scope.date in {None, stamp.date}:
                files.append(stamp)
        for bucket in sorted({stamp.bucket for stamp in files}):
            known = context.ports.ledger.files.new_or_changed(context.spec, bucket, [stamp for stamp in files if stamp.bucket == bucket])
            suspects.update((stamp.bucket, stamp.key) for stamp in known)
    if suspects:
        yield from _register(context, suspects)


def _register(context: ReconcileContext, suspects: set[tuple[str, str]]) -> Iterator[Finding]:
    """List once more under the lease: a run may have registered or moved them meanwhile, or there may be newer bytes by now."""
    with context.lease() as token:
        now = [stamp for source in places(context) for stamp in listed_arrivals(context, source)]
        found = [stamp for stamp in now if (stamp.bucket, stamp.key) in suspects]
        new, again = register_found(context.ports, context.spec, context.run, token, found)
    context.inventory.list(found, arrivals=True)
    for file in new:
        where = f"s3://{file.bucket}/{file.key}"
        if file.version > 1:
            what = f"holds other bytes than version {file.version - 1} of its key; registered as seq {file.seq}, version {file.version}"
            yield Finding(Code.OVERWRITTEN, where, what, repaired=True, date=file.date, file_id=file.file_id)
        else:
            what = f"was not known; registered as seq {file.seq}"
            yield Finding(Code.UNKNOWN_OBJECT, where, what, repaired=True, date=file.date, file_id=file.file_id)
    for stamp in again:
        what = "is back with the bytes the ledger knows; no new file"
        yield Finding(Code.SEEN_AGAIN, uri(stamp), what, repaired=True, date=stamp.date)


def refused(context: ReconcileContext, stamp: FileStamp, sources: Sequence[Source]) -> str | None:
    """Why an object is no file of the feed under any of its sources; None where it is one."""
    if keys.is_fix(context.spec.name, stamp.key):
        return keys.refused_as_fix(context.spec.name, stamp.key)
    reasons = [
        keys.refused(stamp.key, source.prefix, context.spec.endings)
        for source in sources
        if source.bucket == stamp.bucket and stamp.key.startswith(source.prefix)
    ]
    return None if None in reasons or not reasons else reasons[0]


def uri(stamp: FileStamp) -> str:
    return f"s3://{stamp.bucket}/{stamp.key}"
