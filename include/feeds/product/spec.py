"""The product feed as a value."""

from __future__ import annotations

from include.feeds.product.contract import PRODUCT as CONTRACT
from include.ingestion.feed import FeedSpec, OverwritePolicy
from include.ingestion.keys import EVERY_FORMAT

PRODUCT = FeedSpec(
    name="product",
    group="sales",
    contract=CONTRACT,
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_alone=True,
)
