"""`sluice migrate | backup | restore`: the ledger as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.output import say

app = typer.Typer()


@app.command()
def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be applied, and change nothing.")] = False,
) -> None:
    """Bring the ledger to this release: apply new migrations, add new feeds. Safe to repeat; `sluice up` does it too."""
    from include.stores.migrations import planned
    from include.stores.open import ledger_connection
    from include.stores.prepare import prepare_ledger
    from sluice.runtime import settings

    where = settings()
    with ledger_connection(where.ledger) as connection:
        if plan:
            for step in planned(connection):
                print(step)
            return
        applied = prepare_ledger(connection, where.s3.bucket)
    print(f"applied {', '.join(applied)}" if applied else "the ledger is up to date")


@app.command()
def bucket() -> None:
    """Make the bucket that the settings name, if it is not there."""
    from include.stores.open import s3_client
    from include.stores.prepare import prepare_bucket
    from sluice.runtime import settings

    where = settings().s3
    made = prepare_bucket(s3_client(where), where)
    print(f"s3://{where.bucket} {'was made' if made else 'is there'}")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="Where the backup goes: a new file.")]) -> None:
    """Back the ledger up with pg_dump, as it is at one instant; whatever runs goes on.

    Airflow's own database and the bucket are not in it. What happens after it is in the bucket's journal: `sluice restore FILE` and
    `sluice reconcile` bring a lost ledger back to what was delivered last.
    """
    from sluice.ledger.backup import backup as back_up
    from sluice.runtime import settings

    size = back_up(settings().ledger, file)
    print(f"{file}: {size:,} bytes")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `sluice backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the place of the ledger; the ledger of before is kept in the database under another name.

    Stop what ingests first (pause the DAGs). Then run `sluice reconcile`: until it has brought the ledger up to date, nothing is ingested.
    """
    from include.feeds import FEEDS
    from sluice.ledger.backup import restore as put_back
    from sluice.runtime import now, settings

    where = settings()
    if not yes:
        typer.confirm(
            f"Replace the ledger in {where.ledger.database} at {where.ledger.host}:{where.ledger.port} by {file}?", abort=True, err=True
        )
    done = put_back(where.ledger, file, where.s3.bucket, now())
    say(f"migrations applied on top: {', '.join(done.migrations) or 'none'}")
    print(f"the ledger is {file}'s; the one of before is kept as {', '.join(done.kept_as)}: drop these schemas when nobody wants them")
    print("now: " + "; ".join(f".venv/bin/sluice reconcile {feed}" for feed in FEEDS))
