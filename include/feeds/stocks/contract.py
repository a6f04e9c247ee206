"""What files of stocks promise (DESIGN 6)."""

from __future__ import annotations

from include.feeds.finance.instants import END, FIRST
from include.ingestion.contract import Contract, Within, bigint, decimal6, instant, text, whole

STOCKS = Contract(
    version=1,
    columns=(
        bigint("stock_id"),
        bigint("company_id"),
        text("symbol", null=True),
        decimal6("price"),
        whole("volume"),
        instant("timestamp", stored_as="stock_timestamp", unzoned_as="without_zone"),
        text("exchange", null=True, path=("details", "exchange")),
        text("sector", null=True, path=("details", "sector")),
    ),
    rules=(Within("timestamp", FIRST, END),),
)
