"""The feeds of this release, by name. Adding one: a folder here, a line below, its results in `stores`, its DAG files."""

from __future__ import annotations

from include.feeds.customer.spec import CUSTOMER
from include.feeds.mutual_funds.spec import MUTUAL_FUNDS
from include.feeds.product.spec import PRODUCT
from include.feeds.sales.spec import SALES
from include.feeds.sales_team.spec import SALES_TEAM
from include.feeds.stocks.spec import STOCKS
from include.feeds.store.spec import STORE
from include.feeds.transactions.spec import TRANSACTIONS
from include.ingestion.errors import UsageError
from include.ingestion.feed import FeedSpec

FEEDS: dict[str, FeedSpec] = {spec.name: spec for spec in (TRANSACTIONS, SALES, CUSTOMER, STORE, PRODUCT, SALES_TEAM, STOCKS, MUTUAL_FUNDS)}


def feed_named(name: str) -> FeedSpec:
    """The feed of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in FEEDS:
        raise UsageError(f"no feed {name!r}; there are: {', '.join(sorted(FEEDS))}")
    return FEEDS[name]
