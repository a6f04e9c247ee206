"""What a shadow run of the transactions feed is asked, and how what it gave differs from what was published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.feeds.transactions.job import DetectRequest, StateObject
from include.ingestion.batch import Batch
from include.ingestion.errors import ObjectGone
from include.ingestion.file import ObjectRef
from include.ingestion.past.outcome import Change, Difference, Finding, Key, Outcome, Stretch
from include.ingestion.ports import ObjectStore
from include.stores.differences import first_difference
from include.stores.ledger.session import LedgerSession
from include.stores.tables import table_as_it_lies

Asked = Callable[[Batch, int, Sequence[StateObject], str], DetectRequest]
_SHADOW_ATTEMPT = 0
_OF_A_FILE = ["merchant", "customer", "n", "cents", "gender"]


class TransactionsShadows:
    """The `Shadows` port of the transactions feed. Changes nothing."""

    def __init__(self, ledger: LedgerSession, store: ObjectStore, bucket: str, asked: Asked) -> None:
        self._ledger = ledger
        self._store = store
        self._bucket = bucket
        self._asked = asked

    def request(self, batch: Batch, folder: str, instead: Sequence[Stretch]) -> dict[str, Any]:
        """What the job is asked: the batch on the state as of before its first seq."""
        return self._asked(batch, _SHADOW_ATTEMPT, self._state_before(batch, instead), folder).to_json()

    def _state_before(self, batch: Batch, instead: Sequence[Stretch]) -> list[StateObject]:
        """Published objects that hold every seq before the batch once; from the first replaced stretch on batch by batch."""
        start = min([batch.first_seq, *(stretch.first_seq for stretch in instead)])
        before = self._ledger.rows(_STATE_UNTIL, {"feed": batch.feed, "seq": start - 1})
        since = self._ledger.rows(
            """select key, level, first_seq, last_seq, rows from state_object
               where feed = %s and level = 0 and first_seq >= %s and last_seq < %s order by first_seq""",
            (batch.feed, start, batch.first_seq),
        )
        kept = [row for row in since if not any(one.first_seq <= row["last_seq"] and row["first_seq"] <= one.last_seq for one in instead)]
        replaced = [StateObject(one.state.key, 0, one.first_seq, one.last_seq, one.state.rows) for one in instead if one.state.rows]
        return [*(StateObject(**row) for row in (*before, *kept)), *replaced]

    def outcome(self, manifest: Mapping[str, Any]) -> Outcome:
        """What a job left, as it lies now.

        Raises:
            ObjectGone: an object that the manifest names is not there.
        """
        objects = manifest["objects"]
        partials = self._partials(objects["partials"]["key"])
        detections = table_as_it_lies(self._store, self._bucket, objects["detections"]["key"])
        found = zip(*(detections[name].to_pylist() for name in ("seq", "pattern_id", "merchant", "customer")), strict=True)
        ref = objects["partials"]
        return Outcome(
            manifest=manifest,
            state=ObjectRef(ref["key"], ref["size"], ref["etag"], ref["rows"]),
            contributions={
                seq: (part.num_rows, _digest(part)) for seq in sorted(set(partials["seq"].to_pylist())) for part in [_part(partials, seq)]
            },
            findings=tuple(Finding(seq, (pattern, merchant, customer or "")) for seq, pattern, merchant, customer in found),
        )

    def recorded_findings(self, seqs: Sequence[int], keys: Collection[Key]) -> dict[Key, int]:
        """The seqs at which these keys, and whatever the files of these seqs found, were detected."""
        asked = sorted(keys)
        found = self._ledger.rows(
            """with found as (
                   select number from detection where seq = any(%s)
                   union
                   select d.number from unnest(%s::text[], %s::text[], %s::text[]) as k (pattern, merchant, customer)
                   join detection d on d.pattern_id = k.pattern and d.merchant_id = k.merchant
                                   and coalesce(d.customer_name, '') = k.customer
               )
               select pattern_id, merchant_id, coalesce(customer_name, '') as customer, seq from detection join found using (number)""",
            (list(seqs), *([key[place] for key in asked] for place in range(3))),
        )
        return {(row["pattern_id"], row["merchant_id"], row["customer"]): row["seq"] for row in found}

    def finding_difference(self, change: Change) -> Difference:
        """Names a detection: by its number where it is recorded, by its file and pattern where it is not."""
        pattern, merchant, customer = change.key
        values = {"pattern": pattern, "merchant": merchant, "customer": customer, "recorded_seq": change.was, "now_seq": change.now}
        recorded = self._ledger.row(
            "select number from detection where pattern_id = %s and merchant_id = %s and coalesce(customer_name, '') = %s",
            (pattern, merchant, customer),
        )
        if recorded is None:
            return Difference(f"a {pattern} of seq {change.now} is not among the published detections", values)
        where = f"detection {recorded['number']} ({pattern}, seq {change.was}) "
        where += "is not found any more" if change.now is None else f"is found at seq {change.now}"
        return Difference(where, values | {"number": recorded["number"]})

    def state_difference(self, recorded: Outcome, now: Outcome, seq: int) -> Difference | None:
        """The first row in which a file's contributions differ."""
        then, made = (_part(self._partials(outcome.state.key), seq) for outcome in (recorded, now))
        return first_difference("partial aggregate", then, made, named_by=())

    def bronze_difference(self, recorded: Sequence[ObjectRef], now: Sequence[ObjectRef]) -> Difference | None:
        """The first accepted row in which what bronze holds differs from other bronze of the same file."""
        if len(recorded) == len(now):
            for then, made in zip(recorded, now, strict=True):
                if found := self._objects_difference([then], [made]):
                    return found
            return None
        return self._objects_difference(recorded, now)

    def _objects_difference(self, recorded: Sequence[ObjectRef], now: Sequence[ObjectRef]) -> Difference | None:
        try:
            then = list(self._read_all(recorded))
        except ObjectGone as gone:
            return Difference(f"bronze: {gone}")
        made = list(self._read_all(now))
        if not (then or made):
            return None
        nothing = (then or made)[0].schema.empty_table()
        return first_difference("bronze row", pa.concat_tables([nothing, *then]), pa.concat_tables([nothing, *made]), named_by=("_line",))

    def _read_all(self, refs: Sequence[ObjectRef]) -> Iterator[pa.Table]:
        return (table_as_it_lies(self._store, self._bucket, ref.key) for ref in refs)

    def _partials(self, key: str) -> pa.Table:
        return table_as_it_lies(self._store, self._bucket, key).select(["seq", *_OF_A_FILE])


_STATE_UNTIL = """
with usable as (select * from state_object where feed = %(feed)s and last_seq <= %(seq)s)
select key, level, first_seq, last_seq, rows from usable u
where not exists (select from usable h where h.level > u.level and h.first_seq <= u.first_seq and h.last_seq >= u.last_seq)
order by first_seq
"""


def _part(partials: pa.Table, seq: int) -> pa.Table:
    """One file's partial aggregates, in the order of the object: by merchant and customer."""
    return partials.filter(pc.equal(partials["seq"], seq)).select(_OF_A_FILE)


def _digest(part: pa.Table) -> str:
    """A sha256 over the rows, as CSV."""
    text = pa.BufferOutputStream()
    pa.csv.write_csv(part, text)
    return hashlib.sha256(text.getvalue()).hexdigest()
