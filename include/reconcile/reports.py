"""What people find under error/ about a file: `report.json` and `rejects.csv`, written again by deliver where they are lost or damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from include.errors import ObjectGone
from include.files import keys
from include.files.file import FileRecord, FileStamp, Undelivered
from include.pipeline.deliver import report_body, report_parts
from include.pipeline.delivering import in_turn
from include.reconcile.context import ReconcileContext
from include.reconcile.finding import Code, Finding
from include.reconcile.stock import REJECTS_SHOWN, REPORT, objects_of
from include.storage.object_store import digest_of


def reports(context: ReconcileContext) -> Iterator[Finding]:
    """Reports that are missing or say something else than the ledger."""
    suspects = {*context.inventory.mismatches(REPORT), *context.inventory.mismatches(REJECTS_SHOWN)}
    if context.scope.reads:
        suspects.update(kept.file.file_id for kept in context.files() if kept.rejects is not None or kept.file.reason is not None)
    for file_id in sorted(suspects):
        yield from _look_again(context, file_id)


def _look_again(context: ReconcileContext, file_id: int) -> Iterator[Finding]:
    kept = context.again(file_id)
    bucket = context.ports.bucket
    required = {expected.kind for expected in objects_of(kept, context.spec.name, bucket) if expected.required}
    if REPORT not in required:
        return
    undelivered = context.ports.ledger.outbox.report_of(file_id)
    folder = kept.report_folder()
    found: list[tuple[Code, str, str]] = []
    report = context.ports.store.head(bucket, keys.in_error(folder, "report.json"))
    if report is None:
        found.append((Code.REPORT_MISSING, "report.json", "is not there"))
    elif not _says(context, report, undelivered):
        found.append((Code.REPORT_DIFFERS, "report.json", "does not say what the ledger says"))
    source = context.ports.store.head(bucket, kept.rejects.key) if kept.rejects else None
    if REJECTS_SHOWN in required and source is not None:
        shown = context.ports.store.head(bucket, keys.in_error(folder, "rejects.csv"))
        if shown is None:
            found.append((Code.REJECTS_MISSING, "rejects.csv", "is not there"))
        elif not _same(context, shown, source):
            found.append((Code.REJECTS_DIFFER, "rejects.csv", "does not hold the rows that the gate rejected"))
    if found:
        yield from _made_good(context, kept, undelivered, found, source)


def _made_good(
    context: ReconcileContext, kept: FileRecord, undelivered: Undelivered, found: Sequence[tuple[Code, str, str]], source: FileStamp | None
) -> Iterator[Finding]:
    """Write again what is not as it should be, where it is known how that is."""
    bucket, file, folder = context.ports.bucket, kept.file, kept.report_folder()
    contested = context.scope.reads and not context.md5_etags and any(code is Code.REJECTS_DIFFER for code, *_ in found)
    repairable = kept.rejects is None or (source is not None and not contested)
    if repairable:
        in_turn(report_parts(context.ports, folder, undelivered))
    for code, name, what in found:
        where = f"s3://{bucket}/{keys.in_error(folder, name)}"
        next_step = (
            "" if repairable else f"compare it with {kept.rejects.key if kept.rejects else 'the original'}, and delete the wrong one"
        )
        yield Finding(code, where, what, next_step, repairable, file.date, file.file_id)


def _same(context: ReconcileContext, shown: FileStamp, source: FileStamp) -> bool:
    if not context.scope.reads:
        return shown.size == source.size
    one, other = (digest_of(context.ports.store, stamp.bucket, stamp.key, stamp.etag) for stamp in (shown, source))
    return one == other


def _says(context: ReconcileContext, report: FileStamp, undelivered: Undelivered) -> bool:
    """Whether everything a report says is what the ledger says; a report of an older release may say less."""
    if not context.scope.reads:
        return True
    try:
        body = context.ports.store.read_bytes(report.bucket, report.key)
        if body == report_body(undelivered):
            return True
        document = json.loads(body)
    except (ValueError, ObjectGone):
        return False
    expected = json.loads(report_body(undelivered))
    return (
        bool(document)
        and isinstance(document, dict)
        and all(name in expected and expected[name] == value for name, value in document.items())
    )
