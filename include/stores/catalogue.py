"""Which class makes which feed's results visible."""

from __future__ import annotations

from collections.abc import Callable

from include.ingestion.feed import FeedSpec
from include.ingestion.ports import ObjectStore, Results
from include.stores.ledger.session import LedgerSession
from include.stores.transactions import TransactionsResults

_RESULTS: dict[str, Callable[[LedgerSession, ObjectStore, str, Callable[[], str]], Results]] = {
    "transactions": TransactionsResults,
}


def results_of(spec: FeedSpec, ledger: LedgerSession, store: ObjectStore, bucket: str, new_id: Callable[[], str]) -> Results:
    """The results of a feed, on open services."""
    return _RESULTS[spec.name](ledger, store, bucket, new_id)
