"""Silver and gold brought to another database, by what changed since the batch that it is as of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from include.domains.finance.feeds import GROUP
from include.domains.finance.queries import newest_batch, statement
from include.domains.finance.schema import TABLES
from include.domains.finance.target import Target, TargetChange
from include.ledger.session import LedgerSession
from include.logs import Log

if TYPE_CHECKING:
    import sqlalchemy

GROUPED_BY = "company_id"
_TOUCHED_COMPANIES = """
select company_id from finance.stock
where from_batch > %(since)s and from_batch <= %(batch)s or to_batch > %(since)s and to_batch <= %(batch)s
union
select company_id from finance.fund
where from_batch > %(since)s and from_batch <= %(batch)s or to_batch > %(since)s and to_batch <= %(batch)s
"""


def target_at(url: str | sqlalchemy.URL) -> Target:
    """The target of that URL for the tables of finance.

    Raises:
        UsageError: it is no URL that can be opened here.
    """
    return Target(url, GROUP, TABLES, GROUPED_BY)


def send(ledger: LedgerSession, target: Target, log: Log) -> dict[str, int]:
    """Bring every table of the target to the newest batch; rows written by table, nothing of those that were there already.

    Raises:
        EnvironmentFailure: PostgreSQL or the target does not answer. Each table is as it was, or as of the batch.
    """
    batch = newest_batch(ledger)
    target.prepare()
    written = {}
    for table in TABLES:
        rows = target.bring_to(table, batch, lambda since, table=table: _change(ledger, table, since, batch))  # type: ignore[misc]
        if rows is not None:
            written[table] = rows
    summary = ", ".join(f"{table} {rows} rows" for table, rows in written.items()) or "nothing to write"
    log(f"{target} is as of batch {batch}: {summary}")
    return written


def _change(ledger: LedgerSession, table: str, since: int, batch: int) -> TargetChange:
    if not since:
        return TargetChange(None, _rows(ledger, table, batch, None))
    companies_touched = sorted(row["company_id"] for row in ledger.rows(_TOUCHED_COMPANIES, {"since": since, "batch": batch}))
    return TargetChange(companies_touched, _rows(ledger, table, batch, companies_touched))


def _rows(ledger: LedgerSession, table: str, batch: int, companies: list[int] | None) -> Iterator[Mapping[str, Any]]:
    with ledger.transaction() as cursor:
        yield from cursor.stream(statement(table, companies=companies is not None), {"batch": batch, "companies": companies})
