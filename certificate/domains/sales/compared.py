"""What the feeds of sales published in PostgreSQL: marts, dimensions with their surrogate keys, and what is unusual."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from certificate.found import Names, Section, put, table

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


def of_table(name: str) -> Callable[[History, Names], Section]:
    """The rows of a published table or view, by what names a row."""

    def look(history: History, names: Names) -> Section:
        found: Section = {}
        for row in history.rows(f"select * from sales.{name}"):
            said = _named(row, names)
            put(found, ", ".join(str(said[column]) for column in _KEYS[name]), said)
        return found

    return look


def upserts(history: History, names: Names) -> Section:
    """What the next batch of each dimension stands on: every row that was ever accepted, with its surrogate key."""
    found: Section = {}
    for newest in history.rows(_UPSERTS):
        for row in table(history, newest["key"]).to_pylist():
            said = _named(row, names)
            put(found, f"{said['file_id']}, line {said['line']}", said)
    return found


def _named(row: dict[str, Any], names: Names) -> dict[str, Any]:
    """The row without times, and with the name of its file for its id."""
    said = {name: value for name, value in row.items() if name not in _TIMES}
    return {**said, "file_id": names.file(said["file_id"])} if "file_id" in said else said
