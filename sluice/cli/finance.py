"""`sluice finance silver | gold | aggregates | partners | refresh`: stocks and mutual funds, as they are or as they were."""

from __future__ import annotations

import datetime as dt
import getpass
from typing import Annotated

import typer

from include.domains.finance.feeds import FORMATS, OUTPUT_FORMAT
from include.errors import UsageError
from sluice.cli.arguments import warn_of_secret
from sluice.cli.output import Json, print_rows

app = typer.Typer(
    no_args_is_help=True,
    help="Stocks with the mutual funds of their companies: silver and gold in PostgreSQL, exact, as they are or as they were at any batch.",
)
AsOf = Annotated[
    str | None,
    typer.Option(metavar="BATCH|INSTANT", help="As it was published with this batch of the group, or at this instant (ISO 8601)."),
]
Company = Annotated[int | None, typer.Option(help="Only this company.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")]


@app.command()
def silver(as_of: AsOf = None, company: Company = None, limit: Limit = None, json: Json = False) -> None:
    """List each stock with each mutual fund of its company, as their latest rows say.

    In JSON ids are integers and decimals strings, so that no program rounds them.

    Example: sluice finance silver --as-of 12 --json
    """
    _show("silver", as_of, company, limit, json=json)


@app.command()
def gold(as_of: AsOf = None, company: Company = None, limit: Limit = None, json: Json = False) -> None:
    """List silver with what a buyer pays: 0.97 of the price, rounded half up to 4 decimals.

    Example: sluice finance gold --as-of 2026-11-21T10:00:00Z --json
    """
    _show("gold_business_aggregation", as_of, company, limit, json=json)


@app.command()
def aggregates(as_of: AsOf = None, company: Company = None, limit: Limit = None, json: Json = False) -> None:
    """Count the stocks that have a partner and sum their volumes, by company, sector, exchange and UTC day; each stock counts once.

    Example: sluice finance aggregates --company 7
    """
    _show("gold_by_company_sector_exchange_day", as_of, company, limit, json=json)


@app.command()
def partners(as_of: AsOf = None, company: Company = None, limit: Limit = None, json: Json = False) -> None:
    """List the companies that have no partner: stocks and no mutual fund, or the other way round. Their rows wait for one.

    Example: sluice finance partners --json
    """
    _show("company_without_partner", as_of, company, limit, json=json)


@app.command()
def refresh(
    output_format: Annotated[str, typer.Option(metavar="WORD", help=f"One of {', '.join(FORMATS)}.")] = OUTPUT_FORMAT.default,
) -> None:
    """Write silver and gold below lake/finance/ as of the newest batch, in any of the formats.

    What is there already and undamaged stays as it is. Every run of `sluice ingest stocks` or `mutual_funds` does the same in the format
    of its feed; this is for another format, or for files that were damaged or deleted.

    Example: sluice finance refresh --output-format csv
    """
    from include.domains.finance.exporter import TableExporter
    from include.domains.finance.queries import newest_batch
    from sluice.runtime import open_ledger, open_store, settings

    refused = OUTPUT_FORMAT.refused(output_format)
    if refused:
        raise UsageError(refused)
    where = settings()
    with open_ledger(where) as ledger:
        batch = newest_batch(ledger.session)
        if not batch:
            raise UsageError(NOTHING)
        TableExporter(ledger.session, open_store(where), where.s3.bucket).write(batch, output_format, print)


@app.command()
def send(
    to: Annotated[
        str,
        typer.Option(
            envvar="SLUICE_FINANCE_TARGET",
            callback=warn_of_secret,
            metavar="URL",
            help="An SQLAlchemy URL, such as mysql+pymysql://user@host/db.",
        ),
    ],
    ask_password: Annotated[bool, typer.Option("--ask-password", help="Ask for the password that the URL leaves out.")] = False,
) -> None:
    """Bring silver and gold to another database: PostgreSQL, MySQL, MariaDB or another that SQLAlchemy knows.

    Only companies in which something changed are written. Each table changes in one transaction with its row in
    sluice_delivery(target, table, batch) there, so that a repeat changes nothing, whatever was killed. Tables are created where missing.
    The variable SLUICE_FINANCE_TARGET takes the URL too, with its password: arguments are seen by all.

    Example: sluice finance send --to mariadb://user@warehouse/finance --ask-password
    """
    from include.domains.finance.sender import send as bring
    from include.domains.finance.sender import target_at
    from include.domains.finance.target import with_password
    from sluice.runtime import open_ledger, settings

    target = target_at(with_password(to, getpass.getpass("password of the target: ")) if ask_password else to)
    try:
        with open_ledger(settings()) as ledger:
            bring(ledger.session, target, print)
    finally:
        target.close()


NOTHING = "nothing of finance is published yet; `sluice ingest stocks --until-empty` takes what has landed"


def _show(table: str, as_of: str | None, company: int | None, limit: int | None, *, json: bool) -> None:
    from include.domains.finance.queries import batch_as_of, exact, table_as_of
    from sluice.runtime import open_ledger, settings

    instant = None if as_of is None else moment(as_of)
    with open_ledger(settings()) as ledger:
        batch = batch_as_of(ledger.session, instant)
        rows = table_as_of(ledger.session, table, batch, company, limit)
    shown = [{name: exact(value) for name, value in row.items()} for row in rows] if json else rows
    print_rows(shown, rows[0] if rows else (), as_json=json, empty=f"nothing as of batch {batch}" if batch else NOTHING)


def moment(as_of: str) -> int | dt.datetime:
    """A batch number, or an instant; one without a zone is UTC.

    >>> moment("12"), moment("2026-11-21T10:00:00")
    (12, datetime.datetime(2026, 11, 21, 10, 0, tzinfo=datetime.timezone.utc))

    Raises:
        UsageError: it is neither.
    """
    if as_of.isascii() and as_of.isdigit() and len(as_of) < 19:
        return int(as_of)
    try:
        at = dt.datetime.fromisoformat(as_of)
    except ValueError:
        raise UsageError(f"--as-of {as_of!r} is neither the number of a batch nor an instant such as 2026-11-21T10:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)
