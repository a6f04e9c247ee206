"""The transactions feed, and the reference beside it."""

from __future__ import annotations

from include.contract import MONEY, Column, Contract, Stored, key_text
from include.feed import FeedSpec, Parameter

TRANSACTIONS = FeedSpec(
    name="transactions",
    group="transactions",
    contract=Contract(
        version=2,
        columns=(
            Column("step", matches=r"[0-9]{1,9}", stored=Stored.BIGINT),
            key_text("customer"),
            Column("age", null=True),
            Column("gender", one_of=("F", "M", "E", "U")),
            Column("zipcodeOri", null=True, stored_as="zipcode_ori"),
            key_text("merchant"),
            Column("zipMerchant", null=True, stored_as="zip_merchant"),
            Column("category", null=True),
            Column("amount", matches=MONEY, stored=Stored.CENTS, stored_as="amount_cents"),
        ),
        ignored=frozenset({"fraud"}),
        quote="'",
        max_bytes=4 * 2**30,
    ),
    endings=(".csv", ".csv.gz"),
    touch_column="merchant",
    merges_state=True,
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

# CustomerImportance: a reference, which `sluice reference load` reads by the same rules.
IMPORTANCE = Contract(
    version=2,
    columns=(
        key_text("Source", stored_as="customer"),
        key_text("Target", stored_as="merchant"),
        Column("Weight", matches=r"[0-9]{1,9}(\.[0-9]{1,9})?", stored_as="weight"),
        key_text("typeTrans", stored_as="transaction_type"),
    ),
    ignored=frozenset({"fraud"}),
    quote="'",
)

FEEDS = (TRANSACTIONS,)
