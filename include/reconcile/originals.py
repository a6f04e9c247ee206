"""Original bytes: there where the ledger says, and still those that were judged."""

from __future__ import annotations

from collections.abc import Iterator

from include.errors import ObjectGone, ObjectRefused
from include.files.file import FileRecord
from include.reconcile.context import ReconcileContext
from include.reconcile.finding import Code, Finding
from include.reconcile.stock import ORIGINAL
from include.storage.object_store import digest_of

RESTORE = "put the original bytes back under this key, or delete the object; what was published from it stays"


def originals(context: ReconcileContext) -> Iterator[Finding]:
    """Objects gone are marked; damaged ones are named, and again each time until a person has acted."""
    suspects = [file_id for file_id in [*context.inventory.mismatches(ORIGINAL)] if _still_mismatched(context, context.again(file_id))]
    if suspects:
        with context.lease() as token:
            for file_id in suspects:
                finding = _look_again(context, token, file_id)
                if finding is not None:
                    yield finding
    if context.scope.reads:
        for kept in context.files():
            finding = _read(context, kept) if kept.file.file_id not in suspects else None
            if finding is not None:
                yield finding


def _still_mismatched(context: ReconcileContext, kept: FileRecord) -> bool:
    """Look a second time, before the lease is asked for: it may have moved or arrived since it was listed."""
    if not kept.has_bytes or kept.moving:
        return False
    there = context.head(kept)
    if there is None or there.size != kept.file.size:
        return True
    context.inventory.list([there], arrivals=kept.location == "landing")
    return False


def _look_again(context: ReconcileContext, token: int, file_id: int) -> Finding | None:
    """Under the lease: neither the ledger nor the outbox may explain what the listing did not show."""
    kept = context.again(file_id)
    if not kept.has_bytes or kept.moving:
        return None
    there = context.head(kept)
    if there is None:
        seen = context.checks.mark_gone(context.spec, token, context.run, file_id)
        what = f"is gone; last seen there {seen.isoformat(timespec='seconds')}; seq {kept.file.seq} is marked, its results stay"
        return _finding(Code.OBJECT_GONE, context, kept, what, "land it again under its key if the original is to be kept")
    if there.size != kept.file.size and (kept.location != "landing" or there.etag == kept.file.etag):
        return _finding(Code.BYTES_DIFFER, context, kept, f"has {there.size} bytes, and had {kept.file.size}", RESTORE)
    return None


def _read(context: ReconcileContext, kept: FileRecord) -> Finding | None:
    """Hash an original once more; one that is moved or overwritten meanwhile is the business of the next listing."""
    if kept.file.sha256 is None or not kept.has_bytes or kept.moving:
        return None
    try:
        there = context.head(kept)
        if there is None or (kept.location == "landing" and (there.etag, there.size) != (kept.file.etag, kept.file.size)):
            return None
        found = digest_of(context.ports.store, there.bucket, there.key, there.etag)
    except ObjectGone:
        return None
    except ObjectRefused as refused:
        if refused.passing:
            raise
        return _finding(Code.UNREADABLE, context, kept, f"is not given: {refused.what}", refused.mend)
    if found == kept.file.sha256:
        return None
    validated = kept.last_read_at.isoformat(timespec="seconds")
    what = f"has sha256 {found}, and had {kept.file.sha256} when it was judged, {validated}"
    return _finding(Code.BYTES_DIFFER, context, kept, what, RESTORE)


def _finding(code: Code, context: ReconcileContext, kept: FileRecord, what: str, next_step: str) -> Finding:
    bucket, key = kept.place(context.ports.bucket)
    return Finding(code, f"s3://{bucket}/{key}", what, next_step, date=kept.file.date, file_id=kept.file.file_id)
