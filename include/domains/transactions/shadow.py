"""A batch of transactions evaluated once more: on which state, and how what it found differs from what was published."""

from __future__ import annotations

import dataclasses

from include.backfill.contributions import ContributionShadow
from include.domains.transactions.publisher import TransactionsPublisher, publisher
from include.domains.transactions.queries import state_until
from include.domains.transactions.request import DetectManifest, DetectRequest
from include.feed import FeedSpec
from include.files.batch import Batch
from include.files.outcome import Finding, Outcome
from include.ledger.session import LedgerSession
from include.ledger.tables import table_as_it_lies
from include.pipeline.message import Json
from include.pipeline.services import Services
from include.storage.object_store import ObjectStore

_OF_A_FILE = ["merchant", "customer", "n", "cents", "gender"]


def shadow(spec: FeedSpec, services: Services) -> TransactionsShadow:
    return TransactionsShadow(services.ledger.session, services.store, services.bucket, publisher(spec, services))


class TransactionsShadow(ContributionShadow[DetectManifest]):
    """As of any feed, on the state as of before the batch; with what was found after each of its files."""

    def __init__(self, ledger: LedgerSession, store: ObjectStore, bucket: str, publisher: TransactionsPublisher) -> None:
        def on_state_before(batch: Batch, attempt: int, output: str) -> DetectRequest:
            return publisher.build_request(batch, attempt, output, state_until(ledger, batch.feed, batch.first_seq - 1))

        super().__init__(
            store, bucket, DetectManifest, lambda made: made.objects.partials, on_state_before, _OF_A_FILE, row="partial aggregate"
        )

    def outcome(self, manifest: Json) -> Outcome:
        """What a job left, as it lies now.

        Raises:
            ObjectGone: an object that the manifest names is not there.
        """
        outcome = super().outcome(manifest)
        detections = table_as_it_lies(self._store, self._bucket, DetectManifest.from_json(manifest).objects.detections.key)
        found = zip(*(detections[name].to_pylist() for name in ("seq", "pattern_id", "merchant", "customer")), strict=True)
        findings = tuple(Finding(seq, (pattern, merchant, customer or "")) for seq, pattern, merchant, customer in found)
        return dataclasses.replace(outcome, findings=findings)
