"""`sluice generate`: synthetic input, of BankSim's shape, of a retailer's sales, or of stocks and mutual funds."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from include.errors import UsageError
from sluice.cli.output import Json, log, print_json
from sluice.generate.sales.formats import Format

app = typer.Typer()
kinds = typer.Typer(no_args_is_help=True, help="Make synthetic input for a feed, the same for the same seed.")
app.add_typer(kinds, name="generate")


@kinds.command()
def transactions(
    out: Annotated[Path, typer.Option(help="The folder to write to; it is made if need be.")],
    rows: Annotated[int, typer.Option(min=1, help="Transactions to make; of 600,000 every pattern fires by its defaults.")] = 600_000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other data.")] = 1,
    customers: Annotated[int, typer.Option(min=10, max=10_000_000, help="How many customers there are.")] = 4000,
    faults: Annotated[bool, typer.Option("--faults", help="Plant faulty rows, one in a hundred, and list them in faults.json.")] = False,
    json: Json = False,
) -> None:
    """Write transactions.csv and CustomerImportance.csv.

    Strings are in single quotes. Customers are SC..., merchants SM..., so none is a BankSim id. Some customers' gender differs
    between rows, some pairs have several transaction types, some no row in CustomerImportance. The good rows are the same
    with --faults and without; faults.json names each planted line, what is wrong with it, and its column.
    """
    from sluice.generate.transactions import write

    made = write(rows, seed, out, customers=customers, faults=faults)
    if json:
        print_json({name: str(value) if isinstance(value, Path) else value for name, value in asdict(made).items()})
        return
    planted = f" and {made.planted:,} faulty lines, listed in {made.faults}" if made.faults else ""
    print(f"{made.transactions}: {made.rows:,} transactions{planted}")
    print(f"{made.importance}: {made.importance_rows:,} rows")


_SIZE, _PLACE, _WORLD = "How much", "Where to", "What it is like"


_EXAMPLES = """
sluice generate sales --gb 0.1 --to data --format csv --format parquet

sluice generate sales --rows 500000 --faults --land --expected data; then ingest customer, store, product, sales_team and sales

sluice generate sales --rows 500000 --faults --land --wave 2; then ingest them again, and compare with data/expected.json
"""


@kinds.command(epilog=_EXAMPLES)
def sales(
    gb: Annotated[float | None, typer.Option(min=0.0001, help="Gigabytes of fact files, about.", rich_help_panel=_SIZE)] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Sales, exactly; instead of --gb.", rich_help_panel=_SIZE)] = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Dates that they are spread over.", rich_help_panel=_SIZE)] = 40,
    file_mb: Annotated[float, typer.Option(min=0.01, help="No file much larger than this.", rich_help_panel=_SIZE)] = 64,
    to: Annotated[Path | None, typer.Option(help="A new folder: <feed>/dt=.../ and expected.json.", rich_help_panel=_PLACE)] = None,
    land: Annotated[bool, typer.Option("--land", help="Straight into the landing in S3.", rich_help_panel=_PLACE)] = False,
    wave: Annotated[int, typer.Option(min=1, max=2, help="Which half to --land; 2 only with --faults.", rich_help_panel=_PLACE)] = 1,
    expected: Annotated[Path | None, typer.Option(help="With --land: a folder for expected.json.", rich_help_panel=_PLACE)] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --land: also over keys that are there.", rich_help_panel=_PLACE)
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other data.", rich_help_panel=_WORLD)] = 1,
    faults: Annotated[bool, typer.Option("--faults", help="Plant what goes wrong in life (see above).", rich_help_panel=_WORLD)] = False,
    format: Annotated[  # noqa: A002 (its name on the command line)
        list[Format], typer.Option(help="May be given several times: files take them in turn.", rich_help_panel=_WORLD)
    ] = [Format.CSV],  # noqa: B006 (typer reads it)
    start: Annotated[dt.datetime, typer.Option(formats=["%Y-%m-%d"], help="The first date.", rich_help_panel=_WORLD)] = dt.datetime(  # noqa: DTZ001
        2026, 1, 1
    ),
    customers: Annotated[int, typer.Option(min=100, max=50_000_000, help="How many.", rich_help_panel=_WORLD)] = 50_000,
    stores: Annotated[int, typer.Option(min=3, max=100_000, help="How many.", rich_help_panel=_WORLD)] = 100,
    sellers: Annotated[int, typer.Option(min=2, max=1000, help="In each store.", rich_help_panel=_WORLD)] = 10,
    products: Annotated[int, typer.Option(min=20, max=20_000, help="How many.", rich_help_panel=_WORLD)] = 500,
    processes: Annotated[int | None, typer.Option(min=1, help="At work at once; one a core if not given.")] = None,
    json: Json = False,
) -> None:
    """Make sales and their dimensions (customer, store, product, sales_team), and say what must come of them.

    The same arguments make the same bytes, whatever the number of processes. Beside the files lie expected.json (each file's lines,
    accepted and rejected; each month's total and winners, in whole cents), expected_customers.csv and expected_team.csv (every cell of
    both marts). They are kept while rows are drawn, and share no code with what ingests them.

    With --faults: rows that must be rejected, files with extra columns, without a mandatory one, with too many bad rows, copies under
    another name, sales of customers, stores, sellers and products that nobody described, prices that no product version has, tied
    sellers, price changes, sellers who move, and a second wave: files for older dates, other bytes under known names (one of them
    bad), price changes and customers told of late. Ingest the first wave before the second.
    """
    from sluice.generate.sales.command import Wish, request, to_folder, to_landing
    from sluice.generate.sales.population import Sizes

    if (to is None) == (not land):
        raise UsageError("say where to: either --to FOLDER or --land")
    if to is not None and (wave, expected, overwrite) != (1, None, False):
        raise UsageError("--wave, --expected and --overwrite go with --land: a folder holds both waves, and expected.json")
    wanted = request(Wish(gb, rows, days, file_mb), seed, start.date(), format, Sizes(customers, stores, sellers, products), faults=faults)
    count = processes or os.cpu_count() or 1
    if to is not None:
        made = to_folder(wanted, to, count, log)
    else:
        from sluice.runtime import open_store, settings
        from sluice.services.state import current_state

        where, state = settings(), current_state()
        made = to_landing(
            wanted,
            where.s3,
            open_store(where),
            wave,
            count,
            log,
            expected=expected,
            overwrite=overwrite,
            disk=state.root if state.exists else None,
        )
    if json:
        print_json({name: str(value) if isinstance(value, Path) else value for name, value in asdict(made).items()})
        return
    print(
        f"{to or 's3'}: {made.files:,} files, {made.rows:,} rows, {made.bytes / 1e6:,.1f} MB in {made.seconds:.1f} s "
        f"({made.mb_a_core_second:.0f} MB/s a core)"
    )
    if made.expected:
        print(f"what must come of them: {made.expected}")
    if land and faults and wave == 1:
        print("now ingest them, then land the second wave: the same command with --wave 2")


@kinds.command()
def finance(
    rows: Annotated[int, typer.Option(min=1, help="Events of both feeds together; two thirds are of stocks.")] = 10_000,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Dates that they are spread over.")] = 3,
    file_rows: Annotated[int, typer.Option(min=1, help="Rows a file at most.")] = 100_000,
    companies: Annotated[int, typer.Option(min=2, help="Companies of each feed; half of them have a partner in the other.")] = 1000,
    faults: Annotated[bool, typer.Option("--faults", help="Plant a bad event after every hundred good ones of a file.")] = False,
    to: Annotated[Path | None, typer.Option(help="A folder: <feed>/dt=.../")] = None,
    land: Annotated[bool, typer.Option("--land", help="Straight into the landing in S3.")] = False,
    start: Annotated[dt.datetime, typer.Option(formats=["%Y-%m-%d"], help="The first date.")] = dt.datetime(2026, 1, 1),  # noqa: DTZ001
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other data.")] = 1,
) -> None:
    """Make events of stocks and mutual funds, as JSON arrays and JSON lines.

    The same arguments make the same bytes. Timestamps come in every form that may be, one in twenty of the day before; half of the
    companies have a partner in the other feed. The good events are the same with --faults and without.

    Example: sluice generate finance --rows 100000 --land
    """
    from sluice.generate import finance as events
    from sluice.runtime import open_store, settings

    if (to is None) == (not land):
        raise UsageError("say where to: either --to FOLDER or --land")
    wish = events.Wish(rows, days, file_rows, companies, start.date(), seed, faults)
    if to is not None:
        made = events.to_folder(wish, to)
    else:
        where = settings()
        made = events.to_landing(wish, open_store(where), where.s3.bucket)
    bad = f" and {made.bad:,} bad ones" if faults else ""
    print(f"{to or 's3'}: {made.files:,} files, {made.rows:,} events{bad}, {made.bytes / 1e6:,.1f} MB")
