"""The job of the peers of finance, and the stages that all ways have."""

from __future__ import annotations

from dataclasses import dataclass

CHECK, LATEST, TABLES = "read, check, keep the rows", "latest row of each id", "silver, gold and aggregates as Parquet"
STOCKS, FUNDS = "stocks", "mutual_funds"
IDS = {STOCKS: "stock_id", FUNDS: "fund_id"}
AMOUNTS = {STOCKS: "price", FUNDS: "holdings"}
REJECTED = "rejected"


@dataclass(frozen=True)
class FinanceJob:
    """What a peer is to do.

    Attributes:
        folder: it may write here.
        files: the keys of each feed, in its order.
        lake: the prefix in the bucket that it writes below, each table under its name.
    """

    folder: str
    bucket: str
    files: dict[str, list[str]]
    lake: str
