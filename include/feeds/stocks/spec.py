"""The stocks feed as a value."""

from __future__ import annotations

from include.feeds.finance.choices import GROUP, OUTPUT_FORMAT
from include.feeds.stocks.contract import STOCKS as CONTRACT
from include.ingestion.feed import FeedSpec
from include.ingestion.keys import EVERY_FORMAT

STOCKS = FeedSpec(
    name="stocks",
    group=GROUP,
    contract=CONTRACT,
    endings=EVERY_FORMAT,
    delivers_alone=True,
    choices=(OUTPUT_FORMAT,),
)
