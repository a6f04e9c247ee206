"""The sales_team feed as a value."""

from __future__ import annotations

from include.feeds.sales_team.contract import SALES_TEAM as CONTRACT
from include.ingestion.feed import FeedSpec, OverwritePolicy
from include.ingestion.keys import EVERY_FORMAT

SALES_TEAM = FeedSpec(
    name="sales_team",
    group="sales",
    contract=CONTRACT,
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_alone=True,
)
