"""The transactions feed as a value."""

from __future__ import annotations

from include.feeds.transactions.contract import TRANSACTIONS as CONTRACT
from include.ingestion.feed import FeedSpec, Parameter

TRANSACTIONS = FeedSpec(
    name="transactions",
    group="transactions",
    contract=CONTRACT,
    endings=(".csv", ".csv.gz"),
    touch_column="merchant",
    without_reference="no CustomerImportance is loaded: PatId1 (UPGRADE) cannot fire; "
    "`sluice reference load FILE` or the DAG transactions_reference loads it",
    parameters=(
        Parameter("min_total", 50_000, 0, 10**12, "UPGRADE: only merchants with more transactions than this"),
        Parameter("min_count", 80, 1, 10**9, "CHILD: at least this many transactions of a customer at a merchant"),
        Parameter("max_avg_cents", 2300, 0, 10**11, "CHILD: their average amount is below this, in cents"),
        Parameter("min_female", 100, 0, 10**9, "DEI-NEEDED: more female customers than this at a merchant"),
        Parameter("top", 10, 0, 100, "UPGRADE: the top percent of a merchant's customers by number of transactions"),
        Parameter("bottom", 10, 0, 100, "UPGRADE: the bottom percent of a merchant's customers by weight"),
    ),
)
