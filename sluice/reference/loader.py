"""Loading a reference: checked by its suite, aggregated exactly, written once, and in force for the files not yet registered."""

from __future__ import annotations

import hashlib
import io
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg.rows import dict_row

from include.contract import Contract
from include.domains import feed_named
from include.domains.transactions import reference
from include.domains.transactions.feeds import IMPORTANCE
from include.errors import EnvironmentFailure, UsageError
from include.files import keys
from include.files.file import ObjectRef
from include.ledger import Ledger
from include.ledger.leases import shared_gc_lock
from include.ledger.session import map_driver_errors
from include.logs import Log
from include.pipeline.journal import refuse_behind
from include.quality.lines import Quarantined
from include.storage.object_store import ObjectStore
from sluice.reference.errors import ReferenceUnfit

if TYPE_CHECKING:
    import psycopg

    from include.quality.rows import Piece
    from sluice.produce.sources import Source

_ROW_GROUP = 50_000  # sorted by merchant: a reader of few merchants skips the other groups
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Kind:
    """A reference a feed may have, and how its rows become what is stored."""

    contract: Contract
    sums: Callable[[pa.Table], pa.Table]
    merged: Callable[[list[pa.Table]], pa.Table]
    table: Callable[[pa.Table], pa.Table]


KINDS = {("transactions", "importance"): Kind(IMPORTANCE, reference.sums, reference.merged, reference.weights)}


@dataclass(frozen=True)
class Loaded:
    """The version in force after a load; `unchanged` where it was in force before, since the content is the same."""

    feed: str
    name: str
    version: int
    unchanged: bool
    sha256: str
    rows: int
    rejected: int
    pairs: int
    key: str
    after_seq: int
    seconds: float


@dataclass
class _Read:
    """What one pass over the source found."""

    summed: pa.Table | None = None
    rows: int = 0
    rejected: int = 0
    broken: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)
    sha256: str = ""

    def add(self, piece: Piece, kind: Kind) -> None:
        part = kind.sums(piece.table)
        self.summed = part if self.summed is None else kind.merged([self.summed, part])
        self.rows += piece.lines
        self.rejected += len(piece.rejected)
        for line, reasons in piece.rejected:
            self.broken.update((reason.column, reason.rule) for reason in reasons)
            if len(self.first) < _MOST_SHOWN:
                self.first.append(f"line {line}: " + "; ".join(reason.sentence for reason in reasons))


def load(
    source: Source,
    store: ObjectStore,
    ledger: psycopg.Connection,
    *,
    bucket: str,
    feed: str,
    name: str,
    loaded_by: str,
    run_id: str | None,
    new_id: Callable[[], str],
    log: Log,
) -> Loaded:
    """Replace a feed's reference for the files that are registered from now on; the same content again changes nothing.

    Args:
        ledger: a connection in autocommit.
        loaded_by: the person or process, for the record.

    Raises:
        UsageError: no such feed or reference, or the source is missing.
        ReferenceUnfit: it does not keep its contract, or more rows are rejected than that tolerates. The one in force stays.
        LedgerBehind: the ledger was restored from an older backup: it would give a version twice.
    """
    started = time.monotonic()
    kind = kind_named(feed, name)
    refuse_behind(store, Ledger(lambda: ledger), bucket, feed_named(feed))
    version = _in_force(ledger, feed, name)
    if version is None or version["contract_digest"] != kind.contract.digest or version["sha256"] != _sha256(source):
        read = _read(source, kind, log)
        table = kind.table(cast(pa.Table, read.summed))
        written = _write(store, bucket, keys.reference(feed, name, read.sha256, new_id()), table)
        row = {
            "feed": feed,
            "name": name,
            "sha256": read.sha256,
            "rows": read.rows,
            "rejected": read.rejected,
            "pairs": len(table),
            "bucket": bucket,
            "key": written.key,
            "etag": written.etag,
            "source": source.location,
            "contract_digest": kind.contract.digest,
            "loaded_by": loaded_by,
            "run_id": run_id,
        }
        loaded, unchanged = _register(ledger, row, store)
    else:
        loaded, unchanged = version, True
    counted = {column: loaded[column] for column in ("version", "sha256", "rows", "rejected", "pairs", "key", "after_seq")}
    return Loaded(feed=feed, name=name, unchanged=unchanged, seconds=round(time.monotonic() - started, 3), **counted)


def kind_named(feed: str, name: str) -> Kind:
    """The reference of that name.

    Raises:
        UsageError: the feed has none of that name.
    """
    if (feed, name) not in KINDS:
        raise UsageError(f"{feed} has no reference {name!r}; there are: {', '.join(f'{of} {called}' for of, called in sorted(KINDS))}")
    return KINDS[feed, name]


def _sha256(source: Source) -> str:
    with source.open() as stream:
        hashed = _Hashed(stream)
        while hashed.read(1 << 20):
            pass
        return hashed.sha256


def _read(source: Source, kind: Kind, log: Log) -> _Read:
    from include.quality.rows import accepted_rows  # imports Great Expectations: seconds, which only a real load pays

    read = _Read()
    with source.open() as stream:
        hashed = _Hashed(stream)
        try:
            for piece in accepted_rows(kind.contract, cast(BinaryIO, hashed), "reference.csv"):
                read.add(piece, kind)
        except Quarantined as refused:
            raise ReferenceUnfit(source.location, refused.reason) from refused
    read.sha256 = hashed.sha256
    log(f"{source.location}: {read.rows:,} rows, {read.rows - read.rejected:,} accepted, {read.rejected:,} rejected")
    for line in read.first:
        log(f"  {line}")
    if read.rejected > len(read.first):
        log(f"  ... {read.rejected - len(read.first):,} more")
    if read.rejected > kind.contract.tolerance * read.rows or read.rejected == read.rows:
        rules = ", ".join(f"{column or 'line'} {rule} {count:,}" for (column, rule), count in read.broken.most_common())
        what = f"{read.rejected:,} of {read.rows:,} rows are rejected, more than its contract tolerates ({rules})"
        raise ReferenceUnfit(source.location, what)
    return read


def _write(store: ObjectStore, bucket: str, key: str, table: pa.Table) -> ObjectRef:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=_ROW_GROUP)
    buffer.seek(0)
    return store.put(bucket, key, buffer, rows=len(table))


def _in_force(ledger: psycopg.Connection, feed: str, name: str) -> dict[str, Any] | None:
    with map_driver_errors(), ledger.cursor(row_factory=dict_row) as cursor:
        cursor.execute("select * from reference where (feed, name) = (%s, %s) order by version desc limit 1", (feed, name))
        return cursor.fetchone()


def _register(ledger: psycopg.Connection, row: dict[str, Any], store: ObjectStore) -> tuple[dict[str, Any], bool]:
    """Put the new version in force after the newest registered file; its row is locked, so that none is registered meanwhile."""
    with map_driver_errors(), ledger.transaction(), ledger.cursor(row_factory=dict_row) as cursor:
        feed = cursor.execute("select last_seq from feed where feed = %s for update", (row["feed"],)).fetchone()
        if feed is None:
            raise UsageError(f"the ledger has no feed {row['feed']}: `sluice up` or `sluice ledger migrate` makes it")
        shared_gc_lock(cursor)
        if store.head(row["bucket"], row["key"]) is None:
            raise EnvironmentFailure("S3", f"{row['key']} was deleted while it was loaded", "load it again")
        before = _in_force(ledger, row["feed"], row["name"])
        if before is not None and (before["sha256"], before["contract_digest"]) == (row["sha256"], row["contract_digest"]):
            return before, True
        values = {**row, "version": before["version"] + 1 if before else 1, "after_seq": feed["last_seq"]}
        columns = ", ".join(values)
        places = ", ".join(f"%({column})s" for column in values)
        loaded = cursor.execute(f"insert into reference ({columns}) values ({places}) returning *".encode(), values).fetchone()
        assert loaded is not None, "an insert returns its row"
        return loaded, False


class _Hashed:
    """Hashes a stream as it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._hash.update(piece)
        return piece

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
