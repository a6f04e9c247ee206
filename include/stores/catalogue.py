"""Which class makes which feed's results visible."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from include.feeds import feed_named
from include.feeds.finance.latest import LATEST
from include.feeds.sales.star import DIMENSIONS
from include.ingestion.feed import FeedSpec
from include.ingestion.ports import ObjectStore, Results
from include.stores.finance.latest import LatestResults
from include.stores.ledger.session import LedgerSession
from include.stores.sales.dimensions import DimensionResults
from include.stores.sales.facts import FactsResults
from include.stores.transactions import TransactionsResults

_RESULTS: dict[str, Callable[[LedgerSession, ObjectStore, str, Callable[[], str]], Results]] = {
    "transactions": TransactionsResults,
    "sales": FactsResults,
    **{feed: partial(DimensionResults, dimension) for feed, dimension in DIMENSIONS.items()},
    **{feed: partial(LatestResults, latest) for feed, latest in LATEST.items()},
}


def sister_of(
    ledger: LedgerSession, store: ObjectStore, bucket: str, new_id: Callable[[], str]
) -> Callable[[str], tuple[FeedSpec, Results]]:
    """A way to ask for any feed by name, with its results on open services."""

    def sister(feed: str) -> tuple[FeedSpec, Results]:
        spec = feed_named(feed)
        return spec, results_of(spec, ledger, store, bucket, new_id)

    return sister


def results_of(spec: FeedSpec, ledger: LedgerSession, store: ObjectStore, bucket: str, new_id: Callable[[], str]) -> Results:
    """The results of a feed, on open services."""
    return _RESULTS[spec.name](ledger, store, bucket, new_id)
