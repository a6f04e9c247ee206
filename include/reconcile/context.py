"""What one reconciliation acts through: its scope, the inventory, the ledger's files page by page, the lease when it must write."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from include.errors import ObjectGone
from include.feed import FeedSpec
from include.files import keys
from include.files.file import FileRecord, FileStamp
from include.pipeline.delivering import Delivering
from include.pipeline.ports import Ports
from include.pipeline.run import waiting_for_others
from include.reconcile.checks import AtWork, Checks
from include.reconcile.finding import Finding
from include.reconcile.inventory import Expected, Inventory
from include.run import Run
from include.storage.object_store import digest_of

DEFAULT_GRACE_SECONDS = 24 * 3600.0
_PAGE = 500
_MD5 = re.compile(r"[0-9a-f]{32}")
_PROBE = b"is the etag the MD5?"


@dataclass(frozen=True)
class Scope:
    """What is looked at.

    Attributes:
        date: only the files of this date; None = all.
        verify: read every object again, not only those of the date.
        collect: delete what nothing refers to and is older than `grace_seconds`.
    """

    date: dt.date | None = None
    verify: bool = False
    collect: bool = False
    grace_seconds: float = DEFAULT_GRACE_SECONDS

    @property
    def reads(self) -> bool:
        """Whether contents are read, or only listings and counts compared."""
        return self.verify or self.date is not None

    def folders(self, prefix: str) -> str:
        """The part of a prefix, with folders by date, that is looked at."""
        return prefix if self.date is None else keys.landing_date(prefix, self.date)

    def __str__(self) -> str:
        what = "everything" if self.date is None else f"dt={self.date.isoformat()}"
        return what + (", contents read" if self.reads else ", listings and counts") + (", collecting" if self.collect else "")


class Amounts:
    """Amounts by date, in the smallest unit of the feed's: in the originals, in bronze, rejected."""

    def __init__(self) -> None:
        self._sums: dict[dt.date, tuple[int, int, int]] = {}
        self._bronze: dict[int, int] = {}

    def add(self, date: dt.date | None, file_id: int, arrived: int, out: int, rejected: int) -> None:
        """Note a file's amounts; `date` None: it did not land, so that its amounts are those of another."""
        self._bronze[file_id] = out
        if date is None:
            return
        before = self._sums.get(date, (0, 0, 0))
        self._sums[date] = before[0] + arrived, before[1] + out, before[2] + rejected

    def of(self, date: dt.date) -> tuple[int, int, int] | None:
        return self._sums.get(date)

    def of_file(self, file_id: int) -> int | None:
        """The amount of a file in bronze, where it was read."""
        return self._bronze.get(file_id)


@dataclass(frozen=True)
class ReconcileContext:
    """One reconciliation of one feed."""

    ports: Ports
    auditor: Auditor
    checks: Checks
    spec: FeedSpec
    run: Run
    scope: Scope
    inventory: Inventory
    at_work: AtWork
    md5_etags: bool = False
    amounts: Amounts = field(default_factory=Amounts)

    def damaged(self, bucket: str, key: str, etag: str) -> bool:
        """Whether the store has other bytes under an etag than it names; False where its etags do not tell."""
        return self.md5_etags and not as_named(self.ports, bucket, key, etag)

    @contextmanager
    def lease(self) -> Iterator[int]:
        """The feed's lease for as long as the block works; whoever holds it is waited for. While we hold it no run registers or publishes.

        Deliver has a lease of its own: what it moves is looked at by `FileRecord.moving`.
        """
        ledger = self.ports.ledger
        token = waiting_for_others(self.ports, lambda: ledger.leases.acquire(self.spec, self.run))
        try:
            with ledger.leases.held(self.spec, token):
                yield token
        finally:
            ledger.leases.release(self.spec, token)

    @contextmanager
    def delivery(self) -> Iterator[Delivering]:
        """The lease on the group's deliveries: while we hold it nobody else delivers. Before the feed's, where both are needed."""
        ledger, spec = self.ports.ledger, self.spec
        token = waiting_for_others(self.ports, lambda: ledger.leases.acquire_delivery(spec, self.run))
        try:
            with ledger.leases.delivery_held(spec, token):
                yield Delivering(self.ports, spec, self.run, token)
        finally:
            ledger.leases.release_delivery(spec, token)

    def files(self) -> Iterator[FileRecord]:
        """The files in scope, in seq order."""
        after = 0
        while page := self.checks.records_page(self.spec, after, _PAGE, self.scope.date):
            yield from page
            after = page[-1].file.seq

    def again(self, file_id: int) -> FileRecord:
        """A file as the ledger has it now."""
        return self.ports.ledger.files.records([file_id])[0]

    def head(self, kept: FileRecord) -> FileStamp | None:
        """The object under the place of a file's bytes, as it is now."""
        return self.ports.store.head(*kept.place(self.ports.bucket))


Pass = Callable[[ReconcileContext], Iterator[Finding]]


@dataclass(frozen=True)
class Auditor:
    """What a feed's own tables and objects are held against.

    Attributes:
        pointers: every object that its tables point at, of a date or of all: others may be collected.
    """

    passes: Sequence[Pass] = ()
    pointers: Callable[[dt.date | None], Iterator[Expected]] = lambda _: iter(())


def in_groups(items: Iterator[int], size: int) -> Iterator[Sequence[int]]:
    while group := [*islice(items, size)]:
        yield group


def named_by_md5(ports: Ports, feed: str) -> bool:
    """Ask the store by putting a small object: with some kinds of encryption an etag looks like an MD5 and is none."""
    written = ports.store.put(ports.bucket, keys.probe(feed, ports.new_id()), _PROBE)
    ports.store.delete(ports.bucket, written.key)
    return written.etag == hashlib.md5(_PROBE, usedforsecurity=False).hexdigest()


def as_named(ports: Ports, bucket: str, key: str, etag: str) -> bool:
    """Whether an object has the bytes that its etag names. The etag of an upload in parts names none, so it holds."""
    if not _MD5.fullmatch(etag):
        return True
    try:
        return digest_of(ports.store, bucket, key, algorithm="md5") == etag
    except ObjectGone:
        return False
