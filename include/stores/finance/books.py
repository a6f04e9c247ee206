"""What the feeds of finance published, held against the ledger: each id one latest row, from published files, and files of it as it is."""

from __future__ import annotations

from collections.abc import Iterator

from include.feeds.finance.choices import GROUP
from include.feeds.finance.latest import Latest
from include.ingestion import keys
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.look import Look, Pass
from include.stores.finance.sets import VersionedSets
from include.stores.finance.views import newest_batch
from include.stores.ledger.session import LedgerSession

_LOOK = "docs/runbooks/ledger-and-bucket.md"
_AGAIN = "`sluice finance refresh` writes it again; see docs/runbooks/finance.md"

_VERSIONS = """
with told as (
    select {key} as id, from_batch, to_batch, file_id,
           lead(from_batch) over following as next_batch,
           ({at}, seq, line) < lead(({at}, seq, line)) over following as grows
    from finance.{table} window following as (partition by {key} order by from_batch)
)
select 'do not follow each other batch by batch' as what, count(*) as rows from told where to_batch is distinct from next_batch
union all
select 'are not later than the row before them', count(*) from told where not grows
union all
select 'come from no published file', count(*) from told t
where not exists (select from file f where f.file_id = t.file_id and f.feed = %(feed)s and f.state = 'published')
"""


class LatestBooks:
    """The passes of reconciliation that are the own of a feed of finance."""

    def __init__(self, latest: Latest, ledger: LedgerSession, sets: VersionedSets) -> None:
        self._latest = latest
        self._ledger = ledger
        self._sets = sets
        self.passes: tuple[Pass, ...] = (self.published, self.latest_rows, self.written)

    def published(self, look: Look) -> Iterator[Finding]:
        """What was looked at for silver and gold is what the gate accepted."""
        for row in self._ledger.rows("select * from finance.proof where feed = %s and not holds", (look.spec.name,)):
            what = f"{row['accepted_rows']} lines were accepted, {row['published_rows']} published; {row['files_that_differ']} files differ"
            yield Finding(Code.COUNTS_DIFFER, "finance.proof", what, _LOOK)

    def latest_rows(self, look: Look) -> Iterator[Finding]:
        """Each id has one row at any batch, later ones follow earlier ones, and published files say all of it."""
        asked = _VERSIONS.format(key=self._latest.key, at=self._latest.at, table=self._latest.table)
        for row in self._ledger.rows(asked, {"feed": look.spec.name}):
            if row["rows"]:
                yield Finding(Code.COUNTS_DIFFER, f"finance.{self._latest.table}", f"{row['rows']} rows {row['what']}", _LOOK)

    def written(self, look: Look) -> Iterator[Finding]:
        """What the files below lake/finance/ name as current is there as it was written, and of the newest batch that was delivered."""
        if look.ports.ledger.undelivered_batches(look.spec):
            return
        newest = newest_batch(self._ledger)
        row = self._ledger.row("select feed, parameters from batch where group_name = %s and batch = %s", (GROUP, newest))
        if row is None or row["feed"] != look.spec.name:
            return
        found = {(table, written_as): current for table, written_as, current in self._sets.formats()}
        for table in sorted({table for table, _ in found}):
            written_as = row["parameters"]["output_format"]
            current = found.get((table, written_as))
            if current is None or current["batch"] != newest:
                where = f"s3://{look.ports.bucket}/{keys.lake_current(GROUP, table, written_as)}"
                yield Finding(Code.LAKE_DIFFERS, where, f"is not as of batch {newest}", _AGAIN)
        for current in found.values():
            damaged = self._sets.damaged(current)
            if damaged is not None:
                yield Finding(Code.LAKE_DIFFERS, f"s3://{look.ports.bucket}/{damaged}", "is not there as it was written", _AGAIN)
