"""The lake of sales held against the ledger, and made anew from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from include.feeds.sales.lake import CHECK_LAKE_JOB, FACT_SALES, GROUP, MONTH, TABLES, LakeCheckRequest
from include.feeds.sales.star import DIMENSIONS, FACTS
from include.ingestion import keys
from include.ingestion.feed import FeedSpec
from include.ingestion.ingest import waiting_for_others
from include.ingestion.past.shadow import remove_shadow
from include.ingestion.ports import Ports
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.look import Look
from include.ingestion.run import Run
from include.stores.ledger.outbox import Outbox
from include.stores.ledger.session import LedgerSession
from include.stores.sales.state import dimension_objects
from include.stores.tables import read_tables

_AGAIN = "`sluice sales rebuild` writes the lake again from what is published; see docs/runbooks/lake.md"
_NEWEST = 2**62


class LakeBooks:
    """The pass of reconciliation that looks into the lake, where contents of everything are read."""

    def __init__(self, feed: str, ledger: LedgerSession) -> None:
        self._feed = feed
        self._ledger = ledger

    def lake(self, look: Look) -> Iterator[Finding]:
        """The feed's table is what is published. Under the lease: nothing is published or delivered meanwhile."""
        table = FACT_SALES if self._feed == FACTS else DIMENSIONS[self._feed].table
        if not look.scope.verify:
            return
        with look.lease():
            batches = self._ledger.rows(
                "select delivered_at from batch where group_name = %s and feed = %s and state = 'published'", (GROUP, self._feed)
            )
            if not batches or look.ports.ledger.undelivered_batches(look.spec):
                return  # nothing should be there yet, or what is there is not finished
            where = f"s3://{look.ports.bucket}/{keys.lake_table(GROUP, table)}"
            if not is_there(look.ports, table):
                yield Finding(Code.LAKE_MISSING, where, "is not there", _AGAIN)
                return
            manifest, sums = self._looked_into(look)
        for what, rows in manifest["differing"].items():
            if rows:
                yield Finding(Code.LAKE_DIFFERS, where, f"{rows} rows are not as published ({what})", _AGAIN)
        if self._feed == FACTS:
            yield from self._sums(where, sums)

    def _looked_into(self, look: Look) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
        token = look.ports.new_id()
        found = {feed: dimension_objects(self._ledger, feed, "versions", _NEWEST) for feed in DIMENSIONS}
        asked = LakeCheckRequest(
            feed=self._feed,
            batch=0,
            attempt=0,
            bucket=look.ports.bucket,
            versions={feed: key for feed, key in found.items() if key is not None},
            output=keys.shadow(look.spec.name, token),
        )
        try:
            manifest = look.ports.job.run(CHECK_LAKE_JOB, asked.to_json())
            tables = read_tables(look.ports.store, look.ports.bucket, manifest, manifest["objects"])
        finally:
            remove_shadow(look.ports, look.spec, token)
        return manifest, tables["sums"].to_pylist() if "sums" in tables else []

    def _sums(self, where: str, sums: list[dict[str, Any]]) -> Iterator[Finding]:
        there = {(row["_file_id"], row[MONTH]): (row["rows"], row["total"]) for row in sums}
        published = {
            (row["file_id"], row["month"]): (row["rows"], row["total_sales"])
            for row in self._ledger.rows("select file_id, to_char(sales_month, 'YYYY-MM') as month, rows, total_sales from sales.fact_file")
        }
        for file_id, month in sorted(there.keys() | published.keys()):
            (rows, total), (said, amount) = (side.get((file_id, month), (0, 0)) for side in (there, published))
            if (rows, total) != (said, amount):
                what = f"has {rows} facts of {month} for {total}, published are {said} for {amount}"
                yield Finding(Code.LAKE_DIFFERS, where, what, _AGAIN, file_id=file_id)


def is_there(ports: Ports, table: str) -> bool:
    """Whether a table has a log at all."""
    log = keys.delta_log(keys.lake_table(GROUP, table))
    return next(iter(ports.store.objects(ports.bucket, log)), None) is not None


def rebuild(ports: Ports, spec: FeedSpec, run: Run, ledger: Outbox) -> int:
    """Delete the tables of the lake and put every batch back into the outbox, so that deliver writes them again. How many batches.

    A table's log goes first, from its end: what is left of it after a crash is the table as it was at an earlier batch.
    """
    token = waiting_for_others(ports, lambda: ports.ledger.take_lease(spec, run))
    try:
        with ports.ledger.kept_lease(spec, token):
            batches = ledger.deliver_again(spec, token)
            for table in TABLES:
                folder = keys.lake_table(GROUP, table)
                for prefix in (keys.delta_log(folder), folder):
                    for stamp in sorted(ports.store.objects(ports.bucket, prefix), key=lambda one: one.key, reverse=True):
                        ports.store.delete(stamp.bucket, stamp.key)
            ports.say(f"deleted the tables in s3://{ports.bucket}/{keys.lake_group(GROUP)}; {batches} batches are delivered again")
    finally:
        ports.ledger.let_go(spec, token)
    return batches
