"""Every column of finance once: of each id of its two feeds the latest row, by (timestamp, seq, line), and the tables that people read."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from include.domains.finance import feeds
from include.feed import FeedSpec
from include.quality.bronze import ADDITIONAL, bronze_schema

_ID, _TEXT = pa.int64(), pa.string()


@dataclass(frozen=True)
class Latest:
    """One of the two.

    Attributes:
        spec: the feed whose rows are upserts of it.
        table: its name in PostgreSQL.
        key: the column that names a row.
        at: the column that says since when a row holds.
    """

    spec: FeedSpec
    table: str
    key: str
    at: str

    @property
    def bronze(self) -> pa.Schema:
        return bronze_schema(self.spec.contract)

    @property
    def columns(self) -> pa.Schema:
        """Those of bronze that are published: what the contract names, and what it does not."""
        names = [column.bronze_name for column in self.spec.contract.columns]
        return pa.schema([self.bronze.field(name) for name in [*names, ADDITIONAL]])

    @property
    def upserts(self) -> pa.Schema:
        """The latest row of each id in each file."""
        return pa.schema([*self.columns, ("seq", _ID), ("line", _ID), ("file_id", _ID)])

    @property
    def own(self) -> list[pa.Field]:
        """What silver has of it, beside the company."""
        return [field for field in self.columns if field.name not in {"company_id", ADDITIONAL}]


STOCKS = Latest(feeds.STOCKS, "stock", "stock_id", "stock_timestamp")
FUNDS = Latest(feeds.MUTUAL_FUNDS, "fund", "fund_id", "fund_timestamp")
LATEST = {one.spec.name: one for one in (STOCKS, FUNDS)}

# What is unusual in a file's accepted rows: how many of them, and the first of their lines.
FINDINGS = pa.schema([("file_id", _ID), ("column", _TEXT), ("what", _TEXT), ("rows", _ID), ("first_line", _ID)])

# Each stock with each fund of its company, as their newest rows say.
SILVER = pa.schema([("company_id", _ID), *STOCKS.own, *FUNDS.own, ("total_value", pa.decimal128(36, 12))])
GOLD = SILVER.append(pa.field("price_adjusted", pa.decimal128(18, 4)))
BY_DAY = pa.schema(
    [
        *(SILVER.field(name) for name in ("company_id", "sector", "exchange")),
        ("day", pa.date32()),
        ("stocks", _ID),
        ("volume", pa.decimal128(38, 0)),
    ]
)
TABLES = {"silver": SILVER, "gold_business_aggregation": GOLD, "gold_by_company_sector_exchange_day": BY_DAY}
