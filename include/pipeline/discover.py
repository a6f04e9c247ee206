"""Discover: list what arrived, register it in order, and say what the gate has to look at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from include.feed import FeedSpec
from include.files import keys
from include.files.file import FileStamp, LedgerFile, Source
from include.pipeline.journal import refuse_if_behind
from include.pipeline.ports import Ports
from include.run import Run
from include.storage.object_store import ObjectStore

RECENT_DATES = 3
GROUPS = 2
_SMALL_GROUP_BYTES = 4 * 2**20
_IGNORED_SHOWN = 5


@dataclass(frozen=True)
class GateGroup:
    """Files that one gate task looks at together; the label names them in the Airflow UI."""

    label: str
    file_ids: tuple[int, ...]


@dataclass(frozen=True)
class Discovered:
    """What discover hands on: keys and counts only.

    `token` None: nothing to do, and no lease is held. `resumes`: an unfinished batch of the group, of `resumes_feed`.
    """

    token: int | None
    listed: int
    registered: int
    seen_again: int
    ignored: int
    resumes: int | None
    resumes_feed: str | None
    file_ids: tuple[int, ...]
    groups: tuple[GateGroup, ...]

    @property
    def empty(self) -> bool:
        return self.token is None


def discover(ports: Ports, spec: FeedSpec, run: Run) -> Discovered:
    """Take the feed's lease, register everything new, and plan what the gate has to judge.

    Raises:
        FeedBusy: another run holds the lease.
        FeedPaused: a person paused the feed, or another one of its group that has a batch to be finished first.
        LedgerBehind: the ledger knows less than was delivered; it was restored from a backup.
        EnvironmentFailure: S3 or PostgreSQL does not answer.
    """
    token = ports.ledger.leases.acquire(spec, run)
    keep = False
    try:
        refuse_if_behind(ports, spec)
        full = run.dates is None and (run.full or ports.ledger.files.sweep_due(spec))
        listed, files, ignored = _listing(ports, spec, run, full)
        new, again = register_found(ports, spec, run, token, files)
        if full and not run.key_prefix:
            ports.ledger.files.mark_swept(spec, token)
        for file in new:
            ports.log(f"registered seq {file.seq} {file.key} ({_bytes(file.size)}, version {file.version} of its key)")
        resumes = ports.ledger.batches.open(spec)
        if resumes:
            ports.ledger.leases.refuse_paused(resumes.feed)
        files_to_validate = [] if resumes else ports.ledger.files.undecided(spec, run.max_files, run.max_bytes)
        keep = bool(resumes or files_to_validate)
        if resumes:
            ports.log(
                f"batch {resumes.number} of {resumes.feed} (seq {resumes.first_seq}-{resumes.last_seq}) was left unfinished: "
                "it goes before anything new"
            )
        return Discovered(
            token=token if keep else None,
            listed=listed,
            registered=len(new),
            seen_again=len(again),
            ignored=len(ignored),
            resumes=resumes.number if resumes else None,
            resumes_feed=resumes.feed if resumes else None,
            file_ids=tuple(file.file_id for file in files_to_validate),
            groups=grouped([file for file in files_to_validate if not file.validated]),
        )
    finally:
        if not keep:
            ports.ledger.leases.release(spec, token)


def _listing(ports: Ports, spec: FeedSpec, run: Run, full: bool) -> tuple[int, list[FileStamp], list[FileStamp]]:
    """How many objects lie below the sources and among the corrected rows, those that are files of the feed, and those that are not."""
    listed = 0
    files: list[FileStamp] = []
    ignored: list[FileStamp] = []
    for source in ports.ledger.sources.active(spec):
        for stamp in _objects(ports.store, source, run, full, ports.clock().date()):
            listed += 1
            (ignored if keys.refused(stamp.key, source.prefix, spec.endings) else files).append(stamp)
    scope = _scope(run, full)
    for stamp in _objects(ports.store, Source(ports.bucket, keys.fixes(spec.name)), run, full, ports.clock().date()):
        if not keys.is_replacement(stamp.key):
            listed += 1
            (ignored if keys.refused_as_fix(spec.name, stamp.key) else files).append(stamp)
    ports.log(f"listed {scope}{f' below {run.key_prefix}' if run.key_prefix else ''}: {listed} objects")
    if ignored:
        shown = "; ".join(stamp.key for stamp in ignored[:_IGNORED_SHOWN])
        more = f" and {len(ignored) - _IGNORED_SHOWN} more" if len(ignored) > _IGNORED_SHOWN else ""
        ports.log(f"{len(ignored)} objects are no files of {spec.name} and stay untouched: {shown}{more}")
    return listed, files, ignored


def _scope(run: Run, full: bool) -> str:
    if run.dates is not None:
        return f"dt={', '.join(date.isoformat() for date in sorted(run.dates))}"
    return "everything" if full else f"the last {RECENT_DATES} dates and the undated keys"


def _objects(store: ObjectStore, source: Source, run: Run, full: bool, today: dt.date) -> Iterator[FileStamp]:
    if run.key_prefix:
        prefix = run.key_prefix if run.key_prefix.startswith(source.prefix) else source.prefix + run.key_prefix
        yield from store.objects(source.bucket, prefix)
    elif run.dates is not None:
        yield from _of_dates(store, source, run.dates)
    elif full:
        yield from store.objects(source.bucket, source.prefix)
    else:
        folders, beside = store.folders(source.bucket, source.prefix)
        yield from beside
        for folder in recent(folders, today):
            yield from store.objects(source.bucket, folder)


def _of_dates(store: ObjectStore, source: Source, dates: Collection[dt.date]) -> Iterator[FileStamp]:
    """The objects of some dates: by a folder of their key, at whatever depth, else by when they were modified last."""
    folders, beside = store.folders(source.bucket, source.prefix)
    yield from (stamp for stamp in beside if stamp.date in dates)
    for folder in folders:
        if keys.date_in(folder) in {None, *dates}:
            yield from (stamp for stamp in store.objects(source.bucket, folder) if stamp.date in dates)


def recent(folders: Iterable[str], today: dt.date) -> list[str]:
    """The folders that a scheduled poll looks into: those of the last dates, and those without a date.

    >>> recent(["l/dt=2026-11-01/", "l/dt=2026-11-20/", "l/west/"], dt.date(2026, 11, 21))
    ['l/dt=2026-11-20/', 'l/west/']
    """
    oldest = today - dt.timedelta(days=RECENT_DATES - 1)
    dated = ((folder, keys.date_in(folder)) for folder in folders)
    return [folder for folder, date in dated if date is None or date >= oldest]


def register_found(
    ports: Ports, spec: FeedSpec, run: Run, token: int, files: Sequence[FileStamp]
) -> tuple[tuple[LedgerFile, ...], tuple[FileStamp, ...]]:
    """Register the objects that the ledger does not know like this; those that came back are looked at twice.

    An object that deliver moved away between the listing and here looks as if it had come back, so only what is
    still there counts as seen again.
    """
    once = {(stamp.bucket, stamp.key): stamp for stamp in files}.values()  # places may overlap
    found: list[FileStamp] = []
    for bucket in sorted({stamp.bucket for stamp in once}):
        found += ports.ledger.files.new_or_changed(spec, bucket, [stamp for stamp in once if stamp.bucket == bucket])
    registration = ports.ledger.files.register(spec, token, run, sorted(found, key=partial(_registration_order, spec.name)))
    still_there = [stamp for stamp in registration.seen_again if _still(ports.store, stamp)]
    if still_there:
        ports.ledger.files.mark_seen_again(spec, token, run, still_there)
        for stamp in still_there:
            ports.log(f"seen again: {stamp.key} is back with the bytes the ledger knows; no new file")
    return registration.files, tuple(still_there)


def _still(store: ObjectStore, stamp: FileStamp) -> bool:
    there = store.head(stamp.bucket, stamp.key)
    return there is not None and there.etag == stamp.etag


def _registration_order(feed: str, stamp: FileStamp) -> tuple[object, ...]:
    """What landed before corrected rows, which come in as if they had arrived last."""
    return keys.is_fix(feed, stamp.key), *feed_order(stamp)


def feed_order(stamp: FileStamp) -> tuple[object, ...]:
    """(date, natural order of the key), the order in which files found together get their seqs."""
    return stamp.date, keys.natural_order(stamp.key), stamp.bucket


def grouped(files: Sequence[LedgerFile], groups: int = GROUPS) -> tuple[GateGroup, ...]:
    """Cut files, in order, into a few groups of about equal bytes; few small files stay together."""
    total = sum(file.size for file in files)
    share = max(total / groups, _SMALL_GROUP_BYTES)
    made: list[list[LedgerFile]] = []
    filled = 0.0
    for file in files:
        if not made or filled >= share:
            made.append([])
            filled = 0.0
        made[-1].append(file)
        filled += file.size
    return tuple(GateGroup(_label(group), tuple(file.file_id for file in group)) for group in made)


def _label(group: Sequence[LedgerFile]) -> str:
    size = _bytes(sum(file.size for file in group))
    if len(group) == 1:
        return f"seq {group[0].seq}: {keys.base_name(group[0].key)} ({size})"
    return f"seq {group[0].seq}-{group[-1].seq}: {len(group)} files ({size})"


def _bytes(size: int) -> str:
    """A size for people.

    >>> _bytes(812_345)
    '812.3 kB'
    """
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")
