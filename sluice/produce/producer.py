"""Mechanism X: cut a source into chunks and land them, one after another, so that no crash skips or doubles a row.

Each chunk is planned in PostgreSQL (which rows, which key, which sha256), then written create-only, then marked landed. What was
planned and perhaps written when a producer died is made again from the source, byte for byte, and lands under the same key.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from include.contract import Contract
from include.errors import AlreadyThere, EnvironmentFailure, ObjectGone, UsageError
from include.files.keys import LONGEST_KEY_BYTES, landing_chunk
from include.logs import Log
from include.storage.object_store import ObjectStore
from sluice.produce.chunks import Cut, Position, cuts, digest, header_of
from sluice.produce.errors import SourceChanged, SourceEmpty
from sluice.produce.position import Chunk, KnownSource, Positions

if TYPE_CHECKING:
    import psycopg

    from sluice.produce.sources import Source

ROWS = 10_000
MOST_ROWS = 200_000
_MOST_CONTRADICTIONS = 5


@dataclass(frozen=True)
class Pace:
    """How to cut and how fast: `rows` a chunk, one every `every` seconds (0 = as fast as it goes), `limit` chunks (None = to the end)."""

    rows: int = ROWS
    every: float = 1.0
    limit: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= MOST_ROWS:
            raise UsageError(f"rows = {self.rows} is not from 1 to {MOST_ROWS:,}: a chunk is held in memory")
        if self.every < 0 or (self.limit is not None and self.limit < 1):
            raise UsageError(f"every = {self.every} and limit = {self.limit}: seconds are not below 0, and at least one chunk is made")


@dataclass(frozen=True)
class Produced:
    """What one run of the producer landed, and where the source stands after it."""

    source: str
    bucket: str
    chunks: int
    rows: int
    bytes: int
    first_key: str | None
    last_key: str | None
    rows_so_far: int
    finished: bool
    seconds: float


class _Place(NamedTuple):
    """Whether a key was ever used; `etag` where what was put there is ours."""

    taken: bool
    etag: str | None = None


def produce(
    source: Source,
    store: ObjectStore,
    ledger: psycopg.Connection,
    *,
    bucket: str,
    prefix: str,
    contract: Contract,
    holder: str,
    clock: Callable[[], dt.datetime],
    log: Log,
    pace: Pace = Pace(),
    from_start: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Produced:
    """Land a source's rows as chunks, from where the last run stopped; safe to kill at any point and to start again.

    Args:
        ledger: a connection in autocommit; while it lives, no other producer writes to the prefix.
        contract: of the feed whose files these are; its header is asked for before anything is written.
        holder: who this is, for the one who finds the prefix busy.
        from_start: produce from the first row even if the source was met before.

    Raises:
        UsageError: the source is missing, empty, unfit, or another than before (see sluice.produce.errors).
        ProducerBusy: another producer works on the prefix.
        EnvironmentFailure: S3, PostgreSQL or the source's server does not answer; run it again.
    """
    if not prefix.endswith("/") or prefix.startswith("/"):
        raise UsageError(f"prefix {prefix!r} is no folder of the bucket: it ends with a slash and does not begin with one")
    for what, text in (("prefix", prefix), ("source", source.location)):
        if len(text.encode("utf-8", "surrogateescape")) > LONGEST_KEY_BYTES:
            raise UsageError(f"the {what} has more than {LONGEST_KEY_BYTES:,} bytes: give a shorter one")
    positions = Positions(ledger, bucket, prefix)
    with positions.hold(holder, sleep):
        return _Producer(source, store, positions, bucket, prefix, contract, clock, log, pace, sleep).run(from_start)


class _Producer:
    """One run on one source. The prefix is held."""

    def __init__(
        self,
        source: Source,
        store: ObjectStore,
        positions: Positions,
        bucket: str,
        prefix: str,
        contract: Contract,
        clock: Callable[[], dt.datetime],
        log: Log,
        pace: Pace,
        sleep: Callable[[float], None],
    ) -> None:
        self._source, self._store, self._positions = source, store, positions
        self._bucket, self._prefix, self._contract = bucket, prefix, contract
        self._clock, self._log, self._pace, self._sleep = clock, log, pace, sleep
        self._landed: list[tuple[Chunk, int]] = []

    def run(self, from_start: bool) -> Produced:
        started = time.monotonic()
        with self._source.open() as stream:
            header = header_of(stream, self._source.location, self._contract)
        known = self._positions.known(self._source.location)
        if known is not None and from_start:
            self._positions.delete_expired(known)
            known = None
        if known is not None:
            self._check_unchanged(known, header)
        position, finished = self._produce(known, header)
        keys = [chunk.key for chunk, _ in self._landed]
        return Produced(
            source=self._source.location,
            bucket=self._bucket,
            chunks=len(keys),
            rows=sum(chunk.rows for chunk, _ in self._landed),
            bytes=sum(size for _, size in self._landed),
            first_key=keys[0] if keys else None,
            last_key=keys[-1] if keys else None,
            rows_so_far=position.rows,
            finished=finished,
            seconds=round(time.monotonic() - started, 3),
        )

    def _produce(self, known: KnownSource | None, header: bytes) -> tuple[Position, bool]:
        """Land the chunk that a crash left planned, if any, then the rest of the source up to the limit."""
        last = self._positions.last_landed(known.source_id) if known else None
        pending = self._positions.pending(known.source_id) if known else None
        position = last.end if last else Position(0, len(header))
        if position.rows:
            self._log(f"{self._source.location}: {position.rows:,} rows landed before; going on at row {position.rows + 1:,}")
        beat = _Beat(self._pace.every, self._sleep)
        with self._source.open(position.byte) as stream:
            if pending is not None:
                beat.wait()
                self._land(pending, self._made_again(stream, pending, header), resumed=True)
                position = pending.end
            following = cuts(stream, position, self._pace.rows, self._contract.max_line_bytes, self._source.location)
            for cut in following:
                if len(self._landed) == self._pace.limit:
                    return position, False
                known = known or self._positions.meet(self._source, header)
                beat.wait()
                body = cut.body(header)
                self._land(self._positions.plan(known.source_id, cut, digest(body), self._key), body, resumed=False)
                position = cut.end
        if not position.rows:
            raise SourceEmpty(self._source.location, "has a header and no rows")
        return position, True

    def _check_unchanged(self, known: KnownSource, header: bytes) -> None:
        """Where the origin does not vouch for it, read again what was produced and compare it."""
        location, now = self._source.location, self._source.described
        if known.header != header:
            raise SourceChanged(location, "its header is another")
        if now.version and (now.size, now.version) == (known.size, known.version):
            return
        with self._source.open(len(header)) as stream:
            last = b"\n"
            for chunk in self._positions.landed(known.source_id):
                last = _read_again(stream, chunk, header, location).removeprefix(header)
            following = stream.read(1)
        if not last.endswith(b"\n") and following not in (b"", b"\r", b"\n"):
            raise SourceChanged(location, "its last row, which had no line end, is longer now")
        self._log(f"{location} was touched since; the rows produced from it are the same")
        self._positions.recognise(known, self._source)

    def _made_again(self, stream: BinaryIO, pending: Chunk, header: bytes) -> bytes:
        self._log(f"chunk {pending.number} was planned and not finished: making it again")
        return _read_again(stream, pending, header, self._source.location)

    def _land(self, chunk: Chunk, body: bytes, *, resumed: bool) -> None:
        """Write a planned chunk unless it is there already; a key that somebody else uses is left to them.

        The ledger of files is asked even about a new number: restored from a backup it is brought up to date, and the position is not.
        """
        place = self._place_of(chunk, body) if resumed else self._registered(chunk)
        contradictions = 0
        while place.etag is None:
            if place.taken:
                self._log(f"s3://{self._bucket}/{chunk.key} is there with other bytes: leaving it, and taking the next number")
                chunk = self._positions.renumber(chunk, self._key)
                place = self._registered(chunk)
                continue
            try:
                place = _Place(taken=True, etag=self._store.put(self._bucket, chunk.key, body, rows=chunk.rows, if_absent=True).etag)
            except AlreadyThere as conflict:
                place = self._place_of(chunk, body)
                contradictions += not place.taken
                if contradictions == _MOST_CONTRADICTIONS:
                    raise EnvironmentFailure(
                        "S3", f"it refuses to create s3://{self._bucket}/{chunk.key} and shows no such object"
                    ) from conflict
        self._positions.mark_landed(chunk, place.etag)
        self._landed.append((chunk, len(body)))
        self._log(f"{chunk.key}: rows {chunk.first_row:,} to {chunk.last_row:,}, {len(body):,} bytes")

    def _place_of(self, chunk: Chunk, body: bytes) -> _Place:
        """What became of a key: deliver may have taken an object away that had landed, so the ledger is asked too."""
        stamp = self._store.head(self._bucket, chunk.key)
        if stamp is not None:
            try:
                same = stamp.size == len(body) and self._store.read_bytes(self._bucket, chunk.key, stamp.etag) == body
                return _Place(taken=True, etag=stamp.etag if same else None)
            except ObjectGone:
                self._log(f"s3://{self._bucket}/{chunk.key} was taken away just now: asking the ledger about it")
        return self._registered(chunk, len(body))

    def _registered(self, chunk: Chunk, planned_size: int | None = None) -> _Place:
        """What the ledger knows of a key. The gate has not hashed everything: then the size tells, of a chunk that was planned under it."""
        registered = self._positions.registered(chunk.key)
        for sha256, size, etag in registered:
            if sha256 == chunk.sha256 or (sha256 is None and size == planned_size):
                return _Place(taken=True, etag=etag)
        return _Place(taken=bool(registered))

    def _key(self, number: int) -> str:
        return landing_chunk(self._prefix, self._clock().date(), number)


class _Beat:
    """Waits for the next of evenly spaced instants, the first at once. One that was missed is left out, not caught up with."""

    def __init__(self, every: float, sleep: Callable[[float], None]) -> None:
        self._every, self._sleep = every, sleep
        self._due: float | None = None

    def wait(self) -> None:
        now = time.monotonic()
        if self._due is None or not self._every:
            self._due = now
            return
        self._due += self._every
        if self._due <= now:
            self._due += (now - self._due) // self._every * self._every
        else:
            self._sleep(self._due - now)


def _read_again(stream: BinaryIO, chunk: Chunk, header: bytes, location: str) -> bytes:
    """The body of a chunk from a stream that stands where its rows begin."""
    body = Cut(chunk.start, chunk.end, stream.read(chunk.end_byte - chunk.first_byte)).body(header)
    if digest(body) != chunk.sha256:
        raise SourceChanged(location, f"rows {chunk.first_row:,} to {chunk.last_row:,} (chunk {chunk.number}) are others now")
    return body
