"""The feeds of finance: what stocks and mutual funds promise of their files, and what both have in common."""

from __future__ import annotations

import datetime as dt

from include.contract import Contract, Within, bigint, decimal6, instant, key_text, text, whole
from include.feed import Choice, FeedSpec
from include.files.keys import EVERY_FORMAT

GROUP = "finance"
FORMATS = ("parquet", "csv", "delta", "json")
OUTPUT_FORMAT = Choice(
    "output_format", "parquet", FORMATS, "The format of the tables below lake/finance/ that follow the batches this run opens."
)

# From when to when what happens in finance can have happened.
FIRST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2101, 1, 1, tzinfo=dt.UTC)

STOCKS = FeedSpec(
    name="stocks",
    group=GROUP,
    contract=Contract(
        version=2,
        columns=(
            bigint("stock_id"),
            bigint("company_id"),
            key_text("symbol", null=True),
            decimal6("price"),
            whole("volume"),
            instant("timestamp", stored_as="stock_timestamp", unzoned_as="without_zone"),
            key_text("exchange", null=True, path=("details", "exchange")),
            key_text("sector", null=True, path=("details", "sector")),
        ),
        rules=(Within("timestamp", FIRST, END),),
    ),
    endings=EVERY_FORMAT,
    choices=(OUTPUT_FORMAT,),
)

MUTUAL_FUNDS = FeedSpec(
    name="mutual_funds",
    group=GROUP,
    contract=Contract(
        version=2,
        columns=(
            bigint("fund_id"),
            text("name", null=True),
            bigint("company_id"),
            decimal6("holdings"),
            instant("timestamp", stored_as="fund_timestamp", unzoned_as="without_zone"),
        ),
        rules=(Within("timestamp", FIRST, END),),
    ),
    endings=EVERY_FORMAT,
    choices=(OUTPUT_FORMAT,),
)

FEEDS = (STOCKS, MUTUAL_FUNDS)
