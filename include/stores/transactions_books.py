"""What the transactions feed published, held against the ledger: detections, their files, the merchants' counters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from include.feeds.transactions.compaction import merged_objects
from include.feeds.transactions.job import StateObject
from include.feeds.transactions.partials import sums_by_merchant
from include.ingestion import keys
from include.ingestion.batch import Batch
from include.ingestion.errors import ObjectGone
from include.ingestion.ports import Job, Say
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.inventory import Expected
from include.ingestion.reconcile.look import Look, Pass
from include.stores.ledger.batches import batch_from
from include.stores.ledger.session import LedgerSession
from include.stores.transactions_state_books import DAMAGED, StateBooks

_LOOK = "docs/runbooks/ledger-and-bucket.md"
Render = Callable[[Sequence[Mapping[str, Any]]], bytes]

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


class TransactionsBooks:
    """The passes of reconciliation that are the transactions feed's own."""

    def __init__(self, ledger: LedgerSession, deliver: Callable[[Batch, Job, Say], None], render: Render) -> None:
        self._ledger = ledger
        self._deliver = deliver
        self._render = render
        self.passes: tuple[Pass, ...] = (StateBooks(ledger).state, self.references, self.published, self.detection_files)

    def pointers(self, date: dt.date | None) -> Iterator[Expected]:
        """State objects (looked at by number, not by date) and detection files, which their own passes look at."""
        if date is None:
            for row in self._ledger.rows("select bucket, key, level, first_seq from state_object where feed = 'transactions'"):
                yield Expected(row["bucket"], row["key"], f"state {row['level']}", row["first_seq"], required=False)
        for row in self._ledger.rows("select bucket, key, first_number from detection_file"):
            yield Expected(row["bucket"], row["key"], "detections", row["first_number"], required=False)

    def references(self, look: Look) -> Iterator[Finding]:
        """References that batches still to come will need; what was lost can only be loaded again, as a new version."""
        for row in self._ledger.rows(
            "select distinct on (name) bucket, key, etag, name, version from reference where feed = %s order by name, version desc",
            (look.spec.name,),
        ):
            there = look.ports.store.head(row["bucket"], row["key"])
            if there is None or there.etag != row["etag"] or look.damaged(row["bucket"], row["key"], row["etag"]):
                code = Code.REFERENCE_MISSING if there is None else Code.REFERENCE_DIFFERS
                how = "is not there" if there is None else "does not hold what was loaded"
                what = f"version {row['version']} of {row['name']} {how}"
                yield Finding(code, f"s3://{row['bucket']}/{row['key']}", what, "load it again: `sluice reference load FILE`")

    def published(self, look: Look) -> Iterator[Finding]:
        """Sums over what was published. A difference counts if it is still there while nothing is published."""
        if not [*self._differing(look)]:
            return
        with look.lease():
            yield from self._differing(look)

    def _differing(self, look: Look) -> Iterator[Finding]:
        for row in self._ledger.rows(_SUMS, {"feed": look.spec.name}):
            yield Finding(Code.COUNTS_DIFFER, row["place"], row["what"], _LOOK)
        if not look.scope.reads:
            return
        counted = {row["merchant_id"]: row["total_transactions"] for row in self._ledger.rows("select * from merchant_transaction_counts")}
        held = self._held(look)
        differing = [] if held is None else [name for name in counted.keys() | held.keys() if counted.get(name) != held.get(name)]
        if differing:
            what = f"{len(differing)} merchants have another number of transactions than state holds"
            yield Finding(Code.COUNTS_DIFFER, "merchant_transaction_counts", what, _LOOK)
        yield from self._amounts(look)

    def _held(self, look: Look) -> dict[str, int] | None:
        """Transactions by merchant in state; None where state cannot be read, which is a finding of its own."""
        try:
            return self._totals(look)
        except (ObjectGone, *DAMAGED):
            return None

    def _totals(self, look: Look) -> dict[str, int]:
        parts = self._ledger.rows(
            "select key, level, first_seq, last_seq, rows, bucket from state_object where feed = %s and not covered order by first_seq",
            (look.spec.name,),
        )
        totals: dict[str, int] = {}
        for part in parts:
            with ExitStack() as stack:
                one = StateObject(part["key"], part["level"], part["first_seq"], part["last_seq"], part["rows"])
                for merchant, n in sums_by_merchant(merged_objects(look.ports.store, part["bucket"], [one], stack)).items():
                    totals[merchant] = totals.get(merchant, 0) + n
        return totals

    def _amounts(self, look: Look) -> Iterator[Finding]:
        """The cents that bronze holds are those that its batch put into state."""
        for row in self._ledger.rows(
            """select (file ->> 'file_id')::bigint as file_id, (file ->> 'cents')::bigint as cents, b.batch
               from batch b cross join lateral jsonb_array_elements(b.manifest -> 'files') file
               where b.feed = %s and b.state = 'published'""",
            (look.spec.name,),
        ):
            bronze = look.amounts.of_file(row["file_id"])
            if bronze is not None and bronze != row["cents"]:
                what = f"has {bronze} cents in bronze, and {row['cents']} in the state of batch {row['batch']}"
                yield Finding(Code.AMOUNTS_DIFFER, f"file {row['file_id']}", what, _LOOK, file_id=row["file_id"])

    def detection_files(self, look: Look) -> Iterator[Finding]:
        """Output files that are missing or differ from the ledger, rendered again by deliver.

        Nothing is rendered from detections that the ledger itself counts in two ways: which is right is for a person to say.
        """
        if any(row["place"].startswith("detection") for row in self._ledger.rows(_SUMS, {"feed": look.spec.name})):
            return
        for file in self._ledger.rows("select * from detection_file where written_at is not null order by first_number"):
            if look.scope.date is not None and keys.date_in(file["key"]) != look.scope.date:
                continue
            finding = self._detection_file(look, file)
            if finding is not None:
                yield finding

    def _detection_file(self, look: Look, file: Mapping[str, Any]) -> Finding | None:
        store, bucket, key = look.ports.store, file["bucket"], file["key"]
        rows = self._ledger.rows(
            "select * from detection where number between %s and %s order by number", (file["first_number"], file["last_number"])
        )
        body = self._render(rows)
        listed = look.inventory.find(bucket, key)
        if listed is not None and listed.size == len(body) and not look.scope.reads:
            return None
        there = store.head(bucket, key)
        try:
            if there is not None and store.read_bytes(bucket, key) == body:
                return None
        except ObjectGone:
            there = None
        what = f"numbers {file['first_number']}-{file['last_number']}, is not there"
        if there is not None:
            what = f"numbers {file['first_number']}-{file['last_number']}, has {there.size} bytes that are not those of the ledger"
            store.delete(bucket, key, there.etag)
        with self._ledger.transaction(look.run) as cursor:
            cursor.execute("update detection_file set written_at = null where first_number = %s", (file["first_number"],))
        batch = self._ledger.row("select * from batch where group_name = %s and batch = %s", (file["group_name"], file["batch"]))
        assert batch is not None, "detection_file references batch"
        self._deliver(batch_from(batch, ()), look.ports.job, look.ports.say)
        code = Code.DETECTIONS_MISSING if there is None else Code.DETECTIONS_DIFFER
        return Finding(code, f"s3://{bucket}/{key}", f"{what}; rendered again", repaired=True)
