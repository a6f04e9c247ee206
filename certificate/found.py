"""What snapshots are made of: sections of keys and values, and names for files that are the same in every run."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from certificate.history import History

Section = dict[str, Any]
Snapshot = dict[str, Section]

_BY_ID = re.compile(r"\bfile (\d+)\b")
_IN_KEY = re.compile(r"\.(\d+)(?=/|$)")
_REPLACEMENT = re.compile(r"/replacement=(\d+)\.[^/]+/")
_FILE_IDS = frozenset({"file_id", "_file_id"})


class Names:
    """Says feed and seq where texts and keys name a file by its id: a registration that was rolled back takes ids with it."""

    def __init__(self, seqs: Mapping[int, tuple[str, int]]) -> None:
        self._names = {file_id: f"{feed} seq {seq}" for file_id, (feed, seq) in seqs.items()}

    def file(self, file_id: int | None) -> str | None:
        return None if file_id is None else self._names.get(file_id, f"file {file_id}, which the ledger does not know")

    def text(self, said: str | None) -> str | None:
        return None if said is None else _BY_ID.sub(self._named, self.key(said))

    def key(self, key: str) -> str:
        """A key under error/ or archive/ with the seq in place of the id; that of a replacement without its token too."""
        told = _IN_KEY.sub(lambda match: f".{self._names[int(match[1])]}" if int(match[1]) in self._names else match[0], key)
        return _REPLACEMENT.sub(lambda match: f"/replacement of {self.file(int(match[1]))}/", told)

    def _named(self, match: re.Match[str]) -> str:
        return self._names.get(int(match[1]), match[0])


Look = Callable[["History", Names], Section]
"""Reads one section of what a history came to."""


def put(section: Section, key: str, value: Any) -> None:
    """Add what should be there once; what is there again is told."""
    while key in section:
        key += ", again"
    section[key] = value


def table(history: History, key: str) -> pa.Table:
    """A Parquet object, without the columns that its key's folders name."""
    return pq.ParquetFile(io.BytesIO(history.store.read_bytes(history.bucket, key))).read()


def by_key(rows: Iterable[Mapping[str, Any]], named_by: Sequence[str], names: Names) -> Section:
    """Rows by what names them, with the names of their files in place of the ids."""
    found: Section = {}
    for row in rows:
        said = {name: names.file(value) if name in _FILE_IDS else value for name, value in row.items()}
        put(found, ", ".join(str(said[column]) for column in named_by), said)
    return found


def rows_of(statement: str, named_by: Sequence[str], not_compared: Collection[str] = ()) -> Look:
    """The rows that a statement finds in PostgreSQL, without the columns that another run of the same stream may have otherwise."""

    def look(history: History, names: Names) -> Section:
        found = history.rows(statement)
        return by_key(({name: value for name, value in row.items() if name not in not_compared} for row in found), named_by, names)

    return look
