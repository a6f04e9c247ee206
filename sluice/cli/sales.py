"""`sluice sales customers | team | compare | refresh | rebuild`: the marts of sales as they are published now, and the lake."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.domains import feed_named
from include.domains.sales.queries import COMPARED, COMPARISONS, Subject
from include.errors import UsageError
from sluice.cli.output import Json, print_rows

if TYPE_CHECKING:
    from include.ledger import Ledger

app = typer.Typer(
    no_args_is_help=True,
    help="What was sold, by customer, by seller, and beside earlier months: the marts in PostgreSQL, exact to the cent at any moment.",
)
Month = Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Only this month of sale; all of them if not given.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")]
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


@app.command()
def customers(month: Month = None, limit: Limit = None, json: Json = False) -> None:
    """List what each customer bought in each month: newest month first, in it the highest total first.

    Name, address and telephone are the customer's current ones; they are empty while no file of the feed `customer` named the customer
    (`sluice ingest customer` puts them in). In JSON totals are strings, so that no program rounds them.

    Example: sluice sales customers --month 2026-03 --limit 10
    """
    from include.domains.sales import queries as views

    columns = ("customer_id", "full_name", "address", "phone_number", "sales_date_month", "total_sales")
    _show(month, json, columns, lambda ledger, day: views.customers(ledger.session, day, limit))


@app.command()
def team(month: Month = None, limit: Limit = None, json: Json = False) -> None:
    """List what each salesperson sold in each store and month, and the incentive for it.

    The seller with the highest total of a store and month is paid 1 % of it, rounded half up to cents; where several have it, all are;
    the others get 0.00. The store is the sale's, whatever store the person belongs to. A file that comes late changes the incentives of
    its month: the table sales.incentive_changes has each change and the file that made it.

    Example: sluice sales team --month 2026-03 --json
    """
    from include.domains.sales import queries as views

    columns = ("store_id", "sales_person_id", "full_name", "sales_month", "total_sales", "incentive")
    _show(month, json, columns, lambda ledger, day: views.team(ledger.session, day, limit))


@app.command()
def compare(
    by: Annotated[Subject, typer.Option(help="Whose sales.")] = Subject.STORE, month: Month = None, limit: Limit = None, json: Json = False
) -> None:
    """Compare the totals of a month with the month before and with the same month of the year before.

    What is empty (null in JSON) has nothing to be compared with: there were no sales then. Percent are of the earlier total, rounded to
    two decimals. Products go by their name.

    Example: sluice sales compare --by product --month 2026-03
    """
    from include.domains.sales import queries as views

    _, named_by = COMPARISONS[by]
    _show(month, json, (named_by, "sales_month", *COMPARED), lambda ledger, day: views.compare(ledger.session, by, day, limit))


@app.command()
def refresh() -> None:
    """Refresh what is made of published sales for readers of plain Parquet, as the DAG sales_marts does.

    The facts by month and store and both marts, below lake/sales/; lake/sales/finished.json names their objects and is replaced by one
    write, so all of it appears at once. Only months in which something changed are written.

    Example: sluice sales refresh
    """
    from include.domains.sales.parquet_export import ParquetExport
    from sluice.runtime import new_id, now, open_ports, settings

    where = settings()
    with open_ports(where, feed_named("sales"), print) as ports:
        ParquetExport(ports.ledger.session, ports.store, ports.bucket, ports.job, new_id).refresh(now(), ports.log)


@app.command()
def rebuild(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete the Delta tables below lake/sales/ and write them again from what is published, batch by batch.

    For a table that was damaged or deleted; `sluice reconcile sales --verify` says so. Nothing else changes, and what is killed on the
    way is finished by the next `sluice ingest` of any feed of sales. It takes as long as all batches together took Spark. Earlier versions
    of the tables are gone then.

    Example: sluice sales rebuild --yes
    """
    from include.domains.sales.lake_auditor import rebuild as delete_and_deliver_again
    from include.pipeline.deliver import deliver
    from include.pipeline.delivering import NotDelivered, stuck
    from include.run import Run
    from sluice.runtime import command_run_id, now, open_ports, settings

    if not yes:
        typer.confirm("Delete the Delta tables of sales and write them again?", abort=True)
    where, spec = settings(), feed_named("sales")
    with open_ports(where, spec, print) as ports:
        run = Run(command_run_id("rebuild"), now())
        delete_and_deliver_again(ports, spec, run)
        delivered = deliver(ports, spec, run)
        ports.log(f"{delivered.batches} batches delivered")
        if failed := stuck(delivered.undone, delivered.tried, delivered.done, ports.clock()):
            raise NotDelivered(spec.group, failed)


def _show(
    month: str | None, json: bool, columns: Sequence[str], query: Callable[[Ledger, dt.date | None], Sequence[Mapping[str, Any]]]
) -> None:
    from include.domains.sales import queries as views
    from sluice.runtime import open_ledger, settings

    day = None if month is None else first_day(month)
    with open_ledger(settings()) as ledger:
        rows = query(ledger, day)
        sold = views.months(ledger.session) if not rows else None
    print_rows([exact(row) for row in rows] if json else rows, columns, as_json=json, empty=nothing(month, sold))


def first_day(month: str) -> dt.date:
    """The first day of a month said as YYYY-MM.

    >>> first_day("2026-03")
    datetime.date(2026, 3, 1)

    Raises:
        UsageError: it is no month.
    """
    try:
        if _MONTH.fullmatch(month):
            return dt.date.fromisoformat(f"{month}-01")
    except ValueError:
        pass
    raise UsageError(f"--month {month!r} is no month such as 2026-03")


def exact(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for programs: money and percent as the digits that PostgreSQL holds.

    >>> exact({"store_id": 1, "total_sales": Decimal("10.00"), "year_before": None})
    {'store_id': 1, 'total_sales': '10.00', 'year_before': None}
    """
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def nothing(month: str | None, sold: tuple[str, str] | None) -> str:
    """Why there is nothing to show.

    >>> nothing("2026-05", ("2026-02", "2026-03"))
    'no sales in 2026-05; what is published was sold from 2026-02 to 2026-03'
    """
    if sold is None:
        return "no sales are published yet; `sluice ingest sales --until-empty` takes what has landed"
    return f"no sales in {month}; what is published was sold from {sold[0]} to {sold[1]}"
