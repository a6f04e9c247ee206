"""Detections over the whole history: when each was made, and a batch on another history than the published one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from include.backfill.contributions import SHADOW_ATTEMPT
from include.domains.transactions.publisher import TransactionsPublisher, publisher
from include.domains.transactions.queries import state_object, state_until
from include.domains.transactions.request import DetectRequest, StateObject
from include.feed import FeedSpec
from include.files.batch import Batch
from include.files.outcome import Change, Difference, Key, SeqRange
from include.ledger.session import LedgerSession
from include.pipeline.services import Services


def finding_history(spec: FeedSpec, services: Services) -> DetectionHistory:
    return DetectionHistory(services.ledger.session, publisher(spec, services))


@dataclass(frozen=True)
class DetectionHistory:
    """Each detection is made once only, at the first file after which its pattern holds."""

    ledger: LedgerSession
    publisher: TransactionsPublisher

    def request(self, batch: Batch, output: str, instead: Sequence[SeqRange]) -> DetectRequest:
        """The batch on the state as of before its first seq, with other contributions in place of published ones."""
        return self.publisher.build_request(batch, SHADOW_ATTEMPT, output, self._state_before(batch, instead))

    def _state_before(self, batch: Batch, instead: Sequence[SeqRange]) -> list[StateObject]:
        """Published objects that hold every seq before the batch once; from the first replaced stretch on batch by batch."""
        start = min([batch.first_seq, *(one.first_seq for one in instead)])
        since = self.ledger.rows(
            """select key, level, first_seq, last_seq, rows from state_object
               where feed = %s and level = 0 and first_seq >= %s and last_seq < %s order by first_seq""",
            (batch.feed, start, batch.first_seq),
        )
        kept = [row for row in since if not any(one.first_seq <= row["last_seq"] and row["first_seq"] <= one.last_seq for one in instead)]
        replaced = [StateObject(one.state.key, 0, one.first_seq, one.last_seq, one.state.rows) for one in instead if one.state.rows]
        return [*state_until(self.ledger, batch.feed, start - 1), *map(state_object, kept), *replaced]

    def recorded(self, seqs: Sequence[int], keys: Collection[Key]) -> dict[Key, int]:
        """The seqs at which these keys, and whatever the files of these seqs found, were detected."""
        wanted = sorted(keys)
        found = self.ledger.rows(
            """with found as (
                   select number from detection where seq = any(%s)
                   union
                   select d.number from unnest(%s::text[], %s::text[], %s::text[]) as k (pattern, merchant, customer)
                   join detection d on d.pattern_id = k.pattern and d.merchant_id = k.merchant
                                   and coalesce(d.customer_name, '') = k.customer
               )
               select pattern_id, merchant_id, coalesce(customer_name, '') as customer, seq from detection join found using (number)""",
            (list(seqs), *([key[place] for key in wanted] for place in range(3))),
        )
        return {(row["pattern_id"], row["merchant_id"], row["customer"]): row["seq"] for row in found}

    def difference(self, change: Change) -> Difference:
        """Names a detection: by its number where it is recorded, by its file and pattern where it is not."""
        pattern, merchant, customer = change.key
        values = {"pattern": pattern, "merchant": merchant, "customer": customer, "recorded_seq": change.was, "now_seq": change.now}
        recorded = self.ledger.row(
            "select number from detection where pattern_id = %s and merchant_id = %s and coalesce(customer_name, '') = %s",
            (pattern, merchant, customer),
        )
        if recorded is None:
            return Difference(f"a {pattern} of seq {change.now} is not among the published detections", values)
        where = f"detection {recorded['number']} ({pattern}, seq {change.was}) "
        where += "is not found any more" if change.now is None else f"is found at seq {change.now}"
        return Difference(where, values | {"number": recorded["number"]})
