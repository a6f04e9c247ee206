"""The producer's position in PostgreSQL: which chunks of which source were planned and which have landed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from include.ledger.session import map_driver_errors
from sluice.produce.chunks import Cut, Position
from sluice.produce.errors import ProducerBusy

if TYPE_CHECKING:
    import psycopg

    from sluice.produce.sources import Source

_LOCK_TRIES = 20  # a killed producer's session ends within moments, not at once
_LOCK_PAUSE = 0.1

_CHUNK = "number, key, first_row, last_row, first_byte, end_byte, sha256"
_CHUNKS = f"select {_CHUNK} from producer_chunk where source_id = %s"


@dataclass(frozen=True)
class Chunk:
    """A chunk as it was planned: the rows first_row to last_row of its source, in the bytes from first_byte to end_byte."""

    number: int
    key: str
    first_row: int
    last_row: int
    first_byte: int
    end_byte: int
    sha256: str

    @property
    def start(self) -> Position:
        return Position(self.first_row - 1, self.first_byte)

    @property
    def end(self) -> Position:
        return Position(self.last_row, self.end_byte)

    @property
    def rows(self) -> int:
        return self.last_row - self.first_row + 1


@dataclass(frozen=True)
class KnownSource:
    """A source that was met before, as it was described then."""

    source_id: int
    size: int | None
    version: str
    header: bytes


class Positions:
    """What is known of one landing prefix. Only its holder may change it: `hold` it first."""

    def __init__(self, ledger: psycopg.Connection, bucket: str, prefix: str) -> None:
        if not ledger.autocommit:
            raise ValueError("the producer needs a connection in autocommit: what it plans must be written before it acts")
        self._ledger = ledger
        self._where = (bucket, prefix)

    @contextmanager
    def hold(self, holder: str, pause: Callable[[float], None]) -> Iterator[None]:
        """Be the only producer of the prefix for as long as this connection lives, or until the block ends.

        Raises:
            ProducerBusy: another one is at work.
        """
        name = "sluice produce s3://{}/{}".format(*self._where)
        lock = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
        for attempt in range(_LOCK_TRIES):
            with map_driver_errors():
                held = self._ledger.execute(lock, (name,)).fetchone() == (True,)
            if held:
                break
            if attempt + 1 < _LOCK_TRIES:
                pause(_LOCK_PAUSE)
        else:
            raise self._busy()
        try:
            with map_driver_errors():
                self._ledger.execute(
                    """insert into producer (bucket, prefix, holder, held_since) values (%s, %s, %s, clock_timestamp())
                       on conflict (bucket, prefix) do update set holder = excluded.holder, held_since = excluded.held_since""",
                    (*self._where, holder),
                )
            yield
        finally:
            if not self._ledger.closed:  # a lost connection has let go by itself
                with map_driver_errors():
                    self._ledger.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (name,))

    def known(self, location: str) -> KnownSource | None:
        with map_driver_errors(), self._ledger.cursor(row_factory=class_row(KnownSource)) as cursor:
            cursor.execute(
                """select source_id, size, version, header from producer_source
                   where (bucket, prefix) = (%s, %s) and location = %s and current""",
                (*self._where, location),
            )
            return cursor.fetchone()

    def meet(self, source: Source, header: bytes) -> KnownSource:
        """Remember a source that is produced from for the first time."""
        with map_driver_errors():
            row = self._ledger.execute(
                """insert into producer_source (bucket, prefix, location, size, version, header)
                   values (%s, %s, %s, %s, %s, %s) returning source_id""",
                (*self._where, source.location, source.described.size, source.described.version, header),
            ).fetchone()
        assert row is not None, "an insert returns its row"
        return KnownSource(row[0], source.described.size, source.described.version, header)

    def recognise(self, known: KnownSource, source: Source) -> None:
        """Remember how a source that was checked against its chunks is described now."""
        with map_driver_errors():
            self._ledger.execute(
                "update producer_source set size = %s, version = %s, seen_at = clock_timestamp() where source_id = %s",
                (source.described.size, source.described.version, known.source_id),
            )

    def delete_expired(self, known: KnownSource) -> None:
        """Let the next run begin the source anew; what landed stays on record, its numbers are not used again."""
        with map_driver_errors(), self._ledger.transaction():
            self._ledger.execute("delete from producer_chunk where source_id = %s and landed_at is null", (known.source_id,))
            self._ledger.execute("update producer_source set current = false where source_id = %s", (known.source_id,))

    def landed(self, source_id: int) -> Iterator[Chunk]:
        """The chunks of a source that have landed, in its order."""
        with map_driver_errors(), self._ledger.cursor(row_factory=class_row(Chunk)) as cursor:
            cursor.execute(f"{_CHUNKS} and landed_at is not null order by first_row", (source_id,))
            yield from cursor

    def last_landed(self, source_id: int) -> Chunk | None:
        return self._one(f"{_CHUNKS} and landed_at is not null order by first_row desc limit 1", source_id)

    def pending(self, source_id: int) -> Chunk | None:
        """The chunk that was planned and is not known to have landed."""
        return self._one(f"{_CHUNKS} and landed_at is null", source_id)

    def plan(self, source_id: int, cut: Cut, sha256: str, key_of: Callable[[int], str]) -> Chunk:
        """Give the next number to a cut, and write down what is to land before any of it does."""
        with map_driver_errors(), self._ledger.transaction():
            number = self._next_number()
            chunk = Chunk(number, key_of(number), cut.start.rows + 1, cut.end.rows, cut.start.byte, cut.end.byte, sha256)
            self._ledger.execute(
                f"insert into producer_chunk (bucket, prefix, source_id, {_CHUNK}) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (*self._where, source_id, number, chunk.key, chunk.first_row, chunk.last_row, chunk.first_byte, chunk.end_byte, sha256),
            )
        return chunk

    def renumber(self, chunk: Chunk, key_of: Callable[[int], str]) -> Chunk:
        """Give a planned chunk another number, since its key is somebody else's."""
        with map_driver_errors(), self._ledger.transaction():
            number = self._next_number()
            self._ledger.execute(
                "update producer_chunk set number = %s, key = %s where (bucket, prefix) = (%s, %s) and number = %s",
                (number, key_of(number), *self._where, chunk.number),
            )
        return Chunk(number, key_of(number), chunk.first_row, chunk.last_row, chunk.first_byte, chunk.end_byte, chunk.sha256)

    def mark_landed(self, chunk: Chunk, etag: str) -> None:
        with map_driver_errors():
            self._ledger.execute(
                "update producer_chunk set landed_at = clock_timestamp(), etag = %s where (bucket, prefix) = (%s, %s) and number = %s",
                (etag, *self._where, chunk.number),
            )

    def registered(self, key: str) -> list[tuple[str | None, int, str]]:
        """sha256 (null before the gate), size and etag of the files the ledger knows under a key: they landed, wherever they are now."""
        query = "select sha256, size, etag from feed join file using (feed) where bucket = %s and key = %s"
        with map_driver_errors():
            return self._ledger.execute(query, (self._where[0], key)).fetchall()

    def _next_number(self) -> int:
        row = self._ledger.execute(
            "update producer set last_chunk = last_chunk + 1 where (bucket, prefix) = (%s, %s) returning last_chunk", self._where
        ).fetchone()
        assert row is not None, "the holder has made the row"
        return int(row[0])

    def _one(self, query: str, source_id: int) -> Chunk | None:
        with map_driver_errors(), self._ledger.cursor(row_factory=class_row(Chunk)) as cursor:
            return cursor.execute(query.encode(), (source_id,)).fetchone()

    def _busy(self) -> ProducerBusy:
        with map_driver_errors():
            row = self._ledger.execute("select holder, held_since from producer where (bucket, prefix) = (%s, %s)", self._where).fetchone()
        holder, since = row or ("another producer", None)
        return ProducerBusy(self._where[1], holder, f"{since:%Y-%m-%d %H:%M:%S %Z}" if since else "just now")
