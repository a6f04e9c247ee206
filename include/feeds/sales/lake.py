"""The lake of sales: its tables, and what the job of a dimension's part of it is asked. That of the facts is asked a `FactsRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from include.feeds.message import JobRequest
from include.feeds.sales.star import BRONZE, DIMENSIONS, TOTAL

FACTS_LAKE_JOB = "lake_sales_facts"
DIMENSION_LAKE_JOB = "lake_sales_dimension"
CHECK_LAKE_JOB = "check_sales_lake"

GROUP = "sales"
FACT_SALES = "fact_sales"
DIM_DATE = "dim_date"
MONTH = "sales_month"

# The columns of accepted facts that the lake keeps.
LAKE_BRONZE = pa.schema([*BRONZE, ("additional_column", pa.string())])

# A null key: what the fact names is unknown. `date_key` is the day as YYYYMMDD, `sales_month` YYYY-MM.
FACTS = pa.schema(
    [
        ("date_key", pa.int32()),
        ("customer_key", pa.int64()),
        ("store_key", pa.int64()),
        ("product_key", pa.int64()),
        ("sales_person_key", pa.int64()),
        *((name, BRONZE.field(name).type) for name in BRONZE.names if not name.startswith("_")),
        ("additional_column", pa.string()),
        ("_file_id", pa.int64()),
        ("_line", pa.int64()),
        (MONTH, pa.string()),
    ]
)

# What deliver, reconcile and most people look for facts by: a commit that keeps statistics of all columns costs more.
LOOKED_FOR = (*(dimension.surrogate for dimension in DIMENSIONS.values()), "sales_date", "_file_id")

# Every day of each year in which something was ever sold; `day_of_week` from 1 = Monday.
DATES = pa.schema(
    [
        ("date_key", pa.int32()),
        ("date", pa.date32()),
        ("year", pa.int32()),
        ("quarter", pa.int32()),
        ("month", pa.int32()),
        ("day", pa.int32()),
        ("day_of_week", pa.int32()),
        ("day_name", pa.string()),
        ("is_weekend", pa.bool_()),
        (MONTH, pa.string()),
    ]
)

# What the facts of a file and month amount to in the lake.
SUMS = pa.schema([("_file_id", pa.int64()), (MONTH, pa.string()), ("rows", pa.int64()), ("total", TOTAL)])

TABLES = (FACT_SALES, DIM_DATE, *(dimension.table for dimension in DIMENSIONS.values()))


@dataclass(frozen=True, kw_only=True)
class LakeCheckRequest(JobRequest):
    """Count what the lake's table of a feed holds, and what of it differs from the versions in force. Nobody writes it meanwhile.

    Attributes:
        versions: the object that holds the versions of each dimension that has any, by feed.
    """

    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class LakeDimensionRequest(JobRequest):
    """Put a dimension as it is after a batch into the lake, and give the facts there the keys that they have now.

    Attributes:
        before: the object with its versions as of before the batch; None before its first.
        after: that with its versions after it.
    """

    before: str | None
    after: str
