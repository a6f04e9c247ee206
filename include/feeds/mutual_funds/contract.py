"""What files of mutual funds promise (DESIGN 6)."""

from __future__ import annotations

from include.feeds.finance.instants import END, FIRST
from include.ingestion.contract import Contract, Within, bigint, decimal6, instant, text

MUTUAL_FUNDS = Contract(
    version=1,
    columns=(
        bigint("fund_id"),
        text("name", null=True),
        bigint("company_id"),
        decimal6("holdings"),
        instant("timestamp", stored_as="fund_timestamp", unzoned_as="without_zone"),
    ),
    rules=(Within("timestamp", FIRST, END),),
)
