"""Who may do what in the ledger's database: one owner who migrates, and three roles that cannot do what is not theirs.

A role is made by a superuser, once a server (`create_roles`); what it may is said by the owner, after each migration (`grant`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from psycopg import sql

from include.errors import UsageError
from include.ledger.migrate import extra_schemas

if TYPE_CHECKING:
    import psycopg


class Role(StrEnum):
    """The roles of a ledger's database.

    OWNER migrates and is nobody's everyday login; INGEST runs the feeds; READER is for people and their tools; UI decides on refused
    files, pauses feeds and names sources, and publishes nothing.
    """

    OWNER = "sluice_owner"
    INGEST = "sluice_ingest"
    READER = "sluice_reader"
    UI = "sluice_ui"


# What nobody but the owner says: which migrations there were, which moves a file may make, which feeds there are, what there
# is to do.
_THE_OWNERS = frozenset({"schema_migration", "file_move", "feed", "feed_group", "work"})
# What is written once: no row of these is ever changed.
_WRITTEN_ONCE = frozenset({"schema_migration", "file_move", "file_event", "detection", "failure", "reference"})
# The only tables of which rows go away, because newer rows say the same or more.
_REPLACED = frozenset({"fixed_line", "backfill_certificate", "producer_chunk", "delivery_failure"})
_REPLACED_IN_SALES = frozenset(
    {
        *("customer_month", "product_month", "seller_month"),  # a group whose rows were all superseded is in no mart
        *("fact_file", "unresolved", "price_difference"),
        *("dim_customer", "dim_store", "dim_product", "dim_sales_team"),
    }
)
# What a person decides in the UI, column by column.
_UI = (
    "grant insert on file, file_event, feed_source, failure to {role}",
    "grant update (state, reason, delivered_at) on file to {role}",
    "grant update (last_seq, paused_at, paused_by) on feed to {role}",
    "grant update (group_name) on feed_group to {role}",  # so that it can wait for whoever works on the group; a key never changes
    "grant update on feed_source to {role}",
)


def create_roles(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Make logins that are missing and set their passwords; may be repeated, also to change a password. Needs a superuser.

    Args:
        passwords: by role. None of them can make roles or databases, or see past another's rights.
    """
    for role, password in passwords.items():
        known = connection.execute("select from pg_roles where rolname = %s", (role,)).fetchone() is not None
        connection.execute(
            sql.SQL("{verb} role {role} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password {password}").format(
                verb=sql.SQL("alter" if known else "create"), role=sql.Identifier(role), password=sql.Literal(password)
            )
        )


def create_database(connection: psycopg.Connection, database: str, owner: str, guests: Iterable[str] = ()) -> None:
    """Make a database that is its owner's, which nobody but the owner and the guests may open; may be repeated."""
    name = sql.Identifier(database)
    if connection.execute("select from pg_database where datname = %s", (database,)).fetchone() is None:
        connection.execute(sql.SQL("create database {} owner {}").format(name, sql.Identifier(owner)))
    connection.execute(sql.SQL("revoke all on database {} from public").format(name))
    for guest in guests:
        connection.execute(sql.SQL("grant connect on database {} to {}").format(name, sql.Identifier(guest)))


def grant(connection: psycopg.Connection) -> list[str]:
    """Say anew, as the owner, what the roles may in this ledger; the names of the schemas. What was granted otherwise is taken back.

    Raises:
        UsageError: a role is not there.
    """
    roles = (Role.INGEST, Role.READER, Role.UI)
    there = {row[0] for row in connection.execute("select rolname from pg_roles where rolname = any(%s)", ([*roles],))}
    if missing := [role for role in roles if role not in there]:
        raise UsageError(f"there is no role {', '.join(missing)}: a superuser makes them with `sluice roles create`")
    with connection.transaction():
        found = connection.execute(
            "select current_schema() union all select nspname from pg_namespace where nspname = any(%s)", (extra_schemas(),)
        )
        schemas = [row[0] for row in found]
        for schema in schemas:
            _grant_in(connection, schema)
        for statement in _UI:
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(Role.UI)))
        database = connection.execute("select current_database()").fetchone()
        assert database is not None
        connection.execute(sql.SQL("revoke temporary on database {} from public").format(sql.Identifier(database[0])))
        temporary = sql.SQL("grant temporary on database {} to {}")  # batches are put together in tables of a transaction's own
        connection.execute(temporary.format(sql.Identifier(database[0]), sql.Identifier(Role.INGEST)))
    return schemas


def _grant_in(connection: psycopg.Connection, schema: str) -> None:
    place, ingest = sql.Identifier(schema), sql.Identifier(Role.INGEST)
    for role in (Role.INGEST, Role.READER, Role.UI):
        names = {"schema": place, "role": sql.Identifier(role)}
        for statement in (
            "revoke all on all tables in schema {schema} from {role}",
            "revoke all on schema {schema} from {role}",
            "grant usage on schema {schema} to {role}",
            "grant select on all tables in schema {schema} to {role}",
            "grant select on all sequences in schema {schema} to {role}",  # so that a backup can be taken
        ):
            connection.execute(sql.SQL(statement).format(**names))
    tables = connection.execute("select relname from pg_class where relkind = 'r' and relnamespace = %s::regnamespace", (schema,))
    for (table,) in tables.fetchall():
        if rights := _ingest_rights(table, in_sales=schema == "sales"):
            connection.execute(sql.SQL("grant {} on {} to {}").format(sql.SQL(", ".join(rights)), sql.Identifier(schema, table), ingest))


def _ingest_rights(table: str, *, in_sales: bool) -> list[str]:
    """What the ingest may do to a table beyond reading it.

    >>> _ingest_rights("file", in_sales=False), _ingest_rights("detection", in_sales=False)
    (['insert', 'update'], ['insert'])
    >>> _ingest_rights("feed", in_sales=False), _ingest_rights("schema_migration", in_sales=False)
    (['update'], [])
    >>> _ingest_rights("unresolved", in_sales=True)
    ['insert', 'update', 'delete']
    """
    rights = []
    if table not in _THE_OWNERS:
        rights.append("insert")
    if table not in _WRITTEN_ONCE:
        rights.append("update")
    if table in (_REPLACED_IN_SALES if in_sales else _REPLACED):
        rights.append("delete")
    return rights
