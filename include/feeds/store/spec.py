"""The store feed as a value."""

from __future__ import annotations

from include.feeds.store.contract import STORE as CONTRACT
from include.ingestion.feed import FeedSpec, OverwritePolicy
from include.ingestion.keys import EVERY_FORMAT

STORE = FeedSpec(
    name="store",
    group="sales",
    contract=CONTRACT,
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_alone=True,
)
