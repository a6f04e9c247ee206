"""Services for a session of tests, brought up by whichever of its processes needs them first."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psycopg

from include.ledger.migrate import migrate
from sluice.runtime import new_id
from sluice.services.catalogue import all_services, without_airflow
from sluice.services.postgres import SUPERUSER, Postgres, connect
from sluice.services.service import Service
from sluice.services.state import LEDGER_USER, State
from sluice.services.supervisor import bring_up, take_down
from tests.conftest import struck

REUSED = os.environ.get("SLUICE_TEST_STATE")
SCHEMA = "under_test"
"""Where the ledger of a test lies: nobody may rely on the default."""


def bring_up_once(state: State, services: Sequence[Service]) -> None:
    """Start what nobody in this session has started yet; what runs is left alone, however busy it is."""
    with (state.folder() / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if REUSED:
            bring_up(state, services)  # who named them may have stopped them since
            return
        up = state.folder("tests.up")
        missing = [service for service in services if not (up / service.name).exists()]
        if not missing:
            return
        bring_up(state, services)
        if any(isinstance(service, Postgres) for service in missing):
            _hurry(state)
        for service in missing:
            (up / service.name).touch()


def take_down_own(group: str, root: Path) -> None:
    """Stop the services that no other group of tests needs: all of those that are killed, and of the others Airflow."""
    if REUSED:
        return
    state = State(struck(root) if group == "struck" else root)
    shared = [] if group == "struck" else [service.name for service in without_airflow(state)]
    up = state.folder("tests.up")
    own = [service for service in all_services(state) if service.name not in shared and (up / service.name).exists()]
    take_down(state, own)
    for service in own:
        (up / service.name).unlink()


def _hurry(state: State) -> None:
    """Kills of a process lose nothing that it has given to the system; what a power cut would cost these tests do not ask."""
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")


def own_database(state: State) -> Iterator[str]:
    """A database for one ledger at a time, since a feed's results lie in a schema of a fixed name; and the template of a fresh one."""
    name = f"test_{new_id()}"
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        for made in (name, template_of(name)):
            connection.execute(f"create database {made} owner {LEDGER_USER}".encode())
    with connect(state, template_of(name), LEDGER_USER, autocommit=True) as connection:
        connection.execute(f"create schema {SCHEMA}; set search_path = {SCHEMA}; set client_min_messages = warning".encode())
        migrate(connection)
    yield name
    if REUSED:
        with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
            for made in (name, template_of(name)):
                connection.execute(f"drop database {made} with (force)".encode())


def renew(state: State, database: str) -> None:
    """Put a fresh ledger in the place of the one before: a copy of the template, since all migrations cost five times as much."""
    copied_from(state, database, template_of(database))


def clear(state: State, database: str) -> None:
    """Put an empty database in the place of the one before."""
    _make_again(state, database)


def keep(state: State, database: str, name: str) -> None:
    """Put a database aside, that others may be copies of it; nobody is connected to it any more."""
    _as_superuser(state, f"alter database {database} rename to {name}")


def copied_from(state: State, database: str, kept: str) -> None:
    """Put a copy of a database that was put aside in the place of the one before."""
    _make_again(state, database, f"template {kept} strategy file_copy")


def thrown_away(state: State, database: str) -> None:
    _as_superuser(state, f"drop database if exists {database} with (force)")


def _make_again(state: State, database: str, how: str = "") -> None:
    _as_superuser(state, f"drop database if exists {database} with (force)", f"create database {database} owner {LEDGER_USER} {how}")


def _as_superuser(state: State, *statements: str) -> None:
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def template_of(database: str) -> str:
    return f"{database}_template"


def ledger(services: Mapping[str, str], **changed: str) -> psycopg.Connection:
    """A connection to the ledger that these variables name, with other settings where a test says so."""
    settings = {
        "host": services["PGHOST"],
        "port": services["PGPORT"],
        "dbname": services["PGDATABASE"],
        "user": services["PGUSER"],
        "password": services["PGPASSWORD"],
    }
    return psycopg.connect(**{**settings, **changed}, connect_timeout=5)
