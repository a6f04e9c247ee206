"""What the feeds of sales published in PostgreSQL: marts, dimensions with their surrogate keys, and what is unusual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certificate.found import Look, Names, Section, by_key, rows_of, table

if TYPE_CHECKING:
    from certificate.history import History

_KEYS = {
    "customers_data_mart": ("customer_id", "sales_date_month"),
    "sales_team_data_mart": ("store_id", "sales_person_id", "sales_month"),
    "product_month": ("product_name", "sales_month"),
    "fact_file": ("file_id", "sales_month"),
    "incentive_changes": ("file_id", "store_id", "sales_month", "sales_person_id"),
    "unresolved": ("file_id", "line", "column"),
    "price_difference": ("file_id", "line"),
    "dim_customer": ("customer_id", "valid_from"),
    **dict.fromkeys(("dim_store", "dim_product", "dim_sales_team"), ("id", "valid_from")),
    "finding": ("kind", "subject", "what"),
    "proof": (),
}
TABLES = tuple(_KEYS)
_TIMES = ("changed_at",)
_UPSERTS = "select distinct on (feed) feed, key from sales.dimension_state where name = 'upserts' order by feed, batch desc"


def of_table(name: str) -> Look:
    """The rows of a published table or view, by what names a row."""
    return rows_of(f"select * from sales.{name}", _KEYS[name], _TIMES)


def upserts(history: History, names: Names) -> Section:
    """What the next batch of each dimension stands on: every row that was ever accepted, with its surrogate key."""
    return by_key(
        (row for newest in history.rows(_UPSERTS) for row in table(history, newest["key"]).to_pylist()), ("file_id", "line"), names
    )
