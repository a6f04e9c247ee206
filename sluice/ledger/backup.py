"""Backups of the ledger with PostgreSQL's own tools: of its schema and those beside it, whatever else is in the database."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql

from include.clients import ledger_connection
from include.errors import SluiceError, UsageError
from include.ledger.migrate import extra_schemas
from include.provision import prepare_ledger
from sluice.services.postgres import binary

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    import psycopg

    from include.settings import LedgerSettings


class BackupFailed(SluiceError):
    """PostgreSQL's tool refused; a restore that failed left the ledger as it was."""


# Of which no journal has anything, in the order in which they refer to each other.
_NOT_IN_JOURNALS = (
    *("feed_group", "feed", "feed_source", "producer", "producer_source", "producer_chunk"),
    *("reconciliation", "failure"),
)


@dataclass(frozen=True)
class Restored:
    """What a restore did: the schemas it went into, where those of before are kept, the migrations applied on top."""

    schemas: tuple[str, ...]
    kept_as: tuple[str, ...]
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
    schemas = [f"--schema={schema}" for schema in _schemas(ledger)]
    _tool(ledger, "pg_dump", ["--format=custom", "--no-owner", "--no-privileges", *schemas, f"--file={part}"])
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
    kept_as = _free_names(ledger, _schemas(ledger), now)
    new = [name for name in extra_schemas() if any(f" SCHEMA - {name} " in line for line in contents)]
    with _set_aside(ledger, kept_as, new), tempfile.NamedTemporaryFile("w", suffix=".list") as wanted:
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
            _invalidate_leases(connection, kept_as)
    return Restored(tuple(kept_as), tuple(kept_as.values()), tuple(applied))


def start_over(ledger: LedgerSettings, bucket: str, now: dt.datetime, restore: Callable[[], None]) -> Restored:
    """Put a ledger that knows nothing but what no journal has in the place of this one, and let `restore` bring it the journals.

    Where that fails, the ledger is as it was.
    """
    with ledger_connection(ledger) as connection:
        applied = prepare_ledger(connection, bucket)
    kept_as = _free_names(ledger, _schemas(ledger), now)
    with _set_aside(ledger, kept_as, (), lambda connection: _begin_with(connection, bucket, kept_as)):
        restore()
    return Restored(tuple(kept_as), tuple(kept_as.values()), tuple(applied))


def _begin_with(connection: psycopg.Connection, bucket: str, kept_as: Mapping[str, str]) -> None:
    """An empty ledger with what the one before has beside files and batches: sources, pauses, the producer's position, what was found."""
    prepare_ledger(connection, bucket)
    before = next(iter(kept_as.values()))
    connection.execute("delete from feed_source")
    for table in _NOT_IN_JOURNALS:
        names = {"table": sql.Identifier(table), "before": sql.Identifier(before, table)}
        connection.execute(sql.SQL("alter table {table} disable trigger user").format(**names))
        connection.execute(sql.SQL("insert into {table} overriding system value table {before} on conflict do nothing").format(**names))
        connection.execute(sql.SQL("alter table {table} enable trigger user").format(**names))
    feeds = sql.SQL("update feed set last_seq = 0, paused_at = b.paused_at, paused_by = b.paused_by from {} b where b.feed = feed.feed")
    connection.execute(feeds.format(sql.Identifier(before, "feed")))
    connection.execute("update feed_group set last_batch = 0, state_version = 0")
    for table, column in (("failure", "failure_id"), ("producer_source", "source_id")):
        connection.execute(
            sql.SQL("select setval(pg_get_serial_sequence(%s, %s), max({})) from {}").format(sql.Identifier(column), sql.Identifier(table)),
            (table, column),
        )
    _invalidate_leases(connection, kept_as)


def _schemas(ledger: LedgerSettings) -> list[str]:
    """The schema that the connection works in, and of those that belong beside it the ones that are there."""
    with ledger_connection(ledger) as connection:
        found = connection.execute(
            "select current_schema() union all select nspname from pg_namespace where nspname = any(%s)", (extra_schemas(),)
        )
        return [row[0] for row in found]


def _free_names(ledger: LedgerSettings, schemas: Sequence[str], now: dt.datetime) -> dict[str, str]:
    """What each schema is called once it is set aside: by the second, and numbered where something was set aside in that second."""
    with ledger_connection(ledger) as connection:
        taken = {row[0] for row in connection.execute("select nspname from pg_namespace")}
    for number in count(1):
        suffix = f"_before_{now:%Y%m%d_%H%M%S}" + (f"_{number}" if number > 1 else "")
        named = {schema: f"{schema}{suffix}" for schema in schemas}
        if taken.isdisjoint(named.values()):
            break
    return named


def _contents(ledger: LedgerSettings, file: Path) -> list[str]:
    try:
        listed = _tool(ledger, "pg_restore", ["--list", str(file)])
    except BackupFailed as refused:
        raise UsageError(f"{file} is no backup that `sluice backup` wrote: {refused}") from refused
    if " TABLE " not in listed or " file_event " not in listed:
        raise UsageError(f"{file} is a backup of something else: it holds no ledger")
    return listed.splitlines()


@contextmanager
def _set_aside(
    ledger: LedgerSettings, kept_as: Mapping[str, str], new: Sequence[str], fill: Callable[[psycopg.Connection], None] | None = None
) -> Iterator[None]:
    """Give the ledger's schemas other names and empty ones their places; take that back where the block fails.

    Args:
        kept_as: the name that each schema gets, the ledger's own first.
        new: those beside it that the backup holds.
        fill: what the empty ones get in the same transaction, so that nobody ever finds them empty.
    """
    own, *_ = kept_as
    with ledger_connection(ledger) as connection, connection.transaction():
        for schema, kept in kept_as.items():
            connection.execute(sql.SQL("alter schema {} rename to {}").format(sql.Identifier(schema), sql.Identifier(kept)))
        for schema in (own, *new):
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
        if fill is not None:
            fill(connection)
    try:
        yield
    except BaseException:
        with ledger_connection(ledger) as connection, connection.transaction():
            for schema in {*kept_as, *extra_schemas()}:
                connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))
            for schema, kept in kept_as.items():
                connection.execute(sql.SQL("alter schema {} rename to {}").format(sql.Identifier(kept), sql.Identifier(schema)))
        raise


def _invalidate_leases(connection: psycopg.Connection, kept_as: Mapping[str, str]) -> None:
    """Let no run of the ledger of before write into this one: every lease is over, and the next is newer than any that was given there."""
    before = sql.Identifier(next(iter(kept_as.values())), "feed_group")
    with connection.transaction():
        there = connection.execute("select to_regclass(%s) is not null", (before.as_string(connection),)).fetchone()
        tokens = sql.SQL("select max(lease_token) from {}").format(before) if there and there[0] else sql.SQL("select 0")
        connection.execute(
            sql.SQL("update feed_group set lease_holder = null, lease_until = null, lease_token = greatest(lease_token, ({})) + 1").format(
                tokens
            )
        )
        connection.execute(
            """update delivery set lease_holder = null, lease_until = null,
                      lease_token = greatest(lease_token + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint)"""
        )


def _tool(ledger: LedgerSettings, program: str, options: Sequence[str], *, into_database: bool = False) -> str:
    """Run one of PostgreSQL's programs on the ledger's database; what it printed."""
    variables = {
        "PGHOST": ledger.host,
        "PGPORT": str(ledger.port),
        "PGDATABASE": ledger.database,
        "PGUSER": ledger.user,
        "PGPASSWORD": ledger.password,
    }
    where = [f"--dbname={ledger.database}"] if into_database else []
    done = subprocess.run([str(binary(program)), *where, *options], env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupFailed(f"{program} failed: {' '.join(done.stderr.split()) or done.returncode}")
    return done.stdout
