"""The star of sales: which dimensions there are, what names a row of each, from when a row holds, and how all of it lies in Parquet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pyarrow as pa

FACTS = "sales"

# The beginning of time: a key's first version holds from here on.
BEGINNING = dt.date(1, 1, 1)

MONEY = pa.decimal128(12, 2)
TOTAL = pa.decimal128(38, 2)
_ID, _TEXT, _DAY, _INSTANT = pa.int64(), pa.string(), pa.date32(), pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Dimension:
    """One dimension of the star.

    Attributes:
        feed: the feed whose rows are upserts of it.
        table: its name among the published tables and in the lake.
        key: the column of bronze that names a row.
        surrogate: the surrogate key's name in the star.
        names: the column of facts that holds its key.
        attributes: the other columns, as the star types them.
        since: an SQL expression over an upsert (`file_date` is its file's) for the day from which it holds; None = type 1, no days.
    """

    feed: str
    table: str
    key: str
    surrogate: str
    names: str
    attributes: tuple[tuple[str, pa.DataType], ...]
    since: str | None = None

    @property
    def upserts(self) -> pa.Schema:
        """Every row that was ever accepted, with the surrogate key of its (key, since); superseded ones no longer count."""
        of_a_row = [("since", _DAY), ("seq", _ID), ("line", _ID), ("file_id", _ID), ("surrogate", _ID), ("superseded", pa.bool_())]
        return pa.schema([("key", _ID), *self.attributes, *of_a_row])

    @property
    def versions(self) -> pa.Schema:
        """What holds: half-open stretches of days; `valid_to` null = open."""
        of_a_version = [("valid_from", _DAY), ("valid_to", _DAY), ("seq", _ID), ("line", _ID), ("file_id", _ID), ("surrogate", _ID)]
        return pa.schema([("key", _ID), *self.attributes, *of_a_version])


CUSTOMER = Dimension(
    "customer",
    "dim_customer",
    "customer_id",
    "customer_key",
    "customer_id",
    (
        ("first_name", _TEXT),
        ("last_name", _TEXT),
        ("address", _TEXT),
        ("pincode", _TEXT),
        ("phone_number", _TEXT),
        ("customer_joining_date", _INSTANT),
        ("additional_column", _TEXT),
    ),
)
STORE = Dimension(
    "store",
    "dim_store",
    "id",
    "store_key",
    "store_id",
    (
        ("address", _TEXT),
        ("store_pincode", _TEXT),
        ("store_manager_name", _TEXT),
        ("store_opening_date", _INSTANT),
        ("reviews", _TEXT),
        ("additional_column", _TEXT),
    ),
)
PRODUCT = Dimension(
    "product",
    "dim_product",
    "id",
    "product_key",
    "product_name",
    (
        ("name", _TEXT),
        ("current_price", MONEY),
        ("old_price", MONEY),
        ("created_date", _INSTANT),
        ("updated_date", _INSTANT),
        ("expiry_date", _INSTANT),
        ("additional_column", _TEXT),
    ),
    since="cast(updated_date as date)",
)
SALES_TEAM = Dimension(
    "sales_team",
    "dim_sales_team",
    "id",
    "sales_person_key",
    "sales_person_id",
    (
        ("first_name", _TEXT),
        ("last_name", _TEXT),
        ("manager_id", _ID),
        ("is_manager", _TEXT),
        ("address", _TEXT),
        ("pincode", _TEXT),
        ("joining_date", _INSTANT),
        ("store_id", _ID),
        ("additional_column", _TEXT),
    ),
    since="file_date",
)
DIMENSIONS = {dimension.feed: dimension for dimension in (CUSTOMER, STORE, PRODUCT, SALES_TEAM)}

# The columns of accepted facts that the star looks at.
BRONZE = pa.schema(
    [
        ("customer_id", _ID),
        ("store_id", _ID),
        ("product_name", _TEXT),
        ("sales_date", _DAY),
        ("sales_person_id", _ID),
        ("price", MONEY),
        ("quantity", _ID),
        ("total_cost", MONEY),
        ("_file_id", _ID),
        ("_line", _ID),
    ]
)

# What files put into the marts (rows > 0) and take out of them: of the naming columns those of one kind of group are there.
SUMS = pa.schema(
    [
        ("seq", _ID),
        ("customer_id", _ID),
        ("store_id", _ID),
        ("sales_person_id", _ID),
        ("product_name", _TEXT),
        ("month", _DAY),
        ("rows", _ID),
        ("total", TOTAL),
    ]
)

# What is unusual in facts: a value that is unknown, or, without a column, a price unlike that of the product's version.
UNUSUAL = pa.schema(
    [
        ("file_id", _ID),
        ("line", _ID),
        ("column", _TEXT),
        ("value", _TEXT),
        ("product_name", _TEXT),
        ("product_id", _ID),
        ("valid_from", _DAY),
        ("price", MONEY),
        ("current_price", MONEY),
    ]
)
