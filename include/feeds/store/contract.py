"""What files of stores promise (DESIGN 6)."""

from __future__ import annotations

from include.ingestion.contract import Contract, bigint, text, timestamp

STORE = Contract(
    version=1,
    columns=(
        bigint("id"),
        text("address", null=True),
        text("store_pincode", null=True),
        text("store_manager_name", null=True),
        timestamp("store_opening_date", null=True),
        text("reviews", null=True),
    ),
)
