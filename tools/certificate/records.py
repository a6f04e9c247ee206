"""What a history left behind, and what snapshots are made of: sections of keys and values, with names for files that every run has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from include.files.file import FileStamp
from include.storage.s3 import S3Store

Section = dict[str, Any]
Snapshot = dict[str, Section]

_BY_ID = re.compile(r"\bfile (\d+)\b")
_IN_KEY = re.compile(r"\.(\d+)(?=/|$)")
_REPLACEMENT = re.compile(r"/replacement=(\d+)\.[^/]+/")
_COMMIT = re.compile(r".*/_delta_log/(\d{20})\.json")
_FILE_IDS = frozenset({"file_id", "_file_id"})


class Names:
    """Says feed and seq where texts and keys name a file by its id: a registration that was rolled back takes ids with it."""

    def __init__(self, seqs: Mapping[int, tuple[str, int]] | None = None) -> None:
        self._names = {file_id: f"{feed} seq {seq}" for file_id, (feed, seq) in (seqs or {}).items()}

    def file(self, file_id: int | None) -> str | None:
        return None if file_id is None else self._names.get(file_id, f"file {file_id}, which the ledger does not know")

    def text(self, text: str | None) -> str | None:
        return None if text is None else _BY_ID.sub(self._named, self.key(text))

    def key(self, key: str) -> str:
        """A key under error/ or archive/ with the seq in place of the id; that of a replacement without its token too."""
        named = _IN_KEY.sub(lambda match: f".{self._names[int(match[1])]}" if int(match[1]) in self._names else match[0], key)
        return _REPLACEMENT.sub(lambda match: f"/replacement of {self.file(int(match[1]))}/", named)

    def _named(self, match: re.Match[str]) -> str:
        return self._names.get(int(match[1]), match[0])


@dataclass(frozen=True)
class Records:
    """Rows in PostgreSQL and objects in a bucket, read without the product between them.

    Attributes:
        query: the rows that a statement finds, as dicts.
    """

    store: S3Store
    bucket: str
    query: Callable[[str], list[dict[str, Any]]]
    names: Names = field(default_factory=Names)

    def objects(self, prefix: str = "") -> Iterator[FileStamp]:
        return self.store.objects(self.bucket, prefix)

    def read(self, key: str) -> bytes:
        return self.store.read_bytes(self.bucket, key)

    def table(self, key: str) -> list[dict[str, Any]]:
        """The rows of a Parquet object, without the columns that its key's folders name."""
        rows: list[dict[str, Any]] = pq.ParquetFile(pa.BufferReader(self.read(key))).read().to_pylist()
        return rows

    def delta_commits(self, folder: str) -> list[str]:
        """The objects of a Delta table's log, oldest first; none may be missing."""
        listed = sorted(stamp.key for stamp in self.objects(f"{folder}_delta_log/") if _COMMIT.fullmatch(stamp.key))
        for version, key in enumerate(listed):
            assert f"{version:020d}.json" in key, f"{folder} has no commit {version}, but {listed[-1]}"
        return listed

    def delta_files(self, folder: str) -> dict[str, dict[str, str | None]]:
        """The data files of a Delta table's newest version, with the values of its partition columns: what a replay of its log leaves."""
        found: dict[str, dict[str, str | None]] = {}
        for key in self.delta_commits(folder):
            for line in self.read(key).decode().splitlines():
                action = json.loads(line)
                if "add" in action:
                    assert not action["add"].get("deletionVector"), f"{key}: rows are taken out by deletion vectors, not read here"
                    found[f"{folder}{unquote(action['add']['path'])}"] = action["add"]["partitionValues"]
                elif "remove" in action:
                    found.pop(f"{folder}{unquote(action['remove']['path'])}", None)
        return found

    def by_key(self, rows: Iterable[Mapping[str, Any]], named_by: Sequence[str]) -> Section:
        """Rows by what names them, with the names of their files in place of the ids."""
        found: Section = {}
        for row in rows:
            named = {name: self.names.file(value) if name in _FILE_IDS else value for name, value in row.items()}
            put(found, ", ".join(str(named[column]) for column in named_by), named)
        return found


Reader = Callable[[Records], Section]
"""Reads one section of what a history came to."""


def put(section: Section, key: str, value: Any) -> None:
    """Add what should be there once; what is there again has a key of its own."""
    while key in section:
        key += ", again"
    section[key] = value


def rows_of(statement: str, named_by: Sequence[str], not_compared: Collection[str] = ()) -> Reader:
    """The rows that a statement finds in PostgreSQL, without the columns that another run of the same stream may have otherwise."""

    def read(records: Records) -> Section:
        rows = ({name: value for name, value in row.items() if name not in not_compared} for row in records.query(statement))
        return records.by_key(rows, named_by)

    return read
