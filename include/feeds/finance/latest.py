"""What finance keeps of its two feeds: of each id the latest row, by (timestamp, seq, line)."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from include.feeds.finance.sets import AMOUNT

_ID, _TEXT, _INSTANT = pa.int64(), pa.string(), pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Latest:
    """One of the two.

    Attributes:
        feed: the feed whose rows are upserts of it.
        table: its name in PostgreSQL.
        key: the column that names a row.
        at: the column that says since when a row holds.
        columns: all of them, as bronze has them.
    """

    feed: str
    table: str
    key: str
    at: str
    columns: tuple[tuple[str, pa.DataType], ...]

    @property
    def bronze(self) -> pa.Schema:
        """The columns of accepted rows that are looked at."""
        return pa.schema([*self.columns, ("without_zone", pa.bool_()), ("_file_id", _ID), ("_line", _ID)])

    @property
    def upserts(self) -> pa.Schema:
        """The latest row of each id in each file."""
        return pa.schema([*self.columns, ("seq", _ID), ("line", _ID), ("file_id", _ID)])


STOCKS = Latest(
    "stocks",
    "stock",
    "stock_id",
    "stock_timestamp",
    (
        ("stock_id", _ID),
        ("company_id", _ID),
        ("symbol", _TEXT),
        ("price", AMOUNT),
        ("volume", _ID),
        ("stock_timestamp", _INSTANT),
        ("exchange", _TEXT),
        ("sector", _TEXT),
        ("additional_column", _TEXT),
    ),
)
FUNDS = Latest(
    "mutual_funds",
    "fund",
    "fund_id",
    "fund_timestamp",
    (
        ("fund_id", _ID),
        ("company_id", _ID),
        ("name", _TEXT),
        ("holdings", AMOUNT),
        ("fund_timestamp", _INSTANT),
        ("additional_column", _TEXT),
    ),
)
LATEST = {one.feed: one for one in (STOCKS, FUNDS)}

# What is unusual in a file's accepted rows: how many of them, and the first of their lines.
FINDINGS = pa.schema([("file_id", _ID), ("column", _TEXT), ("what", _TEXT), ("rows", _ID), ("first_line", _ID)])
