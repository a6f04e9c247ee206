"""Every column of sales once: the dimensions of the star, and how all of it lies in Parquet and in the lake."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pyarrow as pa

from include.domains.sales import feeds
from include.feed import FeedSpec
from include.quality.bronze import ADDITIONAL, FILE_ID, LINE, bronze_schema

GROUP = "sales"
FACTS_FEED = feeds.SALES.name

# The beginning of time: a key's first version holds from here on.
BEGINNING = dt.date(1, 1, 1)

TOTAL = pa.decimal128(38, 2)
_ID, _TEXT, _DAY = pa.int64(), pa.string(), pa.date32()


@dataclass(frozen=True)
class Dimension:
    """One dimension of the star.

    Attributes:
        spec: the feed whose rows are upserts of it.
        table: its name among the published tables and in the lake.
        key: the column of bronze that names a row.
        surrogate: the surrogate key's name in the star.
        names: the column of facts that holds its key.
        since: an SQL expression over an upsert (`file_date` is its file's) for the day from which it holds; None = type 1, no days.
    """

    spec: FeedSpec
    table: str
    key: str
    surrogate: str
    names: str
    since: str | None = None

    @property
    def feed(self) -> str:
        return self.spec.name

    @property
    def attributes(self) -> pa.Schema:
        """What a row says beside its key: the columns of bronze."""
        bronze = bronze_schema(self.spec.contract)
        return pa.schema([field for field in bronze if field.name not in {self.key, LINE, FILE_ID}])

    @property
    def bronze(self) -> pa.Schema:
        return pa.schema([(self.key, _ID), *self.attributes, (FILE_ID, _ID), (LINE, _ID)])

    @property
    def upserts(self) -> pa.Schema:
        """Every row that was ever accepted, with the surrogate key of its (key, since); superseded ones no longer count."""
        of_a_row = [("since", _DAY), ("seq", _ID), ("line", _ID), ("file_id", _ID), ("surrogate", _ID), ("superseded", pa.bool_())]
        return pa.schema([("key", _ID), *self.attributes, *of_a_row])

    @property
    def stated(self) -> list[str]:
        """The columns of upserts that a file says."""
        return ["key", *self.attributes.names, "since", "line"]

    @property
    def versions(self) -> pa.Schema:
        """What holds: half-open stretches of days; `valid_to` null = open."""
        of_a_version = [("valid_from", _DAY), ("valid_to", _DAY), ("seq", _ID), ("line", _ID), ("file_id", _ID), ("surrogate", _ID)]
        return pa.schema([("key", _ID), *self.attributes, *of_a_version])


CUSTOMER = Dimension(feeds.CUSTOMER, "dim_customer", "customer_id", "customer_key", "customer_id")
STORE = Dimension(feeds.STORE, "dim_store", "id", "store_key", "store_id")
PRODUCT = Dimension(feeds.PRODUCT, "dim_product", "id", "product_key", "product_name", since="cast(updated_date as date)")
SALES_TEAM = Dimension(feeds.SALES_TEAM, "dim_sales_team", "id", "sales_person_key", "sales_person_id", since="file_date")
DIMENSIONS = {dimension.feed: dimension for dimension in (CUSTOMER, STORE, PRODUCT, SALES_TEAM)}

# What facts say, the columns of accepted facts that the star looks at, and those that the lake keeps.
_FACT = pa.schema([bronze_schema(feeds.SALES.contract).field(column.bronze_name) for column in feeds.SALES.contract.columns])
BRONZE = pa.schema([*_FACT, (FILE_ID, _ID), (LINE, _ID)])
LAKE_BRONZE = pa.schema([*BRONZE, (ADDITIONAL, _TEXT)])

# What files put into the marts (rows > 0) and take out of them: of the naming columns those of one kind of group are there.
SUMS = pa.schema(
    [
        ("seq", _ID),
        *(_FACT.field(name) for name in ("customer_id", "store_id", "sales_person_id", "product_name")),
        ("month", _DAY),
        ("rows", _ID),
        ("total", TOTAL),
    ]
)

# What is unusual in facts: a value that is unknown, or, without a column, a price unlike that of the product's version.
FACT_FINDINGS = pa.schema(
    [
        ("file_id", _ID),
        ("line", _ID),
        ("column", _TEXT),
        ("value", _TEXT),
        ("product_name", _TEXT),
        ("product_id", _ID),
        ("valid_from", _DAY),
        _FACT.field("price"),
        PRODUCT.attributes.field("current_price"),
    ]
)

FACT_SALES = "fact_sales"
DIM_DATE = "dim_date"
MONTH = "sales_month"
LAKE_TABLES = (FACT_SALES, DIM_DATE, *(dimension.table for dimension in DIMENSIONS.values()))

# A null key: what the fact names is unknown. `date_key` is the day as YYYYMMDD, `sales_month` YYYY-MM.
LAKE_FACTS = pa.schema(
    [
        ("date_key", pa.int32()),
        *((dimension.surrogate, _ID) for dimension in DIMENSIONS.values()),
        *_FACT,
        (ADDITIONAL, _TEXT),
        (FILE_ID, _ID),
        (LINE, _ID),
        (MONTH, _TEXT),
    ]
)

# What deliver, reconcile and most people look for facts by: a commit that keeps statistics of all columns costs more.
LOOKED_FOR = (*(dimension.surrogate for dimension in DIMENSIONS.values()), "sales_date", FILE_ID)

# Every day of each year in which something was ever sold; `day_of_week` from 1 = Monday.
LAKE_DATES = pa.schema(
    [
        ("date_key", pa.int32()),
        ("date", _DAY),
        ("year", pa.int32()),
        ("quarter", pa.int32()),
        ("month", pa.int32()),
        ("day", pa.int32()),
        ("day_of_week", pa.int32()),
        ("day_name", _TEXT),
        ("is_weekend", pa.bool_()),
        (MONTH, _TEXT),
    ]
)

# What the facts of a file and month amount to in the lake.
LAKE_SUMS = pa.schema([(FILE_ID, _ID), (MONTH, _TEXT), ("rows", _ID), ("total", TOTAL)])

# The marts as PostgreSQL has them, in the order of their first columns.
MARTS = {
    "customers_data_mart": pa.schema(
        [
            ("customer_id", _ID),
            ("full_name", _TEXT),
            *(CUSTOMER.attributes.field(name) for name in ("address", "phone_number")),
            ("sales_date_month", _DAY),
            ("total_sales", TOTAL),
        ]
    ),
    "sales_team_data_mart": pa.schema(
        [
            ("store_id", _ID),
            ("sales_person_id", _ID),
            ("full_name", _TEXT),
            (MONTH, _TEXT),
            ("total_sales", TOTAL),
            ("incentive", TOTAL),
        ]
    ),
}
