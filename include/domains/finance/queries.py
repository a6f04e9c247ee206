"""Silver and gold as people ask for them: as they are, or as they were with a batch of the group."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from psycopg import sql

from include.domains.finance.feeds import GROUP
from include.errors import UsageError
from include.ledger.session import LedgerSession

# By table, what names its rows, in the order in which they are told.
ORDER = {
    "silver": "company_id, stock_id, fund_id",
    "gold_business_aggregation": "company_id, stock_id, fund_id",
    "gold_by_company_sector_exchange_day": 'company_id, sector collate "C", exchange collate "C", day',
    "company_without_partner": "company_id, has",
}


def newest_batch(ledger: LedgerSession) -> int:
    """The last published batch of the group; 0 before the first."""
    row = ledger.row("select coalesce(max(batch), 0) as batch from batch where group_name = %s and state = 'published'", (GROUP,))
    assert row is not None, "an aggregate has a row"
    return int(row["batch"])


def batch_as_of(ledger: LedgerSession, as_of: int | dt.datetime | None) -> int:
    """The batch that was the newest then; 0 where none was published yet. None = now.

    Raises:
        UsageError: a batch that is not published.
    """
    newest = newest_batch(ledger)
    if as_of is None:
        return newest
    if isinstance(as_of, int):
        row = ledger.row("select from batch where group_name = %s and batch = %s and state = 'published'", (GROUP, as_of))
        if as_of != 0 and row is None:
            raise UsageError(f"batch {as_of} of {GROUP} is not published; the newest is {newest or 'none'}")
        return as_of
    row = ledger.row(
        "select coalesce(max(batch), 0) as batch from batch where group_name = %s and state = 'published' and published_at <= %s",
        (GROUP, as_of),
    )
    assert row is not None, "an aggregate has a row"
    return int(row["batch"])


def statement(table: str, *, companies: bool = False) -> sql.Composed:
    """The rows of a table as of the batch `%(batch)s`, in order; with `companies` those of the companies `%(companies)s`."""
    return sql.SQL("select * from {table}(%(batch)s) where {only} order by {order}").format(
        table=sql.Identifier("finance", f"{table}_as_of"),
        only=sql.SQL("company_id = any(%(companies)s)" if companies else "true"),
        order=sql.SQL(ORDER[table]),
    )


def table_as_of(
    ledger: LedgerSession, table: str, batch: int, company: int | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """The rows of a table as of a batch."""
    query = statement(table, companies=company is not None) + sql.SQL(" limit %(limit)s")
    with ledger.transaction() as cursor:
        cursor.execute(query, {"batch": batch, "companies": [company], "limit": limit})
        return [dict(row) for row in cursor.fetchall()]


def exact(value: Any) -> Any:
    """A value for text: decimals by their digits, whole ones of no decimals as integers, instants in UTC with microseconds.

    >>> exact(Decimal("1.500000")), exact(Decimal("12")), exact(dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)), exact(dt.date(2026, 1, 2))
    ('1.500000', 12, '2026-01-02T03:00:00.000000Z', '2026-01-02')
    """
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else format(value, "f")
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, dt.date) else value
