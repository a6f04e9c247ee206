"""The customer feed as a value."""

from __future__ import annotations

from include.feeds.customer.contract import CUSTOMER as CONTRACT
from include.ingestion.feed import FeedSpec, OverwritePolicy
from include.ingestion.keys import EVERY_FORMAT

CUSTOMER = FeedSpec(
    name="customer",
    group="sales",
    contract=CONTRACT,
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_alone=True,
)
