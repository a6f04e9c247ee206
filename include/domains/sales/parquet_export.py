"""The snapshots of sales: plain Parquet for whoever does not read Delta, refreshed as a whole and named by one object.

`lake/sales/finished.json` names the objects of every snapshot. It is replaced by one write, so that all appear at once, and a reader who
reads what it names never sees half of one. Months of `sales_partitioned` in which nothing changed keep their objects.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa

from include.domains.sales.request import PartitionManifest, PartitionRequest
from include.domains.sales.schema import GROUP, MARTS
from include.errors import ObjectGone
from include.files import keys
from include.ledger.session import Cursor, LedgerSession
from include.ledger.tables import in_pages
from include.logs import Log
from include.pipeline.message import Message
from include.pipeline.services import Job
from include.storage.object_store import ObjectStore
from include.storage.parquet import parquet_writer

SALES_PARTITIONED = "sales_partitioned"
REFRESH = "marts"
_KEPT = dt.timedelta(hours=1)
_MONTH_OF_AN_OBJECT = re.compile(r"/sales_month=([0-9]{4}-[0-9]{2})/")


@dataclass(frozen=True, kw_only=True)
class Snapshots(Message):
    """What `finished.json` says.

    Attributes:
        batch: the marts are as of this batch of the group.
        delta_version: `sales_partitioned` is as of this version of `fact_sales`.
        months: what each month of it was made of.
        objects: of each snapshot: key, size, etag, rows (of a mart), sales_month (of `sales_partitioned`).
    """

    at: str
    batch: int
    delta_version: int
    months: Mapping[str, str]
    objects: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(ref["key"] for objects in self.objects.values() for ref in objects)


NOTHING = Snapshots(at="", batch=0, delta_version=-1, months={}, objects={})


@dataclass(frozen=True)
class ParquetExport:
    """The snapshots, on open services."""

    ledger: LedgerSession
    store: ObjectStore
    bucket: str
    job: Job
    new_id: Callable[[], str]

    def current(self) -> Snapshots:
        """What people read; nothing before the first refresh."""
        try:
            return Snapshots.from_json(json.loads(self.store.read_bytes(self.bucket, keys.snapshots_index(GROUP))))
        except ObjectGone:
            return NOTHING

    def refresh(self, at: dt.datetime, log: Log) -> Snapshots:
        """Bring the sets up to what is published and lies in the lake; those before them stay readable for an hour at least.

        Raises:
            EnvironmentFailure: S3, PostgreSQL or Spark does not answer; people go on reading the sets before.
        """
        while True:
            before, token = self.current(), f"{at.astimezone(dt.UTC):%Y%m%dT%H%M%S}.{self.new_id()}"
            partitioned, manifest = self._partition(before, token)
            batch, marts = self._write_marts(token)
            after = Snapshots(
                at=at.isoformat(),
                batch=batch,
                delta_version=manifest.delta_version,
                months=manifest.months,
                objects={SALES_PARTITIONED: partitioned, **marts},
            )
            if self._switch(before, after):
                break
            log("another refresh was quicker: going on from its sets")
        marts_written = ", ".join(f"{table} {objects[0]['rows']} rows" for table, objects in marts.items())
        log(
            f"as of batch {batch}: {marts_written}, {SALES_PARTITIONED} {len(after.months)} months, {len(manifest.changed)} of them written"
        )
        gone = self._delete_expired(after.keys | before.keys, at - _KEPT)
        log(f"s3://{self.bucket}/{keys.snapshots_index(GROUP)} names them; {gone} objects of earlier sets deleted")
        return after

    def _switch(self, before: Snapshots, after: Snapshots) -> bool:
        """Let people see new sets, unless others than those they go on from are seen now: those may be newer than the new ones."""
        with self.ledger.transaction() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{self.bucket}/{keys.snapshots_index(GROUP)}",))
            if self.current() != before:
                return False
            self.store.put(self.bucket, keys.snapshots_index(GROUP), json.dumps(after.to_json()).encode())
        return True

    def _partition(self, before: Snapshots, token: str) -> tuple[list[dict[str, Any]], PartitionManifest]:
        """Have Spark write the months that changed; the objects of all months then."""
        folder = keys.lake_set(GROUP, SALES_PARTITIONED, token)
        request = PartitionRequest(
            feed=GROUP,
            batch=before.batch,
            attempt=0,
            bucket=self.bucket,
            months=before.months,
            folder=folder,
            output=keys.lake_set(GROUP, REFRESH, token),
        )
        manifest = PartitionManifest.from_json(self.job.run(request))
        stays = set(manifest.months) - set(manifest.changed)
        objects = [dict(ref) for ref in before.objects.get(SALES_PARTITIONED, ()) if ref["sales_month"] in stays]
        for stamp in self.store.objects(self.bucket, folder):
            month = _MONTH_OF_AN_OBJECT.search(stamp.key)
            if month is not None and stamp.key.endswith(".parquet"):
                objects.append({"key": stamp.key, "size": stamp.size, "etag": stamp.etag, "sales_month": month[1]})
        return sorted(objects, key=lambda ref: (ref["sales_month"], ref["key"])), manifest

    def _write_marts(self, token: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        """Both marts as of one moment, and the last batch that was published then."""
        with self.ledger.transaction() as cursor:
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
            written = self.store.put(self.bucket, key, body, rows=rows)
        return {"key": key, "size": written.size, "etag": written.etag, "rows": rows}

    def _delete_expired(self, kept: frozenset[str], older_than: dt.datetime) -> int:
        """Delete what earlier refreshes left and nobody reads any more. How many objects."""
        gone = 0
        for table in (SALES_PARTITIONED, REFRESH, *MARTS):
            for stamp in self.store.objects(self.bucket, keys.lake_table(GROUP, table)):
                if stamp.key not in kept and stamp.last_modified < older_than:
                    gone += self.store.delete(stamp.bucket, stamp.key, stamp.etag)
        return gone


def _as_parquet(cursor: Cursor, table: str, schema: pa.Schema, sink: IO[bytes]) -> int:
    """Stream a mart into a file, some rows at a time; how many there were."""
    names, count = ", ".join(schema.names), 0
    with parquet_writer(sink, schema) as writer:
        for page in in_pages(cursor.stream(f"select {names} from sales.{table} order by {names}".encode())):
            writer.write_table(pa.Table.from_pylist(page, schema))
            count += len(page)
    return count
