"""Taking stock: the bucket's listings and the ledger's pointers, into the inventory. The ledger is asked after the bucket."""

from __future__ import annotations

from collections.abc import Iterator

from include.ingestion import keys
from include.ingestion.file import FileStamp, Kind, Source
from include.ingestion.kept import KeptFile
from include.ingestion.lifecycle import State
from include.ingestion.reconcile.inventory import Expected
from include.ingestion.reconcile.look import Look

ORIGINAL, BRONZE, REJECTS, REPORT, REJECTS_SHOWN = "original", "bronze", "rejects", "report", "rejects_shown"
_REPORTED = frozenset({State.QUARANTINED, State.DISCARDED})
_PUBLISHED = frozenset({State.PUBLISHED, State.SUPERSEDED})


def list_bucket(look: Look) -> tuple[int, int]:
    """List where files arrive and where Sluice writes; how many objects there were of each."""
    ports, scope = look.ports, look.scope
    arrivals = 0
    for source in places(look):
        arrivals += look.inventory.list(listed_arrivals(look, source), arrivals=True)
    ours = 0
    for prefix in keys.dated_objects(look.spec.name):
        ours += look.inventory.list(ports.store.objects(ports.bucket, scope.folders(prefix)))
    if scope.date is None:
        for prefix in keys.undated_objects(look.spec.name):
            ours += look.inventory.list(ports.store.objects(ports.bucket, prefix))
    return arrivals, ours


def places(look: Look) -> list[Source]:
    """Where files arrive: the feed's sources, and where people put what corrects them."""
    return [*look.ports.ledger.sources(look.spec), Source(look.ports.bucket, keys.fixes(look.spec.name))]


def listed_arrivals(look: Look, source: Source) -> Iterator[FileStamp]:
    """What lies under a source; of a date only the folders that can hold it: its own and those without a date."""
    store, date = look.ports.store, look.scope.date
    if date is None:
        yield from store.objects(source.bucket, source.prefix)
        return
    folders, beside = store.folders(source.bucket, source.prefix)
    yield from beside
    for folder in folders:
        if keys.date_in(folder) in {date, None}:
            yield from store.objects(source.bucket, folder)


def list_ledger(look: Look) -> None:
    """Note every object that the ledger refers to, of files and of the feed's results."""
    bucket = look.ports.bucket
    look.inventory.expect(expected for kept in look.files() for expected in objects_of(kept, look.spec.name, bucket))
    look.inventory.expect(look.ports.ledger.objects_of_batches(look.spec, bucket))
    look.inventory.expect(look.ports.results.pointers(look.scope.date))


def objects_of(kept: KeptFile, feed: str, bucket: str) -> Iterator[Expected]:
    """The objects that belong to one file, as the ledger has it.

    What deliver may be writing or moving at this moment may be there, and need not.
    """
    file, settled = kept.file, not kept.moving
    where, key = kept.place(bucket)
    if kept.has_bytes:
        etag = file.etag if kept.location == "landing" else None
        date = file.date if file.kind is Kind.LANDING else None
        yield Expected(where, key, ORIGINAL, file.file_id, file.size, etag, settled, date)
    for ref in kept.bronze:
        yield Expected(bucket, ref.key, BRONZE, file.file_id, ref.size, ref.etag, date=file.date)
    if kept.rejects is not None:
        yield Expected(bucket, kept.rejects.key, REJECTS, file.file_id, kept.rejects.size, kept.rejects.etag, date=file.date)
    folder = keys.error_folder(feed, file.date, file.key, file.file_id)
    reported = kept.delivered and (file.state in _REPORTED or (file.state in _PUBLISHED and kept.rejects is not None))
    yield Expected(bucket, keys.in_error(folder, "report.json"), REPORT, file.file_id, required=reported, date=file.date)
    size = kept.rejects.size if kept.rejects else None
    shown = reported and kept.rejects is not None
    yield Expected(bucket, keys.in_error(folder, "rejects.csv"), REJECTS_SHOWN, file.file_id, size, required=shown, date=file.date)
    yield Expected(bucket, keys.original_in_error(folder, file.key), "copy", file.file_id, required=False)
    yield Expected(bucket, keys.archived(feed, file.date, file.key, file.file_id), "copy", file.file_id, required=False)
