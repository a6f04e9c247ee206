"""What files of customers promise (DESIGN 6)."""

from __future__ import annotations

from include.ingestion.contract import Contract, bigint, text, timestamp

CUSTOMER = Contract(
    version=1,
    columns=(
        bigint("customer_id"),
        text("first_name", null=True),
        text("last_name", null=True),
        text("address", null=True),
        text("pincode", null=True),
        text("phone_number", null=True),
        timestamp("customer_joining_date", null=True),
    ),
)
