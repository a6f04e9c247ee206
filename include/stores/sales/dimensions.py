"""What the feeds of the dimensions make visible: the versions that hold, and what that settles or unsettles in published facts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from psycopg import sql

from include.feeds.parquet import Spooled
from include.feeds.sales.job import DIMENSION_JOB, DimensionRequest
from include.feeds.sales.lake import DIMENSION_LAKE_JOB, GROUP, LakeDimensionRequest
from include.feeds.sales.star import PRODUCT, Dimension
from include.ingestion import keys
from include.ingestion.batch import Attempt, Batch
from include.ingestion.ports import Job, ObjectStore, Say
from include.ingestion.reconcile.inventory import Expected
from include.ingestion.reconcile.look import Pass
from include.stores.contributions import SHADOW_ATTEMPT, ContributionShadows
from include.stores.ledger.session import Cursor, LedgerSession
from include.stores.sales.books import DimensionBooks
from include.stores.sales.facts import DELIVERY, put_unusual, star_file
from include.stores.sales.lake import LakeBooks
from include.stores.sales.state import dimension_objects, file_dates, point_at, published_facts
from include.stores.tables import copy_in, read_tables, spooled

_TABLES = ("touched", "changed")
_STATE = ("upserts", "versions")


@dataclass(frozen=True)
class Produced:
    """What an attempt of the job made: tables to publish, objects to point at, which facts it looked at again."""

    tables: Mapping[str, pa.Table]
    unusual: Spooled
    state: Mapping[str, Mapping[str, Any]]
    again: Mapping[str, Any]


class DimensionResults:
    """The `Results` port of the feed of a dimension."""

    job = DIMENSION_JOB

    def __init__(self, dimension: Dimension, ledger: LedgerSession, store: ObjectStore, bucket: str, new_id: Callable[[], str]) -> None:
        del new_id
        self._dimension = dimension
        self._ledger = ledger
        self._store = store
        self._bucket = bucket
        self.passes: Sequence[Pass] = (*DimensionBooks(dimension, ledger).passes, LakeBooks(dimension.feed, ledger).lake)
        said = [name for name in dimension.upserts.names if name not in {"seq", "file_id", "surrogate", "superseded"}]
        self.shadows = ContributionShadows(store, bucket, self._asked_in_shadow, "upserts", ("file_id", said))

    def pointers(self, date: dt.date | None) -> Iterator[Expected]:
        """The objects that hold the dimension after each of its batches."""
        if date is not None:
            return
        for row in self._ledger.rows("select * from sales.dimension_state where feed = %s", (self._dimension.feed,)):
            yield Expected(row["bucket"], row["key"], f"dimension {row['name']}", row["batch"], row["size"], row["etag"], required=False)

    def request(self, batch: Batch, attempt: Attempt) -> dict[str, Any]:
        """What the job is asked: the batch's bronze, the dimension as it is published, the files of facts in force."""
        return self.asked(batch, attempt.number, keys.attempt_folder(batch.feed, batch.number, attempt.number)).to_json()

    def asked(self, batch: Batch, attempt: int, output: str) -> DimensionRequest:
        """A request whose results go below `output`; the dimension as of before the batch."""
        dates = file_dates(self._ledger, [file.file_id for file in batch.files])
        return DimensionRequest(
            feed=batch.feed,
            batch=batch.number,
            attempt=attempt,
            bucket=self._bucket,
            files=tuple(star_file(file, file.seq, dates) for file in batch.files),
            superseded=tuple(old.file_id for old in batch.superseded),
            upserts=dimension_objects(self._ledger, batch.feed, "upserts", batch.number),
            versions=dimension_objects(self._ledger, batch.feed, "versions", batch.number),
            facts=published_facts(self._ledger),
            output=output,
        )

    def _asked_in_shadow(self, batch: Batch, folder: str) -> dict[str, Any]:
        """The same without facts to look at again: they are as they are now, not as they were."""
        return replace(self.asked(batch, SHADOW_ATTEMPT, folder), facts=()).to_json()

    def read(self, manifest: Mapping[str, Any]) -> Produced:
        """Read what an attempt wrote, exactly the objects its manifest names."""
        state = {name: manifest["objects"][name] for name in _STATE}
        tables = read_tables(self._store, self._bucket, manifest, _TABLES)
        return Produced(tables, spooled(self._store, self._bucket, manifest, "unusual"), state, manifest["again"])

    def publish(self, transaction: Cursor, batch: Batch, produced: Produced, at: dt.datetime) -> dict[str, int]:
        """Put the versions of the keys that the batch touches in place of those before; settle what they settle."""
        del at
        for name, ref in produced.state.items():
            point_at(transaction, batch.feed, batch.number, name, self._bucket, ref)
        transaction.execute("create temporary table touched (key bigint) on commit drop")
        copy_in(transaction, "touched", "key", [produced.tables["touched"]])
        self._put_versions(transaction, produced.tables["changed"])
        settled = self._settle(transaction, produced.again)
        put_unusual(transaction, produced.unusual)
        transaction.execute("drop table touched")
        return {"keys": produced.tables["touched"].num_rows, "versions": produced.tables["changed"].num_rows, "values settled": settled}

    def _put_versions(self, transaction: Cursor, changed: pa.Table) -> None:
        names = {"table": sql.Identifier("sales", self._dimension.table), "key": sql.Identifier(self._dimension.key)}
        transaction.execute(sql.SQL("delete from {table} d using touched t where d.{key} = t.key").format(**names))
        columns = [{"key": self._dimension.key, "surrogate": self._dimension.surrogate}.get(name, name) for name in changed.column_names]
        copy_in(transaction, f"sales.{self._dimension.table}", ", ".join(columns), [changed])

    def _settle(self, transaction: Cursor, again: Mapping[str, Any]) -> int:
        """Strike from the lists what is known now, and all that was looked at once more; how many unknown values that were."""
        if self._dimension is not PRODUCT:
            statement = """delete from sales.unresolved u using touched t
                           where u."column" = {column} and u.value = t.key::text and exists (select from {table} d where d.{key} = t.key)"""
            names = {
                "column": sql.Literal(self._dimension.names),
                "table": sql.Identifier("sales", self._dimension.table),
                "key": sql.Identifier(self._dimension.key),
            }
            transaction.execute(sql.SQL(statement).format(**names))
            return transaction.rowcount
        looked_at = {"names": again["product_names"], "files": again["file_ids"]}
        transaction.execute(
            "delete from sales.price_difference where product_name = any(%(names)s) and file_id = any(%(files)s)", looked_at
        )
        transaction.execute(
            """delete from sales.unresolved
               where "column" = 'product_name' and value = any(%(names)s) and file_id = any(%(files)s)""",
            looked_at,
        )
        return transaction.rowcount

    def deliver(self, batch: Batch, job: Job, say: Say) -> None:
        """Put the dimension into the lake, and its keys into the facts there."""
        after = dimension_objects(self._ledger, batch.feed, "versions", batch.number + 1)
        assert after is not None, "its publication points at it"
        asked = LakeDimensionRequest(
            feed=batch.feed,
            batch=batch.number,
            attempt=DELIVERY,
            bucket=self._bucket,
            before=dimension_objects(self._ledger, batch.feed, "versions", batch.number),
            after=after,
            output=keys.delivery_folder(batch.feed, batch.number),
        )
        job.run(DIMENSION_LAKE_JOB, asked.to_json())
        say(f"batch {batch.number} is in s3://{self._bucket}/{keys.lake_table(GROUP, self._dimension.table)}")

    def tidy(self, say: Say) -> None:
        """Nothing grows that could be merged."""
