"""What the transactions feed published, held against the ledger: detections, their files, the merchants' counters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from include.domains.transactions.exporter import DetectionExporter, DetectionFile, exporter, render
from include.domains.transactions.partials import merged_objects, sums_by_merchant
from include.domains.transactions.queries import detections_between, state_object
from include.domains.transactions.state_auditor import DAMAGED, StateChecks
from include.errors import ObjectGone, refuse_if_short
from include.feed import FeedSpec
from include.files import keys
from include.ledger.session import LedgerSession
from include.pipeline.services import Services
from include.reconcile.context import Auditor, ReconcileContext
from include.reconcile.finding import Code, Finding
from include.reconcile.inventory import Expected

_RUNBOOK = "docs/runbooks/ledger-and-bucket.md"

# What was published twice over, in rows and in sums, and where the two do not agree. One statement, so one moment.
_SUMS = """
select 'merchant_transaction_counts' as place,
       format('add up to %%s transactions, %%s rows were accepted and published', counted, published) as what
from (select (select coalesce(sum(total_transactions), 0) from merchant_transaction_counts) as counted,
             (select coalesce(sum(accepted), 0) from file where feed = %(feed)s and state = 'published') as published) s
where counted <> published
union all
select 'detection', format('%%s detections are numbered %%s to %%s', count(*), min(number), max(number))
from detection having count(*) > 0 and (min(number) <> 1 or max(number) <> count(*))
union all
select 'detection_file ' || first_number, format('begins with number %%s, the one before it ends with %%s', first_number, before)
from (select first_number, lag(last_number, 1, 0) over (order by first_number) as before from detection_file) f
where first_number <> before + 1
union all
select 'detection_file', format('end with number %%s, detections with %%s', files, detections)
from (select (select coalesce(max(last_number), 0) from detection_file) as files,
             (select coalesce(max(number), 0) from detection) as detections) s
where files <> detections
union all
select 'detection ' || d.number, format('is of seq %%s, which is no published file', d.seq)
from detection d left join file f on f.feed = %(feed)s and f.seq = d.seq
where f.state is distinct from 'published' and f.state is distinct from 'superseded'
union all
select 'file ' || f.file_id,
       format('%%s rows were accepted, batch %%s processed %%s', f.accepted, f.batch, coalesce((m.file ->> 'rows'), 'none'))
from file f
join batch b using (group_name, batch)
left join lateral (
    select file from jsonb_array_elements(b.manifest -> 'files') file where (file ->> 'file_id')::bigint = f.file_id
) m on true
where f.feed = %(feed)s and f.state = 'published' and (m.file ->> 'rows')::bigint is distinct from f.accepted
union all
select 'batch ' || b.batch, format('published seq %%s-%%s, and no object holds its state', b.first_seq, b.last_seq)
from batch b left join state_object s on s.feed = b.feed and s.level = 0 and (s.first_seq, s.last_seq) = (b.first_seq, b.last_seq)
where b.feed = %(feed)s and b.state = 'published' and b.rows > 0 and s.key is null
union all
select 'state_object ' || s.key,
       format('seq %%s-%%s is held by %%s of the objects that make up the state', s.first_seq, s.last_seq, count(c.key))
from state_object s
left join state_object c on c.feed = s.feed and not c.covered and c.first_seq <= s.first_seq and c.last_seq >= s.last_seq
where s.feed = %(feed)s and s.level = 0 group by s.feed, s.level, s.first_seq having count(c.key) <> 1
order by 1, 2 limit 100
"""


def auditor(spec: FeedSpec, services: Services) -> Auditor:
    session = services.ledger.session
    checks = DetectionChecks(session, exporter(spec, services))
    return Auditor((StateChecks(session).state, checks.references, checks.published, checks.detection_files), checks.pointers)


@dataclass(frozen=True)
class DetectionChecks:
    """The passes of reconciliation over what was published from state."""

    ledger: LedgerSession
    exporter: DetectionExporter

    def pointers(self, date: dt.date | None) -> Iterator[Expected]:
        """State objects (looked at by number, not by date) and detection files, which their own passes look at."""
        if date is None:
            for row in self.ledger.rows("select bucket, key, level, first_seq from state_object where feed = 'transactions'"):
                yield Expected(row["bucket"], row["key"], f"state {row['level']}", row["first_seq"], required=False)
        for row in self.ledger.rows("select bucket, key, first_number from detection_file"):
            yield Expected(row["bucket"], row["key"], "detections", row["first_number"], required=False)

    def references(self, context: ReconcileContext) -> Iterator[Finding]:
        """References that batches still to come will need; what was lost can only be loaded again, as a new version."""
        for row in self.ledger.rows(
            "select distinct on (name) bucket, key, etag, name, version from reference where feed = %s order by name, version desc",
            (context.spec.name,),
        ):
            there = context.ports.store.head(row["bucket"], row["key"])
            if there is None or there.etag != row["etag"] or context.damaged(row["bucket"], row["key"], row["etag"]):
                code = Code.REFERENCE_MISSING if there is None else Code.REFERENCE_DIFFERS
                how = "is not there" if there is None else "does not hold what was loaded"
                what = f"version {row['version']} of {row['name']} {how}"
                yield Finding(code, f"s3://{row['bucket']}/{row['key']}", what, "load it again: `sluice reference load FILE`")

    def published(self, context: ReconcileContext) -> Iterator[Finding]:
        """Sums over what was published. A difference counts if it is still there while nothing is published."""
        if not [*self._mismatches(context)]:
            return
        with context.lease():
            yield from self._mismatches(context)

    def _mismatches(self, context: ReconcileContext) -> Iterator[Finding]:
        for row in self.ledger.rows(_SUMS, {"feed": context.spec.name}):
            yield Finding(Code.COUNTS_DIFFER, row["place"], row["what"], _RUNBOOK)
        if not context.scope.reads:
            return
        counted = {row["merchant_id"]: row["total_transactions"] for row in self.ledger.rows("select * from merchant_transaction_counts")}
        held = self._held(context)
        differing = [] if held is None else [name for name in counted.keys() | held.keys() if counted.get(name) != held.get(name)]
        if differing:
            what = f"{len(differing)} merchants have another number of transactions than state holds"
            yield Finding(Code.COUNTS_DIFFER, "merchant_transaction_counts", what, _RUNBOOK)
        yield from self._amounts(context)

    def _held(self, context: ReconcileContext) -> dict[str, int] | None:
        """Transactions by merchant in state; None where state cannot be read, which is a finding of its own."""
        try:
            return self._totals(context)
        except (ObjectGone, *DAMAGED) as damaged:
            refuse_if_short(damaged)
            return None

    def _totals(self, context: ReconcileContext) -> dict[str, int]:
        parts = self.ledger.rows(
            "select key, level, first_seq, last_seq, rows, bucket from state_object where feed = %s and not covered order by first_seq",
            (context.spec.name,),
        )
        totals: dict[str, int] = {}
        for part in parts:
            with ExitStack() as stack:
                pieces = merged_objects(context.ports.store, part["bucket"], [state_object(part)], stack)
                for merchant, n in sums_by_merchant(pieces).items():
                    totals[merchant] = totals.get(merchant, 0) + n
        return totals

    def _amounts(self, context: ReconcileContext) -> Iterator[Finding]:
        """The cents that bronze holds are those that its batch put into state."""
        for row in self.ledger.rows(
            """select (file ->> 'file_id')::bigint as file_id, (file ->> 'cents')::bigint as cents, b.batch
               from batch b cross join lateral jsonb_array_elements(b.manifest -> 'files') file
               where b.feed = %s and b.state = 'published'""",
            (context.spec.name,),
        ):
            bronze = context.amounts.of_file(row["file_id"])
            if bronze is not None and bronze != row["cents"]:
                what = f"has {bronze} cents in bronze, and {row['cents']} in the state of batch {row['batch']}"
                yield Finding(Code.AMOUNTS_DIFFER, f"file {row['file_id']}", what, _RUNBOOK, file_id=row["file_id"])

    def detection_files(self, context: ReconcileContext) -> Iterator[Finding]:
        """Output files that are missing or differ from the ledger, rendered again by deliver.

        Nothing is rendered from detections that the ledger itself counts in two ways: which is right is for a person to say.
        """
        if any(row["place"].startswith("detection") for row in self.ledger.rows(_SUMS, {"feed": context.spec.name})):
            return
        for row in self.ledger.rows(
            "select first_number, last_number, bucket, key from detection_file where written_at is not null order by first_number"
        ):
            file = DetectionFile(**row)
            if context.scope.date is not None and keys.date_in(file.key) != context.scope.date:
                continue
            finding = self._detection_file(context, file)
            if finding is not None:
                yield finding

    def _detection_file(self, context: ReconcileContext, file: DetectionFile) -> Finding | None:
        store, bucket, key = context.ports.store, file.bucket, file.key
        body = render(detections_between(self.ledger, file.first_number, file.last_number))
        listed = context.inventory.find(bucket, key)
        if listed is not None and listed.size == len(body) and not context.scope.reads:
            return None
        there = store.head(bucket, key)
        try:
            if there is not None and store.read_bytes(bucket, key) == body:
                return None
        except ObjectGone:
            there = None
        what = f"numbers {file.first_number}-{file.last_number}, is not there"
        if there is not None:
            what = f"numbers {file.first_number}-{file.last_number}, has {there.size} bytes that are not those of the ledger"
            store.delete(bucket, key, there.etag)
        with context.delivery() as delivering:
            self.exporter.write(file, delivering)
        code = Code.DETECTIONS_MISSING if there is None else Code.DETECTIONS_DIFFER
        return Finding(code, f"s3://{bucket}/{key}", f"{what}; rendered again", repaired=True)
