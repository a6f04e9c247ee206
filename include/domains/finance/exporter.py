"""Silver and gold as files: each version under names of its own, and one object that says which is current."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from include.domains.finance.feeds import FORMATS, GROUP
from include.domains.finance.formats import NAMES, WRITERS, delta_log_of
from include.domains.finance.queries import newest_batch, statement
from include.domains.finance.schema import TABLES
from include.errors import AlreadyThere, ObjectGone
from include.feed import FeedSpec
from include.files import keys
from include.files.batch import Batch
from include.ledger.session import LedgerSession
from include.ledger.tables import in_pages
from include.logs import Log
from include.pipeline.delivering import Delivering, Part, in_turn
from include.pipeline.services import Services
from include.storage.object_store import ObjectStore

_KEPT = dt.timedelta(hours=1)
Current = dict[str, Any]


def exporter(_: FeedSpec, services: Services) -> TableExporter:
    return TableExporter(services.ledger.session, services.store, services.bucket)


@dataclass(frozen=True)
class TableExporter:
    """The tables of finance below `lake/finance/`."""

    ledger: LedgerSession
    store: ObjectStore
    bucket: str

    def export(self, batch: Batch, delivering: Delivering) -> None:
        """Write silver and gold as of the batch, unless a later one is published: its delivery does."""
        self.write(batch.number, batch.parameters["output_format"], delivering.log, delivering.each)

    def write(self, batch: int, written_as: str, log: Log, each: Callable[[Iterable[Part]], None] = in_turn) -> None:
        """Write every table as of a batch in a format, each by itself, and name it; a table that is named already stays as it is.

        A batch that is not the newest is left out: who reads is never led back.
        """
        if newest_batch(self.ledger) > batch:
            return
        published_at = self._published_at(batch)
        written: list[str] = []

        def bring(table: str) -> None:
            current = self._brought_to(table, written_as, batch, published_at)
            written.append(f"{table} {current['rows']} rows")

        each(partial(bring, table) for table in TABLES)
        log(f"as of batch {batch}: {', '.join(written)}, as {written_as} below s3://{self.bucket}/{keys.lake_group(GROUP)}")

    def _brought_to(self, table: str, written_as: str, batch: int, published_at: dt.datetime) -> Current:
        """Write a table as of a batch and name it, unless people read it as of that batch or a later one; what they read then."""
        while True:
            current, etag = self._named(table, written_as)
            if current is not None and current["batch"] >= batch and not self.damaged(current):
                return current
            written = self._write(table, written_as, batch, published_at)
            if self._name(written, etag):
                self._delete_expired(table, written_as, written)
                return written

    def current(self, table: str, written_as: str) -> Current | None:
        """What people read; None before the first."""
        return self._named(table, written_as)[0]

    def _named(self, table: str, written_as: str) -> tuple[Current | None, str]:
        """What people read, and the etag of the object that says so."""
        key = keys.lake_current(GROUP, table, written_as)
        while (there := self.store.head(self.bucket, key)) is not None:
            with contextlib.suppress(ObjectGone):  # another version was named in between
                return json.loads(self.store.read_bytes(self.bucket, key, there.etag)), there.etag
        return None, ""

    def _name(self, current: Current, etag: str) -> bool:
        """Let people read a version in the place of the one with that etag; False where they read another one by now.

        A run that was taken for dead may come here when later batches are named already.
        """
        key, body = keys.lake_current(GROUP, current["table"], current["format"]), json.dumps(current, indent=1).encode()
        try:
            if etag:
                self.store.replace(self.bucket, key, body, etag=etag)
            else:
                self.store.put(self.bucket, key, body, if_absent=True)
        except (AlreadyThere, ObjectGone):
            return False
        return True

    def damaged(self, current: Current) -> str | None:
        """Which object of a version is not as it was written; None where all are."""
        for ref in current["objects"]:
            there = self.store.head(self.bucket, ref["key"])
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
        row = self.ledger.row("select published_at from batch where group_name = %s and batch = %s", (GROUP, batch))
        assert row is not None, "it is being delivered"
        at: dt.datetime = row["published_at"]
        return at

    def _write(self, table: str, written_as: str, batch: int, published_at: dt.datetime) -> Current:
        folder = keys.lake_version(GROUP, table, written_as, batch)
        key = keys.in_lake_version(folder, NAMES[written_as])
        with tempfile.TemporaryFile() as body:
            rows = self._stream(table, written_as, batch, body)
            body.seek(0)
            objects = [self.store.put(self.bucket, key, body, rows=rows)]
        if written_as == "delta":
            log = delta_log_of(table, TABLES[table], objects[0], NAMES[written_as], published_at)
            objects.append(self.store.put(self.bucket, keys.delta_first_commit(folder), log))
        return {
            "table": table,
            "format": written_as,
            "batch": batch,
            "published_at": published_at.astimezone(dt.UTC).isoformat(),
            "folder": folder,
            "rows": rows,
            "objects": [{"key": ref.key, "size": ref.size, "etag": ref.etag} for ref in objects],
        }

    def _stream(self, table: str, written_as: str, batch: int, body: IO[bytes]) -> int:
        """Stream a table into a file, some rows at a time; how many there were."""
        schema, count = TABLES[table], 0
        with self.ledger.transaction() as cursor, WRITERS[written_as](body, schema) as write:
            for page in in_pages(cursor.stream(statement(table), {"batch": batch})):
                write(page)
                count += len(page)
        return count

    def _delete_expired(self, table: str, written_as: str, current: Current) -> None:
        """Delete the versions of earlier batches that have been out of date for an hour, by the store's clock."""
        there = [*self.store.objects(self.bucket, keys.lake_format(GROUP, table, written_as))]
        stays = {ref["key"] for ref in current["objects"]} | {keys.lake_current(GROUP, table, written_as)}
        newest = max(stamp.last_modified for stamp in there)
        for stamp in sorted(there, key=lambda one: one.key):
            if stamp.key not in stays and stamp.last_modified < newest - _KEPT:
                self.store.delete(stamp.bucket, stamp.key, stamp.etag)
