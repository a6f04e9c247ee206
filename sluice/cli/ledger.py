"""`sluice migrate | backup | restore`: the ledger as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli.output import log

if TYPE_CHECKING:
    from sluice.ledger.backup import Restored
    from sluice.runtime import Settings

app = typer.Typer()


@app.command()
def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be applied, and change nothing.")] = False,
) -> None:
    """Bring the ledger to this release: apply new migrations, add new feeds. Safe to repeat; `sluice up` does it too."""
    from include.clients import ledger_connection
    from include.ledger.migrate import planned
    from include.provision import prepare_ledger
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
    from include.clients import s3_client
    from include.provision import prepare_bucket
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
    file: Annotated[Path | None, typer.Argument(help="A file that `sluice backup` wrote.")] = None,
    journals: Annotated[
        bool, typer.Option("--journals", help="No backup: everything from the bucket's journals, of a ledger that does not fit to them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the place of the ledger; the ledger of before is kept in the database under another name.

    Stop what ingests first (pause the DAGs). Then run `sluice reconcile`, of any feed: until it has brought the ledger up to date with the
    journals of all feeds, nothing is ingested. With --journals that is done at once. Ids that two journals claim, since a release before
    this one gave them twice, are sorted out in the bucket.
    """
    from include.domains import FEEDS
    from include.errors import UsageError
    from sluice.runtime import settings

    if (file is None) is not journals:
        raise UsageError("give the file of a backup, or --journals")
    where = settings()
    if not yes:
        by = "what the journals have" if file is None else file
        typer.confirm(
            f"Replace the ledger in {where.ledger.database} at {where.ledger.host}:{where.ledger.port} by {by}?", abort=True, err=True
        )
    done = _from_journals(where) if file is None else _from_backup(where, file)
    log(f"migrations applied on top: {', '.join(done.migrations) or 'none'}")
    whose = "what the journals have" if file is None else f"{file}'s"
    print(f"the ledger is {whose}; the one of before is kept as {', '.join(done.kept_as)}: drop these schemas when nobody wants them")
    if file is not None:
        print(f"now: {'; '.join(f'.venv/bin/sluice reconcile {feed}' for feed in FEEDS)} (the first brings all feeds up to date)")


def _from_backup(where: Settings, file: Path) -> Restored:
    from sluice.ledger.backup import restore as restore_backup
    from sluice.ledger.renumber import renumber
    from sluice.runtime import now, open_store

    restored = restore_backup(where.ledger, file, where.s3.bucket, now())
    renumber(open_store(where), where.s3.bucket, log)
    return restored


def _from_journals(where: Settings) -> Restored:
    from include.domains import FEEDS
    from include.pipeline.journal import catch_up
    from include.run import Run
    from sluice.ledger.backup import start_over
    from sluice.ledger.renumber import renumber
    from sluice.runtime import command_run_id, now, open_ports, open_store

    renumber(open_store(where), where.s3.bucket, log)

    def restore_journals() -> None:
        spec = next(iter(FEEDS.values()))
        with open_ports(where, spec, log) as ports:
            catch_up(ports, spec, Run(command_run_id("sluice-restore"), now()))

    return start_over(where.ledger, where.s3.bucket, now(), restore_journals)
