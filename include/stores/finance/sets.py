"""Silver and gold as files: each version under names of its own, and one object that says which is current."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

from include.feeds.finance.choices import FORMATS, GROUP
from include.feeds.finance.sets import TABLES
from include.ingestion import keys
from include.ingestion.errors import AlreadyThere, ObjectGone
from include.ingestion.ports import ObjectStore, Say
from include.stores.finance.views import newest_batch, statement
from include.stores.finance.written import NAMES, WRITERS, delta_log_of
from include.stores.ledger.session import LedgerSession

_ROWS = 50_000
_KEPT = dt.timedelta(hours=1)
Current = dict[str, Any]


class VersionedSets:
    """The tables of finance below `lake/finance/`."""

    def __init__(self, ledger: LedgerSession, store: ObjectStore, bucket: str) -> None:
        self._ledger = ledger
        self._store = store
        self._bucket = bucket

    def write(self, batch: int, written_as: str, say: Say) -> None:
        """Write every table as of a batch in a format, and name it; a table that is named already stays as it is.

        A batch that is not the newest is left out: who reads is never led back.
        """
        if newest_batch(self._ledger) > batch:
            return
        published_at = self._published_at(batch)
        told = []
        for table in TABLES:
            current = self._brought_to(table, written_as, batch, published_at)
            told.append(f"{table} {current['rows']} rows")
        say(f"as of batch {batch}: {', '.join(told)}, as {written_as} below s3://{self._bucket}/{keys.lake_group(GROUP)}")

    def _brought_to(self, table: str, written_as: str, batch: int, published_at: dt.datetime) -> Current:
        """Write a table as of a batch and name it, unless people read it as of that batch or a later one; what they read then."""
        while True:
            current, etag = self._named(table, written_as)
            if current is not None and current["batch"] >= batch and not self.damaged(current):
                return current
            written = self._write(table, written_as, batch, published_at)
            if self._name(written, etag):
                self._forget(table, written_as, written)
                return written

    def current(self, table: str, written_as: str) -> Current | None:
        """What people read; None before the first."""
        return self._named(table, written_as)[0]

    def _named(self, table: str, written_as: str) -> tuple[Current | None, str]:
        """What people read, and the etag of the object that says so."""
        key = keys.lake_current(GROUP, table, written_as)
        while (there := self._store.head(self._bucket, key)) is not None:
            with contextlib.suppress(ObjectGone):  # another version was named in between
                return json.loads(self._store.read_bytes(self._bucket, key, there.etag)), there.etag
        return None, ""

    def _name(self, current: Current, etag: str) -> bool:
        """Let people read a version in the place of the one with that etag; False where they read another one by now.

        A run that was taken for dead may come here when later batches are named already.
        """
        key, body = keys.lake_current(GROUP, current["table"], current["format"]), json.dumps(current, indent=1).encode()
        try:
            if etag:
                self._store.replace(self._bucket, key, body, etag=etag)
            else:
                self._store.put(self._bucket, key, body, if_absent=True)
        except (AlreadyThere, ObjectGone):
            return False
        return True

    def damaged(self, current: Current) -> str | None:
        """Which object of a version is not as it was written; None where all are."""
        for ref in current["objects"]:
            there = self._store.head(self._bucket, ref["key"])
            if there is None or (there.size, there.etag) != (ref["size"], ref["etag"]):
                return str(ref["key"])
        return None

    def formats(self) -> Iterator[tuple[str, str, Current]]:
        """Each table and format that there is, with what people read of it."""
        for table in TABLES:
            for written_as in FORMATS:
                current = self.current(table, written_as)
                if current is not None:
                    yield table, written_as, current

    def _published_at(self, batch: int) -> dt.datetime:
        row = self._ledger.row("select published_at from batch where group_name = %s and batch = %s", (GROUP, batch))
        assert row is not None, "it is being delivered"
        at: dt.datetime = row["published_at"]
        return at

    def _write(self, table: str, written_as: str, batch: int, published_at: dt.datetime) -> Current:
        folder = keys.lake_version(GROUP, table, written_as, batch)
        key = keys.in_lake_version(folder, NAMES[written_as])
        with tempfile.TemporaryFile() as body:
            rows = self._tell(table, written_as, batch, body)
            body.seek(0)
            objects = [self._store.put(self._bucket, key, body, rows=rows)]
        if written_as == "delta":
            log = delta_log_of(table, TABLES[table], objects[0], NAMES[written_as], published_at)
            objects.append(self._store.put(self._bucket, keys.delta_first_commit(folder), log))
        return {
            "table": table,
            "format": written_as,
            "batch": batch,
            "published_at": published_at.astimezone(dt.UTC).isoformat(),
            "folder": folder,
            "rows": rows,
            "objects": [{"key": ref.key, "size": ref.size, "etag": ref.etag} for ref in objects],
        }

    def _tell(self, table: str, written_as: str, batch: int, body: IO[bytes]) -> int:
        """Stream a table into a file, some rows at a time; how many there were."""
        schema, count = TABLES[table], 0
        with self._ledger.transaction() as cursor, WRITERS[written_as](body, schema) as writer:
            rows = iter(cursor.stream(statement(table), {"batch": batch}))
            while page := [*islice(rows, _ROWS)]:
                writer.write(page)
                count += len(page)
        return count

    def _forget(self, table: str, written_as: str, current: Current) -> None:
        """Delete the versions of earlier batches that have been out of date for an hour, by the store's clock."""
        there = [*self._store.objects(self._bucket, keys.lake_format(GROUP, table, written_as))]
        stays = {ref["key"] for ref in current["objects"]} | {keys.lake_current(GROUP, table, written_as)}
        newest = max(stamp.last_modified for stamp in there)
        for stamp in sorted(there, key=lambda one: one.key):
            if stamp.key not in stays and stamp.last_modified < newest - _KEPT:
                self._store.delete(stamp.bucket, stamp.key, stamp.etag)
