"""Backups of the ledger with PostgreSQL's own tools: of the schema that the connection works in, whatever else is in the database."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql

from include.ingestion.errors import SluiceError, UsageError
from include.stores.open import ledger_connection
from include.stores.prepare import prepare_ledger
from sluice.services.postgres import binary

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from include.stores.settings import LedgerSettings


class BackupFailed(SluiceError):
    """PostgreSQL's tool refused; a restore that failed left the ledger as it was."""


@dataclass(frozen=True)
class Restored:
    """What a restore did: the schema it went into, where the ledger of before is kept, the migrations applied on top."""

    schema: str
    kept_as: str
    migrations: tuple[str, ...]


def backup(ledger: LedgerSettings, to: Path) -> int:
    """Write a backup of one instant, while everything goes on; its size in bytes.

    Raises:
        UsageError: the file is there already, or its folder is not.
        BackupFailed: pg_dump refused.
    """
    if to.exists():
        raise UsageError(f"{to} is there already; give the backup a name of its own")
    if not to.parent.is_dir():
        raise UsageError(f"there is no folder {to.parent}")
    part = to.with_name(f"{to.name}.part")
    schema = _schema(ledger)
    _tool(ledger, "pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--schema={schema}", f"--file={part}"])
    part.rename(to)
    return to.stat().st_size


def restore(ledger: LedgerSettings, file: Path, bucket: str, now: dt.datetime) -> Restored:
    """Put a backup in the place of the ledger, and bring it to this release. The ledger of before stays, under another name.

    Raises:
        UsageError: no such file, or it is no backup.
        BackupFailed: pg_restore refused; the ledger is as it was.
    """
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    contents = _contents(ledger, file)
    schema = _schema(ledger)
    kept_as = f"{schema}_before_{now:%Y%m%d_%H%M%S}"
    with _set_aside(ledger, schema, kept_as), tempfile.NamedTemporaryFile("w", suffix=".list") as wanted:
        wanted.writelines(f"{line}\n" for line in contents if " SCHEMA - " not in line)
        wanted.flush()
        _tool(
            ledger,
            "pg_restore",
            ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", f"--use-list={wanted.name}", str(file)],
            into_database=True,
        )
        with ledger_connection(ledger) as connection:
            applied = prepare_ledger(connection, bucket)
    return Restored(schema, kept_as, tuple(applied))


def _schema(ledger: LedgerSettings) -> str:
    with ledger_connection(ledger) as connection:
        found = connection.execute("select current_schema()").fetchone()
    return str(found[0]) if found else "public"


def _contents(ledger: LedgerSettings, file: Path) -> list[str]:
    try:
        listed = _tool(ledger, "pg_restore", ["--list", str(file)])
    except BackupFailed as refused:
        raise UsageError(f"{file} is no backup that `sluice backup` wrote: {refused}") from refused
    if " TABLE " not in listed or " file_event " not in listed:
        raise UsageError(f"{file} is a backup of something else: it holds no ledger")
    return listed.splitlines()


@contextmanager
def _set_aside(ledger: LedgerSettings, schema: str, kept_as: str) -> Iterator[None]:
    """Give the ledger's schema another name and an empty one its place; take that back where the block fails."""
    names = {"schema": sql.Identifier(schema), "kept": sql.Identifier(kept_as)}
    with ledger_connection(ledger) as connection, connection.transaction():
        connection.execute(sql.SQL("alter schema {schema} rename to {kept}").format(**names))
        connection.execute(sql.SQL("create schema {schema}").format(**names))
    try:
        yield
    except BaseException:
        with ledger_connection(ledger) as connection, connection.transaction():
            connection.execute(sql.SQL("drop schema {schema} cascade").format(**names))
            connection.execute(sql.SQL("alter schema {kept} rename to {schema}").format(**names))
        raise


def _tool(ledger: LedgerSettings, program: str, options: Sequence[str], *, into_database: bool = False) -> str:
    """Run one of PostgreSQL's programs on the ledger's database; what it printed."""
    told = {
        "PGHOST": ledger.host,
        "PGPORT": str(ledger.port),
        "PGDATABASE": ledger.database,
        "PGUSER": ledger.user,
        "PGPASSWORD": ledger.password,
    }
    where = [f"--dbname={ledger.database}"] if into_database else []
    done = subprocess.run([str(binary(program)), *where, *options], env=os.environ | told, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupFailed(f"{program} failed: {' '.join(done.stderr.split()) or done.returncode}")
    return done.stdout
