"""What the feeds of finance published, held against the ledger: each id one latest row, from published files, and files of it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from include.domains.finance.exporter import TableExporter, exporter
from include.domains.finance.feeds import GROUP
from include.domains.finance.queries import newest_batch
from include.domains.finance.schema import LATEST, Latest
from include.feed import FeedSpec
from include.files import keys
from include.ledger.session import LedgerSession
from include.pipeline.services import Services
from include.reconcile.context import Auditor, ReconcileContext
from include.reconcile.finding import Code, Finding

_RUNBOOK = "docs/runbooks/ledger-and-bucket.md"
_AGAIN = "`sluice finance refresh` writes it again; see docs/runbooks/finance.md"

_VERSIONS = """
with version as (
    select {key} as id, from_batch, to_batch, file_id,
           lead(from_batch) over following as next_batch,
           ({at}, seq, line) < lead(({at}, seq, line)) over following as grows
    from finance.{table} window following as (partition by {key} order by from_batch)
)
select 'do not follow each other batch by batch' as what, count(*) as rows from version where to_batch is distinct from next_batch
union all
select 'are not later than the row before them', count(*) from version where not grows
union all
select 'come from no published file', count(*) from version t
where not exists (select from file f where f.file_id = t.file_id and f.feed = %(feed)s and f.state = 'published')
"""


def auditor(spec: FeedSpec, services: Services) -> Auditor:
    """Nothing in S3 is state, so that nothing is pointed at: the latest rows lie in PostgreSQL."""
    checks = LatestChecks(LATEST[spec.name], services.ledger.session, exporter(spec, services))
    return Auditor((checks.published, checks.latest_rows, checks.written))


@dataclass(frozen=True)
class LatestChecks:
    """The passes of reconciliation that are a feed of finance's own."""

    latest: Latest
    ledger: LedgerSession
    exporter: TableExporter

    def published(self, context: ReconcileContext) -> Iterator[Finding]:
        """What was looked at for silver and gold is what the gate accepted."""
        for row in self.ledger.rows("select * from finance.proof where feed = %s and not holds", (context.spec.name,)):
            what = f"{row['accepted_rows']} lines were accepted, {row['published_rows']} published; {row['files_that_differ']} files differ"
            yield Finding(Code.COUNTS_DIFFER, "finance.proof", what, _RUNBOOK)

    def latest_rows(self, context: ReconcileContext) -> Iterator[Finding]:
        """Each id has one row at any batch, later ones follow earlier ones, and published files say all of it."""
        query = _VERSIONS.format(key=self.latest.key, at=self.latest.at, table=self.latest.table)
        for row in self.ledger.rows(query, {"feed": context.spec.name}):
            if row["rows"]:
                yield Finding(Code.COUNTS_DIFFER, f"finance.{self.latest.table}", f"{row['rows']} rows {row['what']}", _RUNBOOK)

    def written(self, context: ReconcileContext) -> Iterator[Finding]:
        """What the files below lake/finance/ name as current is there as it was written, and of the newest batch that was delivered."""
        if context.ports.ledger.outbox.batches(context.spec):
            return
        newest = newest_batch(self.ledger)
        row = self.ledger.row("select feed, parameters from batch where group_name = %s and batch = %s", (GROUP, newest))
        if row is None or row["feed"] != context.spec.name:
            return
        found = {(table, written_as): current for table, written_as, current in self.exporter.formats()}
        for table in sorted({table for table, _ in found}):
            written_as = row["parameters"]["output_format"]
            current = found.get((table, written_as))
            if current is None or current["batch"] != newest:
                where = f"s3://{context.ports.bucket}/{keys.lake_current(GROUP, table, written_as)}"
                yield Finding(Code.LAKE_DIFFERS, where, f"is not as of batch {newest}", _AGAIN)
        for current in found.values():
            damaged = self.exporter.damaged(current)
            if damaged is not None:
                yield Finding(Code.LAKE_DIFFERS, f"s3://{context.ports.bucket}/{damaged}", "is not there as it was written", _AGAIN)
