"""Deliver: what follows publication and refusal, and may be repeated. Everything it writes is a pure function of the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from include.errors import EnvironmentFailure, FeedBusy, ObjectGone
from include.feed import FeedSpec
from include.files import keys
from include.files.batch import Batch
from include.files.failure import Undone, of_batch, of_file, of_state, resting
from include.files.file import FileStamp, LedgerFile, ObjectRef, State, Undelivered
from include.files.verdict import STAYS_WHERE_IT_LIES
from include.pipeline.delivering import Delivering
from include.pipeline.journal import refuse_if_behind, write_journal
from include.pipeline.ports import Ports
from include.pipeline.services import Services
from include.run import Run
from include.storage.object_store import digest_of


@dataclass(frozen=True)
class Delivered:
    """What was done, and how many files still wait for a run.

    Attributes:
        tried, done: how many items were tried now, and how many of them done.
        undone: what of the group failed and is tried again.
    """

    batches: int
    files: int
    waiting: int
    tried: int = 0
    done: int = 0
    undone: tuple[Undone, ...] = ()

    @property
    def failed(self) -> str:
        """What failed, for a run's last line; empty if nothing did."""
        return f"{len(self.undone)} not delivered and tried again (first: {self.undone[0]})" if self.undone else ""


@dataclass(frozen=True)
class _Outbox:
    """What is due: an item that failed and rests is not."""

    batches: Sequence[Batch]
    files: Sequence[Undelivered]
    compaction_due: bool

    @property
    def empty(self) -> bool:
        return not (self.batches or self.files or self.compaction_due)


def deliver(ports: Ports, spec: FeedSpec, run: Run) -> Delivered:
    """Drain the group's outbox: the journal first, then what follows batches in their order, error and archive objects, tidying of state.

    Each item is tried by itself: one that fails rests, and holds up no other. Done under a lease of its own, which no publication waits
    for; where another run has that, it is left to that run.

    Raises:
        LedgerBehind: the ledger was restored from an older backup; its outbox was drained by the ledger of before.
        EnvironmentFailure: S3, PostgreSQL or Spark does not answer; the next run delivers the rest.
        LeaseLost: another run delivers by now.
    """
    undone = ports.ledger.outbox.undone(spec)
    if _due(ports, spec, undone).empty:
        return Delivered(0, 0, ports.ledger.files.waiting(spec).files, undone=tuple(undone.values()))
    try:
        token = ports.ledger.leases.acquire_delivery(spec, run)
    except FeedBusy as busy:
        ports.log(f"{busy.holder} delivers what was published before it ends; the next run delivers the rest")
        return Delivered(0, 0, ports.ledger.files.waiting(spec).files, undone=tuple(undone.values()))
    try:
        with ports.ledger.leases.delivery_held(spec, token):
            return _drain(ports, Delivering(ports, spec, run, token, ports.ledger.outbox.undone(spec)))
    finally:
        ports.ledger.leases.release_delivery(spec, token)


def _drain(ports: Ports, delivering: Delivering) -> Delivered:
    """Try everything that is due, what is published meanwhile too, then what could be merged."""
    spec, undone = delivering.spec, delivering.undone
    batches = files = 0
    while not (outbox := _due(ports, spec, undone)).empty and delivering.down is None:
        if outbox.batches or outbox.files:
            refuse_if_behind(ports, spec)
            write_journal(ports, spec, [batch.number for batch in outbox.batches], [one.file.file_id for one in outbox.files])
        batches += _deliver_batches(ports, delivering, outbox.batches)
        for undelivered in outbox.files:
            files += delivering.item(of_file(undelivered.file.file_id), partial(_deliver_file, ports, delivering, undelivered))
        if _compaction_due(ports, spec, undone):
            delivering.item(of_state(spec.name), partial(_compact, ports, delivering))
    if delivering.down is not None:
        raise delivering.down
    return Delivered(batches, files, ports.ledger.files.waiting(spec).files, delivering.tried, delivering.done, tuple(undone.values()))


def _due(ports: Ports, spec: FeedSpec, undone: Mapping[str, Undone]) -> _Outbox:
    now = ports.clock()
    batches: list[Batch] = []
    held = False
    for batch in ports.ledger.outbox.batches(spec):
        in_order = ports.for_peer_feed(spec, batch.feed)[1].delivers_in_order
        held = held or (in_order and resting(undone, of_batch(batch.number), now))
        if not (resting(undone, of_batch(batch.number), now) or (in_order and held)):
            batches.append(batch)
    files = [one for one in ports.ledger.outbox.files(spec) if not resting(undone, of_file(one.file.file_id), now)]
    return _Outbox(batches, files, _compaction_due(ports, spec, undone))


def _compaction_due(ports: Ports, spec: FeedSpec, undone: Mapping[str, Undone]) -> bool:
    item, compactor = of_state(spec.name), ports.parts.compactor
    if not spec.merges_state or compactor is None or resting(undone, item, ports.clock()):
        return False
    return item in undone or compactor().due()


def _deliver_batches(ports: Ports, delivering: Delivering, batches: Sequence[Batch]) -> int:
    """What follows batches; how many are done. Where one fails whose feed needs their order, such batches behind it wait for it."""
    done, held = 0, False
    for batch in batches:
        of_feed, spec = ports.for_peer_feed(delivering.spec, batch.feed)
        if spec.delivers_in_order and held:
            continue
        went = delivering.item(of_batch(batch.number), partial(_deliver_batch, of_feed, delivering, batch), by_job=spec.delivers_in_order)
        held = held or (spec.delivers_in_order and not went)
        done += went
    return done


def _deliver_batch(ports: Ports, delivering: Delivering, batch: Batch) -> None:
    if ports.parts.exporter is not None:
        ports.parts.exporter().export(batch, delivering)
    ports.ledger.outbox.batch_delivered(delivering.spec, delivering.token, batch)


def _compact(ports: Ports, delivering: Delivering) -> None:
    assert ports.parts.compactor is not None, "a feed that merges state says how"
    ports.parts.compactor().compact(delivering)
    ports.ledger.outbox.compacted(delivering.spec, delivering.token)


def _deliver_file(ports: Ports, delivering: Delivering, undelivered: Undelivered) -> None:
    """Do what is left to do for one file, each part of it by itself; note at once where its original bytes lie by now."""
    file = undelivered.file
    spec = ports.for_peer_feed(delivering.spec, file.feed)[1]
    folder = keys.report_folder(spec.name, file.date, file.key, file.file_id, undelivered.location_key)
    parts: list[Callable[[], None]] = []
    if file.state in {State.QUARANTINED, State.DISCARDED}:
        parts = report_parts(ports, folder, undelivered)
        if undelivered.report.get("reason_code") not in STAYS_WHERE_IT_LIES:
            parts.append(partial(_put_aside, delivering, undelivered, "error", keys.original_in_error(folder, file.key)))
    elif file.state in {State.PUBLISHED, State.SUPERSEDED}:
        if undelivered.rejects_key is not None:
            parts = report_parts(ports, folder, undelivered)
        if spec.archive:
            archived = keys.archived(spec.name, file.date, file.key, file.file_id)
            parts.append(partial(_put_aside, delivering, undelivered, "archive", archived))
    delivering.each(parts)
    ports.ledger.outbox.file_delivered(delivering.spec, delivering.token, file.file_id)


def report_body(undelivered: Undelivered) -> bytes:
    """`report.json`, a pure function of the ledger."""
    return json.dumps(undelivered.report, indent=2, ensure_ascii=False, sort_keys=True).encode()


def report_parts(ports: Services, folder: str, undelivered: Undelivered) -> list[Callable[[], None]]:
    """Writing `report.json`, and `rejects.csv` where rows were rejected one by one, beside each other."""
    parts = [partial(_write_report, ports, folder, undelivered)]
    if undelivered.rejects_key is not None:
        parts.append(partial(_copy_rejects, ports, folder, undelivered, undelivered.rejects_key))
    return [*parts]


def _write_report(ports: Services, folder: str, undelivered: Undelivered) -> None:
    ports.store.put(ports.bucket, keys.in_error(folder, "report.json"), report_body(undelivered))
    ports.log(f"{undelivered.file.key}: see s3://{ports.bucket}/{folder}")


def _copy_rejects(ports: Services, folder: str, undelivered: Undelivered, key: str) -> None:
    rejects = ports.store.head(ports.bucket, key)
    if rejects is None:
        mend = f"`sluice reconcile {undelivered.file.feed} --all` makes it again"
        raise EnvironmentFailure("S3", f"s3://{ports.bucket}/{key}, the rejected rows of {undelivered.file.key}, is gone; {mend}")
    ports.store.copy(ports.bucket, rejects.key, ports.bucket, keys.in_error(folder, "rejects.csv"), etag=rejects.etag)


def _put_aside(delivering: Delivering, undelivered: Undelivered, location: str, to_key: str) -> None:
    """Move the original; where the key has other bytes by now, find it where a delivery that a restored ledger forgot has put it."""
    ports, file = delivering.ports, undelivered.file
    if undelivered.location == "landing":
        moved = _move(ports, file, to_key, location)
    elif undelivered.location == "overwritten" and ports.store.head(ports.bucket, to_key) is not None:
        moved = location, to_key
    else:
        return
    ports.ledger.outbox.relocated(delivering.spec, delivering.token, delivering.run, file.file_id, *moved)


def _move(ports: Services, file: LedgerFile, to_key: str, location: str) -> tuple[str, str | None]:
    """Copy, verify, delete if unchanged. An object that changed or went in the meantime stays what it is."""
    try:
        copied = _copied(ports, file, to_key)
    except ObjectGone:
        there = ports.store.head(file.bucket, file.key)
        if ports.store.head(ports.bucket, to_key) is not None:
            return location, to_key  # an earlier delivery got as far as the deletion
        ports.log(f"{file.key}: its bytes are no longer there to be kept under {location}/")
        return ("gone" if there is None else "overwritten"), None
    if copied.size != file.size or (copied.etag != file.etag and not _same_bytes(ports, file, to_key)):
        raise EnvironmentFailure("S3", f"the copy of {file.key} at {to_key} is not what was copied; the original stays")
    if ports.store.delete(file.bucket, file.key, file.etag):
        ports.log(f"moved {file.key} to s3://{ports.bucket}/{to_key}")
    else:
        ports.log(f"copied {file.key} to s3://{ports.bucket}/{to_key}; the key has other bytes by now, which stay")
    return location, to_key


def _copied(ports: Services, file: LedgerFile, to_key: str) -> ObjectRef | FileStamp:
    """The copy: the one that is there where an earlier try got no further, else a new one."""
    there = ports.store.head(ports.bucket, to_key)
    if there is not None and (there.size, there.etag) == (file.size, file.etag):
        original = ports.store.head(file.bucket, file.key)
        if original is not None and original.etag == file.etag:
            return there
    return ports.store.copy(file.bucket, file.key, ports.bucket, to_key, etag=file.etag)


def _same_bytes(ports: Services, file: LedgerFile, to_key: str) -> bool:
    """Compare by content where the etags cannot be compared (an object uploaded in parts)."""
    return digest_of(ports.store, file.bucket, file.key) == digest_of(ports.store, ports.bucket, to_key)
