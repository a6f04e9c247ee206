"""Deliver: what follows publication and refusal, and may be repeated. Everything it writes is a pure function of the ledger."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from include.ingestion import keys
from include.ingestion.errors import EnvironmentFailure, FeedBusy, ObjectGone
from include.ingestion.feed import FeedSpec
from include.ingestion.file import LedgerFile
from include.ingestion.group import for_feed
from include.ingestion.lifecycle import State
from include.ingestion.ports import ObjectStore, Ports, Undelivered
from include.ingestion.repair.journal import write_journal
from include.ingestion.run import Run

_PIECE = 1 << 20


@dataclass(frozen=True)
class Delivered:
    """What was done, and how many files still wait for a run."""

    batches: int
    files: int
    waiting: int


def deliver(ports: Ports, spec: FeedSpec, run: Run) -> Delivered:
    """Drain the group's outbox: the journal first, then what follows batches in their order, error and archive objects, tidying of state.

    Where that writes tables of one writer it is done under the lease, and left to the run that holds it.

    Raises:
        FeedPaused: a person paused the feed, and the lease is asked for.
        EnvironmentFailure: S3 or PostgreSQL does not answer; the next run delivers the rest.
    """
    if not any(for_feed(ports, spec, batch.feed)[1].delivers_alone for batch in ports.ledger.undelivered_batches(spec)):
        return _drain(ports, spec, run)
    try:
        token = ports.ledger.take_lease(spec, run)
    except FeedBusy as busy:
        ports.say(f"{busy.holder} has the lease, and delivers what was published before it ends")
        return Delivered(0, 0, ports.ledger.waiting(spec).files)
    try:
        with ports.ledger.kept_lease(spec, token):
            return _drain(ports, spec, run)
    finally:
        ports.ledger.let_go(spec, token)


def _drain(ports: Ports, spec: FeedSpec, run: Run) -> Delivered:
    batches, files = ports.ledger.undelivered_batches(spec), ports.ledger.undelivered_files(spec)
    if batches or files:
        write_journal(ports, spec, [batch.number for batch in batches], [one.file.file_id for one in files])
    for batch in batches:
        for_feed(ports, spec, batch.feed)[0].results.deliver(batch, ports.job, ports.say)
        ports.ledger.delivered_batch(batch)
    for undelivered in files:
        location, key = _deliver_file(ports, for_feed(ports, spec, undelivered.file.feed)[1], undelivered)
        ports.ledger.delivered_file(undelivered.file.file_id, run, location, key)
    ports.results.tidy(ports.say)
    return Delivered(len(batches), len(files), ports.ledger.waiting(spec).files)


def _deliver_file(ports: Ports, spec: FeedSpec, undelivered: Undelivered) -> tuple[str | None, str | None]:
    """Do what is left to do for one file; the location its original bytes have after it, where that changes."""
    file = undelivered.file
    folder = keys.error_folder(spec.name, file.date, file.key, file.file_id)
    if file.state in {State.QUARANTINED, State.DISCARDED}:
        write_report(ports, folder, undelivered)
        return _put_aside(ports, undelivered, keys.original_in_error(folder, file.key), "error")
    if file.state in {State.PUBLISHED, State.SUPERSEDED}:
        if undelivered.rejects_key is not None:
            write_report(ports, folder, undelivered)
        if spec.archive:
            return _put_aside(ports, undelivered, keys.archived(spec.name, file.date, file.key, file.file_id), "archive")
    return None, None


def report_body(undelivered: Undelivered) -> bytes:
    """`report.json`, a pure function of the ledger."""
    return json.dumps(undelivered.report, indent=2, ensure_ascii=False, sort_keys=True).encode()


def write_report(ports: Ports, folder: str, undelivered: Undelivered) -> None:
    """Write `report.json`, and `rejects.csv` where rows were rejected one by one, beside each other."""
    ports.store.put(ports.bucket, keys.in_error(folder, "report.json"), report_body(undelivered))
    if undelivered.rejects_key is not None:
        rejects = ports.store.head(ports.bucket, undelivered.rejects_key)
        if rejects is None:
            raise EnvironmentFailure("S3", f"{undelivered.rejects_key}, the rejected rows of {undelivered.file.key}, is gone")
        ports.store.copy(ports.bucket, rejects.key, ports.bucket, keys.in_error(folder, "rejects.csv"), etag=rejects.etag)
    ports.say(f"{undelivered.file.key}: see s3://{ports.bucket}/{folder}")


def _put_aside(ports: Ports, undelivered: Undelivered, to_key: str, location: str) -> tuple[str | None, str | None]:
    """Move the original; where the key has other bytes by now, find it where a delivery that a restored ledger forgot has put it."""
    if undelivered.location == "landing":
        return _move(ports, undelivered.file, to_key, location)
    if undelivered.location == "overwritten" and ports.store.head(ports.bucket, to_key) is not None:
        return location, to_key
    return None, None


def _move(ports: Ports, file: LedgerFile, to_key: str, location: str) -> tuple[str, str | None]:
    """Copy, verify, delete if unchanged. An object that changed or went in the meantime stays what it is."""
    try:
        copied = ports.store.copy(file.bucket, file.key, ports.bucket, to_key, etag=file.etag)
    except ObjectGone:
        there = ports.store.head(file.bucket, file.key)
        if ports.store.head(ports.bucket, to_key) is not None:
            return location, to_key  # an earlier delivery got as far as the deletion
        ports.say(f"{file.key}: its bytes are no longer there to be kept under {location}/")
        return ("gone" if there is None else "overwritten"), None
    if copied.size != file.size or (copied.etag != file.etag and not _same_bytes(ports, file, to_key)):
        raise EnvironmentFailure("S3", f"the copy of {file.key} at {to_key} is not what was copied; the original stays")
    ports.store.delete(file.bucket, file.key, file.etag)
    ports.say(f"moved {file.key} to s3://{ports.bucket}/{to_key}")
    return location, to_key


def _same_bytes(ports: Ports, file: LedgerFile, to_key: str) -> bool:
    """Compare by content where the etags cannot be compared (an object uploaded in parts)."""
    return _sha256(ports.store, file.bucket, file.key) == _sha256(ports.store, ports.bucket, to_key)


def _sha256(store: ObjectStore, bucket: str, key: str) -> str:
    digest = hashlib.sha256()
    with store.read(bucket, key) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
