"""The lake of sales held against the ledger, and made anew from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.domains.sales.request import LakeCheckManifest, LakeCheckRequest
from include.domains.sales.schema import DIMENSIONS, FACT_SALES, FACTS_FEED, GROUP, LAKE_TABLES, MONTH
from include.domains.sales.state import versions_of
from include.feed import FeedSpec
from include.files import keys
from include.ledger.session import LedgerSession
from include.ledger.tables import table_of
from include.pipeline.ports import Ports
from include.pipeline.run import waiting_for_others
from include.pipeline.shadow import remove_shadow
from include.reconcile.context import ReconcileContext
from include.reconcile.finding import Code, Finding
from include.run import Run

_AGAIN = "`sluice sales rebuild` writes the lake again from what is published; see docs/runbooks/lake.md"


@dataclass(frozen=True)
class LakeChecks:
    """The pass of reconciliation that looks into the lake, where contents of everything are read."""

    spec: FeedSpec
    ledger: LedgerSession

    def lake(self, context: ReconcileContext) -> Iterator[Finding]:
        """The feed's table is what is published. Under both leases: nothing is published or delivered meanwhile."""
        table = FACT_SALES if self.spec.name == FACTS_FEED else DIMENSIONS[self.spec.name].table
        if not context.scope.verify:
            return
        with context.delivery(), context.lease():
            batches = self.ledger.rows(
                "select delivered_at from batch where group_name = %s and feed = %s and state = 'published'", (GROUP, self.spec.name)
            )
            if not batches or context.ports.ledger.outbox.batches(context.spec):
                return  # nothing should be there yet, or what is there is not finished
            where = f"s3://{context.ports.bucket}/{keys.lake_table(GROUP, table)}"
            if not is_there(context.ports, table):
                yield Finding(Code.LAKE_MISSING, where, "is not there", _AGAIN)
                return
            mismatches, sums = self._looked_into(context)
        for what, rows in mismatches.items():
            if rows:
                yield Finding(Code.LAKE_DIFFERS, where, f"{rows} rows are not as published ({what})", _AGAIN)
        if self.spec.name == FACTS_FEED:
            yield from self._sums(where, sums)

    def _looked_into(self, context: ReconcileContext) -> tuple[Mapping[str, int], list[dict[str, Any]]]:
        """What differs, by what was looked at, and what the facts in the lake amount to."""
        token = context.ports.new_id()
        request = LakeCheckRequest(
            feed=self.spec.name,
            batch=0,
            attempt=0,
            bucket=context.ports.bucket,
            versions=versions_of(self.ledger),
            output=keys.shadow(context.spec.name, token),
        )
        try:
            manifest = LakeCheckManifest.from_json(context.ports.job.run(request))
            sums = manifest.objects.sums
            return manifest.mismatches, table_of(context.ports.store, context.ports.bucket, sums).to_pylist() if sums else []
        finally:
            remove_shadow(context.ports, context.spec, token)

    def _sums(self, where: str, sums: list[dict[str, Any]]) -> Iterator[Finding]:
        there = {(row["_file_id"], row[MONTH]): (row["rows"], row["total"]) for row in sums}
        published = {
            (row["file_id"], row["month"]): (row["rows"], row["total_sales"])
            for row in self.ledger.rows("select file_id, to_char(sales_month, 'YYYY-MM') as month, rows, total_sales from sales.fact_file")
        }
        for file_id, month in sorted(there.keys() | published.keys()):
            (rows, total), (published_rows, amount) = (side.get((file_id, month), (0, 0)) for side in (there, published))
            if (rows, total) != (published_rows, amount):
                what = f"has {rows} facts of {month} for {total}, published are {published_rows} for {amount}"
                yield Finding(Code.LAKE_DIFFERS, where, what, _AGAIN, file_id=file_id)


def is_there(ports: Ports, table: str) -> bool:
    """Whether a table has a log at all."""
    log = keys.delta_log(keys.lake_table(GROUP, table))
    return next(iter(ports.store.objects(ports.bucket, log)), None) is not None


def rebuild(ports: Ports, spec: FeedSpec, run: Run) -> int:
    """Delete the tables of the lake and put every batch back into the outbox, so that deliver writes them again. How many batches.

    A table's log goes first, from its end: what is left of it after a crash is the table as it was at an earlier batch. Nobody delivers
    meanwhile, and a delivery that was taken for dead says of no batch that it is done; publication goes on.
    """
    token = waiting_for_others(ports, lambda: ports.ledger.leases.acquire_delivery(spec, run))
    try:
        with ports.ledger.leases.delivery_held(spec, token):
            batches = ports.ledger.outbox.deliver_again(spec, token)
            for table in LAKE_TABLES:
                folder = keys.lake_table(GROUP, table)
                for prefix in (keys.delta_log(folder), folder):
                    for stamp in sorted(ports.store.objects(ports.bucket, prefix), key=lambda one: one.key, reverse=True):
                        ports.store.delete(stamp.bucket, stamp.key)
            ports.log(f"deleted the tables in s3://{ports.bucket}/{keys.lake_group(GROUP)}; {batches} batches are delivered again")
    finally:
        ports.ledger.leases.release_delivery(spec, token)
    return batches
