"""What the sales feed makes visible: the marts, and what is unusual in the facts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from include.feeds.parquet import Spooled
from include.feeds.sales.job import FACTS_JOB, FactsRequest, StarFile
from include.feeds.sales.lake import FACT_SALES, FACTS_LAKE_JOB, GROUP
from include.feeds.sales.star import DIMENSIONS, FACTS, SUMS, UNUSUAL
from include.ingestion import keys
from include.ingestion.batch import Attempt, Batch, BatchFile
from include.ingestion.ports import Job, ObjectStore, Say
from include.ingestion.reconcile.inventory import Expected
from include.ingestion.reconcile.look import Pass
from include.stores.contributions import SHADOW_ATTEMPT, ContributionShadows
from include.stores.ledger.session import Cursor, LedgerSession
from include.stores.sales.books import FactsBooks
from include.stores.sales.lake import LakeBooks
from include.stores.sales.marts import publish_sums
from include.stores.sales.state import dimension_objects, file_dates
from include.stores.tables import copy_in, spooled

DELIVERY = 0  # the number of no attempt
_TABLES = ("sums", "unusual")


class FactsResults:
    """The `Results` port of the sales feed."""

    job = FACTS_JOB

    def __init__(self, ledger: LedgerSession, store: ObjectStore, bucket: str, new_id: Callable[[], str]) -> None:
        del new_id
        self._ledger = ledger
        self._store = store
        self._bucket = bucket
        self.passes: Sequence[Pass] = (*FactsBooks(ledger).passes, LakeBooks(FACTS, ledger).lake)
        self.shadows = ContributionShadows(
            store,
            bucket,
            lambda batch, folder: self.asked(batch, SHADOW_ATTEMPT, folder).to_json(),
            "sums",
            ("seq", [name for name in SUMS.names if name != "seq"]),
        )

    def pointers(self, date: dt.date | None) -> Iterator[Expected]:
        """Facts have no state: what a file put in is read again from its bronze."""
        del date
        return iter(())

    def request(self, batch: Batch, attempt: Attempt) -> dict[str, Any]:
        """What the job is asked: the batch's bronze, that of the files it supersedes, the dimensions as they are published."""
        output = keys.attempt_folder(batch.feed, batch.number, attempt.number)
        return self.asked(batch, attempt.number, output).to_json()

    def asked(self, batch: Batch, attempt: int, output: str) -> FactsRequest:
        """A request whose results go below `output`; dimensions as of before the batch."""
        dates = file_dates(self._ledger, [file.file_id for file in (*batch.files, *batch.superseded)])
        found = {feed: dimension_objects(self._ledger, feed, "versions", batch.number) for feed in DIMENSIONS}
        return FactsRequest(
            feed=batch.feed,
            batch=batch.number,
            attempt=attempt,
            bucket=self._bucket,
            files=tuple(star_file(file, file.seq, dates) for file in batch.files),
            superseded=tuple(star_file(old, file.seq, dates) for file in batch.files for old in file.supersedes),
            versions={feed: key for feed, key in found.items() if key is not None},
            output=output,
        )

    def read(self, manifest: Mapping[str, Any]) -> dict[str, Spooled]:
        """Fetch what an attempt wrote, exactly the objects its manifest names."""
        return {name: spooled(self._store, self._bucket, manifest, name) for name in _TABLES}

    def publish(self, transaction: Cursor, batch: Batch, produced: Mapping[str, Spooled], at: dt.datetime) -> dict[str, int]:
        """Let the batch count in the marts, and list what is unusual in it."""
        changed = publish_sums(transaction, batch, produced["sums"], at)
        gone = [old.file_id for old in batch.superseded]
        transaction.execute("delete from sales.unresolved where file_id = any(%s)", (gone,))
        transaction.execute("delete from sales.price_difference where file_id = any(%s)", (gone,))
        unresolved, prices = put_unusual(transaction, produced["unusual"])
        return {"incentives changed": changed, "unresolved values": unresolved, "price warnings": prices}

    def deliver(self, batch: Batch, job: Job, say: Say) -> None:
        """Put the facts into the lake, with the keys of when the batch was published; later dimensions change them in their turn."""
        asked = self.asked(batch, DELIVERY, keys.delivery_folder(batch.feed, batch.number))
        job.run(FACTS_LAKE_JOB, asked.to_json())
        say(f"batch {batch.number} is in s3://{self._bucket}/{keys.lake_table(GROUP, FACT_SALES)}")

    def tidy(self, say: Say) -> None:
        """Nothing grows that could be merged."""


def star_file(file: BatchFile, seq: int, dates: Mapping[int, dt.date]) -> StarFile:
    return StarFile(file.file_id, seq, dates[file.file_id], tuple(ref.key for ref in file.bronze), file.rows)


def put_unusual(transaction: Cursor, unusual: Spooled) -> tuple[int, int]:
    """List values that are unknown, and prices that differ; how many of each."""
    if not unusual.num_rows:
        return 0, 0
    columns = 'file_id, line, "column", value'
    unknown = (piece.filter(pc.is_valid(piece["column"])) for piece in unusual.pieces(UNUSUAL.names[:4]))
    unresolved = copy_in(transaction, "sales.unresolved", columns, unknown)
    columns = "file_id, line, product_name, product_id, valid_from, price, current_price"
    differing = (piece.filter(pc.is_null(piece["column"])).drop_columns(["column", "value"]) for piece in unusual.pieces())
    return unresolved, copy_in(transaction, "sales.price_difference", columns, differing)
