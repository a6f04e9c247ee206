"""What the feeds of finance make visible: of each id the latest row, from the batch on that brought it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from psycopg import sql

from include.feeds.finance.job import JOB, LatestFile, LatestRequest
from include.feeds.finance.latest import Latest
from include.ingestion import keys
from include.ingestion.batch import Attempt, Batch
from include.ingestion.ports import Job, ObjectStore, Say
from include.ingestion.reconcile.inventory import Expected
from include.ingestion.reconcile.look import Pass
from include.stores.contributions import SHADOW_ATTEMPT, ContributionShadows
from include.stores.finance.books import LatestBooks
from include.stores.finance.sets import VersionedSets
from include.stores.ledger.session import Cursor, LedgerSession
from include.stores.tables import copy_in, read_tables

_TABLES = ("upserts", "findings")


class LatestResults:
    """The `Results` port of a feed whose rows are upserts: one of several rows of an id holds, by (timestamp, seq, line)."""

    job = JOB

    def __init__(self, latest: Latest, ledger: LedgerSession, store: ObjectStore, bucket: str, new_id: Callable[[], str]) -> None:
        del new_id
        self._latest = latest
        self._ledger = ledger
        self._store = store
        self._bucket = bucket
        self._sets = VersionedSets(ledger, store, bucket)
        self.passes: Sequence[Pass] = LatestBooks(latest, ledger, self._sets).passes
        said = [name for name in latest.upserts.names if name not in {"seq", "file_id"}]
        self.shadows = ContributionShadows(store, bucket, self._asked_in_shadow, "upserts", ("file_id", said))

    def pointers(self, date: dt.date | None) -> Iterator[Expected]:
        """Nothing in S3 is state: the latest rows lie in PostgreSQL."""
        del date
        return iter(())

    def request(self, batch: Batch, attempt: Attempt) -> dict[str, Any]:
        """What the job is asked: the batch's bronze."""
        return self._asked(batch, attempt.number, keys.attempt_folder(batch.feed, batch.number, attempt.number))

    def _asked_in_shadow(self, batch: Batch, folder: str) -> dict[str, Any]:
        return self._asked(batch, SHADOW_ATTEMPT, folder)

    def _asked(self, batch: Batch, attempt: int, output: str) -> dict[str, Any]:
        files = tuple(LatestFile(file.file_id, file.seq, tuple(ref.key for ref in file.bronze), file.rows) for file in batch.files)
        return LatestRequest(
            feed=batch.feed, batch=batch.number, attempt=attempt, bucket=self._bucket, files=files, output=output
        ).to_json()

    def read(self, manifest: Mapping[str, Any]) -> dict[str, pa.Table]:
        """Read what an attempt wrote, exactly the objects its manifest names."""
        return read_tables(self._store, self._bucket, manifest, _TABLES)

    def publish(self, transaction: Cursor, batch: Batch, produced: Mapping[str, pa.Table], at: dt.datetime) -> dict[str, int]:
        """Let the batch's rows hold that are later than those of before."""
        del at
        upserts = produced["upserts"]
        names = self._names(upserts)
        transaction.execute(sql.SQL("create temporary table upsert (like {table}) on commit drop").format(**names))
        transaction.execute("alter table upsert alter from_batch drop not null")
        copy_in(transaction, "upsert", ", ".join(upserts.column_names), [upserts])
        winners = """select distinct on ({key}) {columns} from upsert order by {key}, {at} desc, seq desc, line desc"""
        closing = (
            "update {table} t set to_batch = %(batch)s from (" + winners + ") n where n.{key} = t.{key} and t.to_batch is null"
            " and (n.{at}, n.seq, n.line) > (t.{at}, t.seq, t.line)"
        )
        opening = (
            "insert into {table} ({columns}, from_batch) select n.*, %(batch)s from (" + winners + ") n"
            " where not exists (select from {table} t where t.{key} = n.{key} and t.to_batch is null)"
        )
        transaction.execute(sql.SQL(closing).format(**names), {"batch": batch.number})
        transaction.execute(sql.SQL(opening).format(**names), {"batch": batch.number})
        latest = transaction.rowcount
        transaction.execute("drop table upsert")
        self._put_files(transaction, batch, upserts)
        copy_in(transaction, "finance.finding", 'file_id, "column", what, rows, first_line', [produced["findings"]])
        return {"ids": upserts.num_rows, "latest rows": latest, "findings": produced["findings"].num_rows}

    def _names(self, upserts: pa.Table) -> dict[str, sql.Composable]:
        return {
            "table": sql.Identifier("finance", self._latest.table),
            "key": sql.Identifier(self._latest.key),
            "at": sql.Identifier(self._latest.at),
            "columns": sql.SQL(", ").join(map(sql.Identifier, upserts.column_names)),
        }

    def _put_files(self, transaction: Cursor, batch: Batch, upserts: pa.Table) -> None:
        counts = upserts.group_by("file_id").aggregate([([], "count_all")]).to_pylist()
        ids = {row["file_id"]: row["count_all"] for row in counts}
        with transaction.copy("copy finance.published_file (file_id, feed, batch, rows, ids) from stdin") as copy:
            for file in batch.files:
                copy.write_row((file.file_id, batch.feed, batch.number, file.rows, ids.get(file.file_id, 0)))

    def deliver(self, batch: Batch, job: Job, say: Say) -> None:
        """Write silver and gold as of the batch, unless a later one is published: its delivery does."""
        del job
        self._sets.write(batch.number, batch.parameters["output_format"], say)

    def tidy(self, say: Say) -> None:
        """Nothing grows that could be merged."""
