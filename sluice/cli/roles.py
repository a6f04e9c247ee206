"""`sluice roles`: who may do what in the ledger's database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The roles of the ledger's database: owner, ingest, reader, UI.")
_AIRFLOW = "airflow"


@app.command()
def create(
    secrets: Annotated[Path, typer.Option(help="The folder with the files ledger_<role>_password.")],
    database: Annotated[str, typer.Option(help="The ledger's database.")] = "sluice",
    airflow: Annotated[bool, typer.Option("--airflow", help="Airflow's own role and database too (airflow_database_password).")] = False,
) -> None:
    """Make the roles and the database, as a superuser (PGUSER, PGPASSWORD_FILE). Safe to repeat; it sets the passwords of the files."""
    from include.clients import ledger_connection
    from include.ledger.roles import Role, create_database, create_roles
    from sluice.deployment.passwords import passwords_of
    from sluice.runtime import settings

    passwords = passwords_of(secrets)
    with ledger_connection(settings().ledger) as connection:
        create_roles(connection, passwords)
        create_database(connection, database, Role.OWNER, [Role.INGEST, Role.READER, Role.UI])
        if airflow:
            create_roles(connection, {_AIRFLOW: (secrets / "airflow_database_password").read_text().strip()})
            create_database(connection, _AIRFLOW, _AIRFLOW)
    print(f"the roles {', '.join(passwords)} may log in to {database}")


@app.command()
def grant() -> None:
    """Say anew what each role may, as the owner; after every migration. What was granted by hand is taken back."""
    from include.clients import ledger_connection
    from include.ledger.roles import grant as grant_all
    from sluice.runtime import settings

    with ledger_connection(settings().ledger) as connection:
        schemas = grant_all(connection)
    print(f"the roles' rights are set in {', '.join(schemas)}")
