"""The tables of finance that people read."""

from __future__ import annotations

import pyarrow as pa

_ID, _TEXT, _INSTANT = pa.int64(), pa.string(), pa.timestamp("us", "UTC")
AMOUNT = pa.decimal128(18, 6)

# Each stock with each fund of its company, as their newest rows say.
SILVER = pa.schema(
    [
        ("company_id", _ID),
        ("stock_id", _ID),
        ("symbol", _TEXT),
        ("price", AMOUNT),
        ("volume", _ID),
        ("stock_timestamp", _INSTANT),
        ("exchange", _TEXT),
        ("sector", _TEXT),
        ("fund_id", _ID),
        ("name", _TEXT),
        ("holdings", AMOUNT),
        ("fund_timestamp", _INSTANT),
        ("total_value", pa.decimal128(36, 12)),
    ]
)
GOLD = SILVER.append(pa.field("price_adjusted", pa.decimal128(18, 4)))
BY_DAY = pa.schema(
    [
        ("company_id", _ID),
        ("sector", _TEXT),
        ("exchange", _TEXT),
        ("day", pa.date32()),
        ("stocks", _ID),
        ("volume", pa.decimal128(38, 0)),
    ]
)

TABLES = {"silver": SILVER, "gold_business_aggregation": GOLD, "gold_by_company_sector_exchange_day": BY_DAY}
