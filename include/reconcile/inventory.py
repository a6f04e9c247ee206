"""What the bucket holds and what the ledger refers to, side by side on local disk: memory does not follow their number."""

from __future__ import annotations

import datetime as dt
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from include.files.file import FileStamp

_TABLES = """
create table listed (
    bucket text, key text, etag text, size integer, modified text, arrival integer,
    primary key (bucket, key)
) without rowid;
create table expected (
    bucket text, key text, kind text, owner integer, size integer, etag text, required integer, date text,
    primary key (bucket, key, kind, owner)
) without rowid;
"""
PAGE = 2000


@dataclass(frozen=True, slots=True)
class Expected:
    """An object that the ledger refers to.

    Attributes:
        kind, owner: whose it is: `original` or `bronze` of a file id, `state` of a first seq, ...
        size, etag: what the ledger recorded, None where it did not.
        required: whether it must be there; others may be.
    """

    bucket: str
    key: str
    kind: str
    owner: int = 0
    size: int | None = None
    etag: str | None = None
    required: bool = True
    date: dt.date | None = None


class Inventory:
    """A database of its own in a temporary folder, gone at the end of the block."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-reconcile-")
        self._rows = sqlite3.connect(Path(self._folder.name) / "inventory", isolation_level=None)
        self._rows.execute("pragma journal_mode = off")
        self._rows.execute("pragma synchronous = off")
        self._rows.executescript(_TABLES)
        return self

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None) -> None:
        self._rows.close()
        self._folder.cleanup()

    def list(self, stamps: Iterable[FileStamp], *, arrivals: bool = False) -> int:
        """Note objects that a listing showed; `arrivals`: they lie where files arrive. How many there were."""
        return self._fill(
            "insert or replace into listed values (?, ?, ?, ?, ?, ?)",
            ((s.bucket, s.key, s.etag, s.size, s.last_modified.isoformat(), arrivals) for s in stamps),
        )

    def expect(self, objects: Iterable[Expected]) -> int:
        """Note objects that the ledger refers to. How many there were."""
        return self._fill(
            "insert or replace into expected values (?, ?, ?, ?, ?, ?, ?, ?)",
            ((e.bucket, e.key, e.kind, e.owner, e.size, e.etag, e.required, e.date and e.date.isoformat()) for e in objects),
        )

    def arrivals(self) -> Iterator[FileStamp]:
        """The objects that lie where files arrive."""
        yield from map(_stamp, self._pages("select bucket, key, etag, size, modified from listed where arrival order by bucket, key"))

    def find(self, bucket: str, key: str) -> FileStamp | None:
        row = self._rows.execute("select bucket, key, etag, size, modified from listed where (bucket, key) = (?, ?)", (bucket, key))
        found = row.fetchone()
        return None if found is None else _stamp(found)

    def mismatches(self, kind: str) -> Iterator[int]:
        """Whose required objects of a kind were not listed, or with another size or etag than recorded; each owner once."""
        rows = self._pages(
            """select distinct e.owner from expected e left join listed l on (l.bucket, l.key) = (e.bucket, e.key)
               where e.kind = ? and e.required
                 and (l.key is null or l.size <> coalesce(e.size, l.size) or l.etag <> coalesce(e.etag, l.etag)) order by e.owner""",
            (kind,),
        )
        yield from (row[0] for row in rows)

    def unreferred(self) -> Iterator[FileStamp]:
        """Listed objects, not where files arrive, that nothing refers to."""
        rows = self._pages(
            """select bucket, key, etag, size, modified from listed l
               where not arrival and not exists (select 1 from expected e where (e.bucket, e.key) = (l.bucket, l.key))
               order by bucket, key"""
        )
        yield from map(_stamp, rows)

    def there_by_date(self, kind: str) -> dict[dt.date, int]:
        """How many of the expected objects of a kind were listed, by date."""
        rows = self._rows.execute(
            """select e.date, count(*) from expected e join listed l on (l.bucket, l.key) = (e.bucket, e.key)
               where e.kind = ? and e.date is not null group by e.date""",
            (kind,),
        )
        return {dt.date.fromisoformat(date): count for date, count in rows}

    def _fill(self, statement: str, rows: Iterable[tuple[object, ...]]) -> int:
        source = iter(rows)
        total = 0
        while page := [*islice(source, PAGE)]:
            self._rows.execute("begin")
            self._rows.executemany(statement, page)
            self._rows.execute("commit")
            total += len(page)
        return total

    def _pages(self, statement: str, values: tuple[object, ...] = ()) -> Iterator[Any]:
        cursor = self._rows.execute(statement, values)
        while page := cursor.fetchmany(PAGE):
            yield from page


def _stamp(row: tuple[str, str, str, int, str]) -> FileStamp:
    bucket, key, etag, size, modified = row
    return FileStamp(bucket, key, etag, size, dt.datetime.fromisoformat(modified))
