"""The sales feed as a value."""

from __future__ import annotations

from include.feeds.sales.contract import SALES as CONTRACT
from include.ingestion.feed import FeedSpec, OverwritePolicy
from include.ingestion.keys import EVERY_FORMAT

SALES = FeedSpec(
    name="sales",
    group="sales",
    contract=CONTRACT,
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_alone=True,
)
