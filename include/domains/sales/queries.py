"""The marts of sales as people ask for them: of a month or of all, newest month first, highest total first."""

from __future__ import annotations

import datetime as dt
import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.ledger.session import LedgerSession


class Subject(enum.StrEnum):
    """Whose months are compared with those before."""

    STORE = "store"
    PRODUCT = "product"
    CUSTOMER = "customer"
    SALESPERSON = "salesperson"


COMPARED = (
    "total_sales",
    "month_before",
    "month_change",
    "month_change_percent",
    "year_before",
    "year_change",
    "year_change_percent",
)
# The view of each, and the column that names whom a row is about.
COMPARISONS = {
    Subject.STORE: ("sales.store_comparison", "store_id"),
    Subject.PRODUCT: ("sales.product_comparison", "product_name"),
    Subject.CUSTOMER: ("sales.customer_comparison", "customer_id"),
    Subject.SALESPERSON: ("sales.sales_person_comparison", "sales_person_id"),
}


def customers(ledger: LedgerSession, month: dt.date | None, limit: int | None) -> list[dict[str, Any]]:
    """What customers bought by month."""
    rows = ledger.rows(
        """select customer_id, full_name, address, phone_number, sales_date_month, total_sales from sales.customers_data_mart
           where %(month)s::date is null or sales_date_month = %(month)s
           order by sales_date_month desc, total_sales desc, customer_id limit %(limit)s""",
        {"month": month, "limit": limit},
    )
    return [dict(row) for row in rows]


def team(ledger: LedgerSession, month: dt.date | None, limit: int | None) -> list[dict[str, Any]]:
    """What sellers sold by month and store, and their incentives."""
    rows = ledger.rows(
        """select store_id, sales_person_id, full_name, sales_month, total_sales, incentive from sales.sales_team_data_mart
           where %(month)s::text is null or sales_month = %(month)s
           order by sales_month desc, store_id, total_sales desc, sales_person_id limit %(limit)s""",
        {"month": month and f"{month:%Y-%m}", "limit": limit},
    )
    return [dict(row) for row in rows]


def compare(ledger: LedgerSession, subject: Subject, month: dt.date | None, limit: int | None) -> list[dict[str, Any]]:
    """Totals by month beside those of the month and of the year before."""
    view, named_by = COMPARISONS[subject]
    rows = ledger.rows(
        f"""select {named_by}, to_char(sales_month, 'YYYY-MM') as sales_month, {", ".join(COMPARED)} from {view} c
            where %(month)s::date is null or c.sales_month = %(month)s
            order by c.sales_month desc, total_sales desc, {named_by} limit %(limit)s""",
        {"month": month, "limit": limit},
    )
    return [dict(row) for row in rows]


def months(ledger: LedgerSession) -> tuple[str, str] | None:
    """The first and the last month with sales, `YYYY-MM`; None without any."""
    row = ledger.row(
        "select to_char(min(sales_month), 'YYYY-MM') as first, to_char(max(sales_month), 'YYYY-MM') as last from sales.product_month"
    )
    return None if row is None or row["first"] is None else (row["first"], row["last"])
