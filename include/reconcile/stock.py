"""Taking stock: the bucket's listings and the ledger's pointers, into the inventory. The ledger is asked after the bucket."""

from __future__ import annotations

from collections.abc import Iterator

from include.files import keys
from include.files.file import FileRecord, FileStamp, Kind, Source, State
from include.reconcile.context import ReconcileContext
from include.reconcile.inventory import Expected

ORIGINAL, BRONZE, REJECTS, REPORT, REJECTS_SHOWN = "original", "bronze", "rejects", "report", "rejects_shown"
_REPORTED = frozenset({State.QUARANTINED, State.DISCARDED})
_PUBLISHED = frozenset({State.PUBLISHED, State.SUPERSEDED})


def list_bucket(context: ReconcileContext) -> tuple[int, int]:
    """List where files arrive and where Sluice writes; how many objects there were of each."""
    ports, scope = context.ports, context.scope
    arrivals = 0
    for source in places(context):
        arrivals += context.inventory.list(listed_arrivals(context, source), arrivals=True)
    ours = 0
    for prefix in keys.dated_objects(context.spec.name):
        ours += context.inventory.list(ports.store.objects(ports.bucket, scope.folders(prefix)))
    if scope.date is None:
        for prefix in keys.undated_objects(context.spec.name):
            ours += context.inventory.list(ports.store.objects(ports.bucket, prefix))
    return arrivals, ours


def places(context: ReconcileContext) -> list[Source]:
    """Where files arrive: the feed's sources, and where people put what corrects them."""
    return [*context.ports.ledger.sources.active(context.spec), Source(context.ports.bucket, keys.fixes(context.spec.name))]


def listed_arrivals(context: ReconcileContext, source: Source) -> Iterator[FileStamp]:
    """What lies under a source; of a date only the folders that can hold it: its own and those without a date."""
    store, date = context.ports.store, context.scope.date
    if date is None:
        yield from store.objects(source.bucket, source.prefix)
        return
    folders, beside = store.folders(source.bucket, source.prefix)
    yield from beside
    for folder in folders:
        if keys.date_in(folder) in {date, None}:
            yield from store.objects(source.bucket, folder)


def list_ledger(context: ReconcileContext) -> None:
    """Note every object that the ledger refers to, of files and of the feed's results."""
    bucket = context.ports.bucket
    context.inventory.expect(expected for kept in context.files() for expected in objects_of(kept, context.spec.name, bucket))
    context.inventory.expect(context.checks.objects_of_batches(context.spec, bucket))
    context.inventory.expect(context.auditor.pointers(context.scope.date))


def objects_of(kept: FileRecord, feed: str, bucket: str) -> Iterator[Expected]:
    """The objects that belong to one file, as the ledger has it.

    What deliver may be writing or moving at this moment may be there, and need not.
    """
    file, decided = kept.file, not kept.moving
    where, key = kept.place(bucket)
    if kept.has_bytes:
        etag = file.etag if kept.location == "landing" else None
        date = file.date if file.kind is Kind.LANDING else None
        yield Expected(where, key, ORIGINAL, file.file_id, file.size, etag, decided, date)
    for ref in kept.bronze:
        yield Expected(bucket, ref.key, BRONZE, file.file_id, ref.size, ref.etag, date=file.date)
    if kept.rejects is not None:
        yield Expected(bucket, kept.rejects.key, REJECTS, file.file_id, kept.rejects.size, kept.rejects.etag, date=file.date)
    folder = kept.report_folder()
    reported = kept.delivered and (file.state in _REPORTED or (file.state in _PUBLISHED and kept.rejects is not None))
    yield Expected(bucket, keys.in_error(folder, "report.json"), REPORT, file.file_id, required=reported, date=file.date)
    size = kept.rejects.size if kept.rejects else None
    shown = reported and kept.rejects is not None
    yield Expected(bucket, keys.in_error(folder, "rejects.csv"), REJECTS_SHOWN, file.file_id, size, required=shown, date=file.date)
    yield Expected(bucket, keys.original_in_error(folder, file.key), "copy", file.file_id, required=False)
    yield Expected(bucket, keys.archived(feed, file.date, file.key, file.file_id), "copy", file.file_id, required=False)
