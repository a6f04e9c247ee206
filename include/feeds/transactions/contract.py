"""What card transaction files promise, and the reference beside them (DESIGN 5)."""

from __future__ import annotations

from include.ingestion.contract import MONEY, Column, Contract, Stored

TRANSACTIONS = Contract(
    version=1,
    columns=(
        Column("step", matches=r"[0-9]{1,9}", stored=Stored.BIGINT),
        Column("customer"),
        Column("age", null=True),
        Column("gender", one_of=("F", "M", "E", "U")),
        Column("zipcodeOri", null=True, stored_as="zipcode_ori"),
        Column("merchant"),
        Column("zipMerchant", null=True, stored_as="zip_merchant"),
        Column("category", null=True),
        Column("amount", matches=MONEY, stored=Stored.CENTS, stored_as="amount_cents"),
    ),
    ignored=frozenset({"fraud"}),
    quote="'",
    max_bytes=4 * 2**30,
)

IMPORTANCE = Contract(
    version=1,
    columns=(
        Column("Source", stored_as="customer"),
        Column("Target", stored_as="merchant"),
        Column("Weight", matches=r"[0-9]{1,9}(\.[0-9]{1,9})?", stored_as="weight"),
        Column("typeTrans", stored_as="transaction_type"),
    ),
    ignored=frozenset({"fraud"}),
    quote="'",
)
