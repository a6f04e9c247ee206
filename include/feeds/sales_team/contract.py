"""What files of salespeople promise (DESIGN 6)."""

from __future__ import annotations

from include.ingestion.contract import Contract, bigint, text, timestamp

SALES_TEAM = Contract(
    version=1,
    columns=(
        bigint("id"),
        text("first_name", null=True),
        text("last_name", null=True),
        bigint("manager_id", null=True),
        text("is_manager", null=True),
        text("address", null=True),
        text("pincode", null=True),
        timestamp("joining_date", null=True),
        bigint("store_id", null=True, optional=True),
    ),
)
