"""What people find under error/ about a file: `report.json` and `rejects.csv`, written again by deliver where they are lost or damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator

from include.ingestion import keys
from include.ingestion.errors import ObjectGone
from include.ingestion.file import FileStamp
from include.ingestion.ports import Undelivered
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.look import Look
from include.ingestion.reconcile.originals import sha256_of
from include.ingestion.reconcile.stock import REJECTS_SHOWN, REPORT, objects_of
from include.ingestion.steps.deliver import report_body, write_report


def reports(look: Look) -> Iterator[Finding]:
    """Reports that are missing or say something else than the ledger."""
    suspects = {*look.inventory.amiss(REPORT), *look.inventory.amiss(REJECTS_SHOWN)}
    if look.scope.reads:
        suspects.update(kept.file.file_id for kept in look.files() if kept.rejects is not None or kept.file.reason is not None)
    for file_id in sorted(suspects):
        yield from _look_again(look, file_id)


def _look_again(look: Look, file_id: int) -> Iterator[Finding]:
    kept = look.again(file_id)
    bucket, file = look.ports.bucket, kept.file
    required = {expected.kind for expected in objects_of(kept, look.spec.name, bucket) if expected.required}
    if REPORT not in required:
        return
    told = look.ports.ledger.told(file_id)
    folder = keys.error_folder(look.spec.name, file.date, file.key, file_id)
    found: list[tuple[Code, str, str]] = []
    report = look.ports.store.head(bucket, keys.in_error(folder, "report.json"))
    if report is None:
        found.append((Code.REPORT_MISSING, "report.json", "is not there"))
    elif not _says(look, report, told):
        found.append((Code.REPORT_DIFFERS, "report.json", "does not say what the ledger says"))
    source = look.ports.store.head(bucket, kept.rejects.key) if kept.rejects else None
    if REJECTS_SHOWN in required and source is not None:
        shown = look.ports.store.head(bucket, keys.in_error(folder, "rejects.csv"))
        if shown is None:
            found.append((Code.REJECTS_MISSING, "rejects.csv", "is not there"))
        elif not _same(look, shown, source):
            found.append((Code.REJECTS_DIFFER, "rejects.csv", "does not hold the rows that the gate rejected"))
    if not found:
        return
    contested = look.scope.reads and not look.md5_etags and any(code is Code.REJECTS_DIFFER for code, *_ in found)
    repairable = kept.rejects is None or (source is not None and not contested)
    if repairable:
        write_report(look.ports, folder, told)
    for code, name, what in found:
        where = f"s3://{bucket}/{keys.in_error(folder, name)}"
        next_step = (
            "" if repairable else f"compare it with {kept.rejects.key if kept.rejects else 'the original'}, and delete the wrong one"
        )
        yield Finding(code, where, what, next_step, repairable, file.date, file_id)


def _same(look: Look, shown: FileStamp, source: FileStamp) -> bool:
    if not look.scope.reads:
        return shown.size == source.size
    return sha256_of(look.ports.store, shown) == sha256_of(look.ports.store, source)


def _says(look: Look, report: FileStamp, told: Undelivered) -> bool:
    """Whether everything a report says is what the ledger says; a report of an older release may say less."""
    if not look.scope.reads:
        return True
    try:
        body = look.ports.store.read_bytes(report.bucket, report.key)
        if body == report_body(told):
            return True
        said = json.loads(body)
    except (ValueError, ObjectGone):
        return False
    expected = json.loads(report_body(told))
    return bool(said) and isinstance(said, dict) and all(name in expected and expected[name] == value for name, value in said.items())
