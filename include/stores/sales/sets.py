"""Refreshing the finished sets of sales: write everything that is new under names of its own, then name it all with one write."""

from __future__ import annotations

import datetime as dt
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import IO, Any

import pyarrow as pa

from include.feeds.parquet import parquet_writer
from include.feeds.sales.lake import GROUP
from include.feeds.sales.sets import MARTS, NOTHING, PARTITION_JOB, REFRESH, SALES_PARTITIONED, Finished, PartitionRequest
from include.ingestion import keys
from include.ingestion.errors import ObjectGone
from include.ingestion.ports import Job, ObjectStore, Say
from include.stores.ledger.session import Cursor, LedgerSession

_ROWS = 50_000
_KEPT = dt.timedelta(hours=1)
_MONTH_OF_AN_OBJECT = re.compile(r"/sales_month=([0-9]{4}-[0-9]{2})/")


class Sets:
    """The finished sets, on open services."""

    def __init__(self, ledger: LedgerSession, store: ObjectStore, bucket: str, job: Job, new_id: Callable[[], str]) -> None:
        self._ledger = ledger
        self._store = store
        self._bucket = bucket
        self._job = job
        self._new_id = new_id

    def now(self) -> Finished:
        """What people read; nothing before the first refresh."""
        try:
            return Finished.from_json(json.loads(self._store.read_bytes(self._bucket, keys.finished_sets(GROUP))))
        except ObjectGone:
            return NOTHING

    def refresh(self, at: dt.datetime, say: Say) -> Finished:
        """Bring the sets up to what is published and lies in the lake; those before them stay readable for an hour at least.

        Raises:
            EnvironmentFailure: S3, PostgreSQL or Spark does not answer; people go on reading the sets before.
        """
        while True:
            before, token = self.now(), f"{at.astimezone(dt.UTC):%Y%m%dT%H%M%S}.{self._new_id()}"
            partitioned, manifest = self._partition(before, token)
            batch, marts = self._write_marts(token)
            after = Finished(
                at=at.isoformat(),
                batch=batch,
                delta_version=manifest["delta_version"],
                months=manifest["months"],
                objects={SALES_PARTITIONED: partitioned, **marts},
            )
            if self._switch(before, after):
                break
            say("another refresh was quicker: going on from its sets")
        told = ", ".join(f"{table} {objects[0]['rows']} rows" for table, objects in marts.items())
        say(f"as of batch {batch}: {told}, {SALES_PARTITIONED} {len(after.months)} months, {len(manifest['changed'])} of them written")
        gone = self._forget(after.keys | before.keys, at - _KEPT)
        say(f"s3://{self._bucket}/{keys.finished_sets(GROUP)} names them; {gone} objects of earlier sets deleted")
        return after

    def _switch(self, before: Finished, after: Finished) -> bool:
        """Let people see new sets, unless others than those they go on from are seen now: those may be newer than the new ones."""
        with self._ledger.transaction() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{self._bucket}/{keys.finished_sets(GROUP)}",))
            if self.now() != before:
                return False
            self._store.put(self._bucket, keys.finished_sets(GROUP), json.dumps(after.to_json()).encode())
        return True

    def _partition(self, before: Finished, token: str) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
        """Have Spark write the months that changed; the objects of all months then."""
        folder = keys.lake_set(GROUP, SALES_PARTITIONED, token)
        asked = PartitionRequest(
            feed=GROUP,
            batch=before.batch,
            attempt=0,
            bucket=self._bucket,
            months=before.months,
            folder=folder,
            output=keys.lake_set(GROUP, REFRESH, token),
        )
        manifest = self._job.run(PARTITION_JOB, asked.to_json())
        stays = set(manifest["months"]) - set(manifest["changed"])
        objects = [dict(ref) for ref in before.objects.get(SALES_PARTITIONED, ()) if ref["sales_month"] in stays]
        for stamp in self._store.objects(self._bucket, folder):
            month = _MONTH_OF_AN_OBJECT.search(stamp.key)
            if month is not None and stamp.key.endswith(".parquet"):
                objects.append({"key": stamp.key, "size": stamp.size, "etag": stamp.etag, "sales_month": month[1]})
        return sorted(objects, key=lambda ref: (ref["sales_month"], ref["key"])), manifest

    def _write_marts(self, token: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        """Both marts as of one moment, and the last batch that was published then."""
        with self._ledger.transaction() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
            cursor.execute(
                "select coalesce(max(batch), 0) as batch from batch where group_name = %s and state = 'published'",
                (GROUP,),
            )
            (of,) = cursor.fetchall()
            return of["batch"], {table: [self._write_mart(cursor, table, schema, token)] for table, schema in MARTS.items()}

    def _write_mart(self, cursor: Cursor, table: str, schema: pa.Schema, token: str) -> dict[str, Any]:
        key = keys.in_lake_set(keys.lake_set(GROUP, table, token), "part-00000.parquet")
        with tempfile.TemporaryFile() as body:
            rows = _as_parquet(cursor, table, schema, body)
            body.seek(0)
            written = self._store.put(self._bucket, key, body, rows=rows)
        return {"key": key, "size": written.size, "etag": written.etag, "rows": rows}

    def _forget(self, kept: frozenset[str], older_than: dt.datetime) -> int:
        """Delete what earlier refreshes left and nobody reads any more. How many objects."""
        gone = 0
        for table in (SALES_PARTITIONED, REFRESH, *MARTS):
            for stamp in self._store.objects(self._bucket, keys.lake_table(GROUP, table)):
                if stamp.key not in kept and stamp.last_modified < older_than:
                    gone += self._store.delete(stamp.bucket, stamp.key, stamp.etag)
        return gone


def _as_parquet(cursor: Cursor, table: str, schema: pa.Schema, sink: IO[bytes]) -> int:
    """Stream a mart into a file, some rows at a time; how many there were."""
    names = ", ".join(schema.names)
    rows: Iterator[dict[str, Any]] = iter(cursor.stream(f"select {names} from sales.{table} order by {names}".encode()))
    count = 0
    with parquet_writer(sink, schema) as writer:
        while page := [*islice(rows, _ROWS)]:
            writer.write_table(pa.Table.from_pylist(page, schema))
            count += len(page)
    return count
