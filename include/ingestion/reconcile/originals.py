"""Original bytes: there where the ledger says, and still those that were judged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from include.ingestion.errors import ObjectGone
from include.ingestion.file import FileStamp
from include.ingestion.kept import KeptFile
from include.ingestion.ports import ObjectStore
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.look import Look
from include.ingestion.reconcile.stock import ORIGINAL

_PIECE = 1 << 20
PUT_BACK = "put the original bytes back under this key, or delete the object; what was published from it stays"


def originals(look: Look) -> Iterator[Finding]:
    """Objects gone are marked; damaged ones are named, and again each time until a person has acted."""
    suspects = [file_id for file_id in [*look.inventory.amiss(ORIGINAL)] if _still_amiss(look, look.again(file_id))]
    if suspects:
        with look.lease() as token:
            for file_id in suspects:
                finding = _look_again(look, token, file_id)
                if finding is not None:
                    yield finding
    if look.scope.reads:
        for kept in look.files():
            finding = _read(look, kept) if kept.file.file_id not in suspects else None
            if finding is not None:
                yield finding


def _still_amiss(look: Look, kept: KeptFile) -> bool:
    """Look a second time, before the lease is asked for: it may have moved or arrived since it was listed."""
    if not kept.has_bytes or kept.moving:
        return False
    there = look.head(kept)
    if there is None or there.size != kept.file.size:
        return True
    look.inventory.list([there], arrivals=kept.location == "landing")
    return False


def _look_again(look: Look, token: int, file_id: int) -> Finding | None:
    """Under the lease: neither the ledger nor the outbox may explain what the listing did not show."""
    kept = look.again(file_id)
    if not kept.has_bytes or kept.moving:
        return None
    there = look.head(kept)
    if there is None:
        seen = look.ports.ledger.mark_gone(look.spec, token, look.run, file_id)
        what = f"is gone; last seen there {seen.isoformat(timespec='seconds')}; seq {kept.file.seq} is marked, its results stay"
        return _finding(Code.OBJECT_GONE, look, kept, what, "land it again under its key if the original is to be kept")
    if there.size != kept.file.size and (kept.location != "landing" or there.etag == kept.file.etag):
        return _finding(Code.BYTES_DIFFER, look, kept, f"has {there.size} bytes, and had {kept.file.size}", PUT_BACK)
    return None


def _read(look: Look, kept: KeptFile) -> Finding | None:
    """Hash an original once more; one that is moved or overwritten meanwhile is the business of the next listing."""
    if kept.file.sha256 is None or not kept.has_bytes or kept.moving:
        return None
    there = look.head(kept)
    if there is None or (kept.location == "landing" and (there.etag, there.size) != (kept.file.etag, kept.file.size)):
        return None
    try:
        found = sha256_of(look.ports.store, there)
    except ObjectGone:
        return None
    if found == kept.file.sha256:
        return None
    judged = kept.last_read_at.isoformat(timespec="seconds")
    what = f"has sha256 {found}, and had {kept.file.sha256} when it was judged, {judged}"
    return _finding(Code.BYTES_DIFFER, look, kept, what, PUT_BACK)


def _finding(code: Code, look: Look, kept: KeptFile, what: str, next_step: str) -> Finding:
    bucket, key = kept.place(look.ports.bucket)
    return Finding(code, f"s3://{bucket}/{key}", what, next_step, date=kept.file.date, file_id=kept.file.file_id)


def sha256_of(store: ObjectStore, stamp: FileStamp) -> str:
    """Of an object's bytes, pinned to its etag."""
    digest = hashlib.sha256()
    with store.read(stamp.bucket, stamp.key, stamp.etag) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
