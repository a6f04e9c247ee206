"""What files of products promise (DESIGN 6)."""

from __future__ import annotations

from include.ingestion.contract import Contract, bigint, money, text, timestamp

PRODUCT = Contract(
    version=1,
    columns=(
        bigint("id"),
        text("name"),
        money("current_price", null=True),
        money("old_price", null=True),
        timestamp("created_date", null=True),
        timestamp("updated_date", null=True),
        timestamp("expiry_date", null=True),
    ),
)
