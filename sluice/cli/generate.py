"""`sluice generate`: synthetic input of BankSim's shape."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.output import Json, print_json

app = typer.Typer()
kinds = typer.Typer(no_args_is_help=True, help="Make synthetic input for a feed, the same for the same seed.")
app.add_typer(kinds, name="generate")


@kinds.callback()
def generate() -> None:
    """Keep `transactions` a command of its own while it is the only one."""


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
