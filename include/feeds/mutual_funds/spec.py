"""The mutual_funds feed as a value."""

from __future__ import annotations

from include.feeds.finance.choices import GROUP, OUTPUT_FORMAT
from include.feeds.mutual_funds.contract import MUTUAL_FUNDS as CONTRACT
from include.ingestion.feed import FeedSpec
from include.ingestion.keys import EVERY_FORMAT

MUTUAL_FUNDS = FeedSpec(
    name="mutual_funds",
    group=GROUP,
    contract=CONTRACT,
    endings=EVERY_FORMAT,
    delivers_alone=True,
    choices=(OUTPUT_FORMAT,),
)
