"""The finished sets of sales: plain Parquet for whoever does not read Delta, refreshed as a whole and named by one object.

`lake/sales/finished.json` names the objects of every set. It is replaced by one write, so that all sets appear at once, and a reader who
reads what it names never sees half of one. Months of `sales_partitioned` in which nothing changed keep their objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from include.feeds.message import JobRequest, Message
from include.feeds.sales.star import TOTAL

PARTITION_JOB = "partition_sales"
SALES_PARTITIONED = "sales_partitioned"
REFRESH = "marts"

# The marts as PostgreSQL has them, in the order of their first columns.
MARTS = {
    "customers_data_mart": pa.schema(
        [
            ("customer_id", pa.int64()),
            ("full_name", pa.string()),
            ("address", pa.string()),
            ("phone_number", pa.string()),
            ("sales_date_month", pa.date32()),
            ("total_sales", TOTAL),
        ]
    ),
    "sales_team_data_mart": pa.schema(
        [
            ("store_id", pa.int64()),
            ("sales_person_id", pa.int64()),
            ("full_name", pa.string()),
            ("sales_month", pa.string()),
            ("total_sales", TOTAL),
            ("incentive", TOTAL),
        ]
    ),
}


@dataclass(frozen=True, kw_only=True)
class PartitionRequest(JobRequest):
    """Write the months of the lake's facts that are not as they were at the refresh before.

    Attributes:
        months: what each month was made of then: a digest of the names of its data files.
        folder: where the months go, in folders by month and store.
    """

    months: Mapping[str, str]
    folder: str


@dataclass(frozen=True, kw_only=True)
class Finished(Message):
    """What `finished.json` says.

    Attributes:
        batch: the marts are as of this batch of the group.
        delta_version: `sales_partitioned` is as of this version of `fact_sales`.
        months: what each month of it was made of.
        objects: of each set: key, size, etag, rows (of a mart), sales_month (of `sales_partitioned`).
    """

    at: str
    batch: int
    delta_version: int
    months: Mapping[str, str]
    objects: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(ref["key"] for objects in self.objects.values() for ref in objects)


NOTHING = Finished(at="", batch=0, delta_version=-1, months={}, objects={})
