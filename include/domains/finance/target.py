"""Results written to a database of any kind that SQLAlchemy knows, each batch exactly once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from include import logs
from include.errors import EnvironmentFailure, UsageError
from include.ledger.sqlstate import without_values
from include.ledger.tables import in_pages

_MANY = 500  # values a statement
_INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class TargetChange:
    """What has to happen to a table of the target so that it is as of a batch.

    Attributes:
        groups: the values of the grouping column whose rows change; None = all of them.
        rows: the rows of these groups as of the batch.
    """

    groups: Sequence[int] | None
    rows: Rows


class Target:
    """A database that people named by an SQLAlchemy URL, such as `mysql+pymysql://user:password@host/database`.

    Each table is changed in one transaction with its row in `sluice_delivery(target, table, batch)`, so that a repeat changes nothing.

    Args:
        name: whose deliveries these are: several may share a database.
        tables: schemas by table name.
        grouped_by: a whole-number column of all tables; rows change group by group.
    """

    def __init__(self, url: str | sa.URL, name: str, tables: Mapping[str, pa.Schema], grouped_by: str) -> None:
        self._name = name
        self._grouped_by = grouped_by
        try:
            self._engine = sa.create_engine(_with_driver(url))
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as wrong:
            raise UsageError(f"the target is no SQLAlchemy URL that can be opened here ({type(wrong).__name__}: {wrong})") from wrong
        logs.hide(self._engine.url.password)
        metadata = sa.MetaData()
        engine: dict[str, Any] = {
            "mysql_engine": "InnoDB",
            "mysql_charset": "utf8mb4",
            "mariadb_engine": "InnoDB",
            "mariadb_charset": "utf8mb4",
        }
        self._metadata = metadata
        self._deliveries = sa.Table(
            "sluice_delivery",
            metadata,
            sa.Column("target", sa.String(100), primary_key=True),
            sa.Column("table", sa.String(100), primary_key=True),
            sa.Column("batch", sa.BigInteger, nullable=False),
            **engine,
        )
        self._tables = {
            table: sa.Table(
                table, metadata, *(sa.Column(one.name, _type(one.type), index=one.name == grouped_by) for one in schema), **engine
            )
            for table, schema in tables.items()
        }

    def __str__(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)

    def prepare(self) -> None:
        """Create what is missing: the tables, and a row for each delivery that runs can wait for each other at."""
        with self._map_errors():
            self._metadata.create_all(self._engine)
            for table in self._tables:
                try:
                    with self._engine.begin() as connection:
                        connection.execute(self._deliveries.insert().values(target=self._name, table=table, batch=0))
                except sa.exc.IntegrityError:
                    continue  # it is there

    def bring_to(self, table: str, batch: int, change_since: Callable[[int], TargetChange]) -> int | None:
        """Make a table as of a batch; how many rows were written. None where it is as of this batch or a later one already.

        Args:
            change_since: what has to happen to a table that is as of the batch given to it; 0 = there is nothing yet.

        Raises:
            EnvironmentFailure: the target does not answer or refuses; it is as it was.
        """
        of_this = (self._deliveries.c.target == self._name) & (self._deliveries.c.table == table)
        with self._map_errors(), self._engine.begin() as connection:
            at = connection.execute(sa.select(self._deliveries.c.batch).where(of_this).with_for_update()).scalar_one()
            if at >= batch:
                return None
            written = self._apply(connection, self._tables[table], change_since(at))
            connection.execute(self._deliveries.update().where(of_this).values(batch=batch))
        return written

    def close(self) -> None:
        self._engine.dispose()

    def _apply(self, connection: sa.Connection, table: sa.Table, change: TargetChange) -> int:
        if change.groups is None:
            connection.execute(table.delete())
        else:
            for some in in_pages(change.groups, _MANY):
                connection.execute(table.delete().where(table.c[self._grouped_by].in_(some)))
        written = 0
        for page in in_pages(change.rows, _MANY):
            connection.execute(table.insert(), [self._row_for(row, table) for row in page])
            written += len(page)
        return written

    def _row_for(self, row: Mapping[str, Any], table: sa.Table) -> dict[str, Any]:
        """A row as the target takes it: where it keeps no zones, instants are in UTC."""
        values = {column.name: row[column.name] for column in table.columns}
        if self._engine.dialect.name == "postgresql":
            return values
        instants = {name: value for name, value in values.items() if isinstance(value, dt.datetime)}
        return values | {name: value.astimezone(dt.UTC).replace(tzinfo=None) for name, value in instants.items()}

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as failed:
            raise EnvironmentFailure("the delivery target", f"{self}: {_sentence(failed)}", "docs/runbooks/finance.md") from None


def _sentence(failed: sa.exc.DBAPIError) -> str:
    """What the driver says of a connection that fails; of a statement that fails, which it may quote with its values, the kind and code."""
    if isinstance(failed, sa.exc.OperationalError | sa.exc.InterfaceError):
        return " ".join(without_values(str(failed.orig)).split())
    first = failed.orig.args[0] if failed.orig is not None and failed.orig.args else None
    code = getattr(failed.orig, "sqlstate", None) or (first if isinstance(first, int) else None)
    return type(failed.orig).__name__ + (f" {code}" if code else "")


def with_password(url: str, password: str) -> sa.URL:
    """The URL with a password that was typed in elsewhere.

    Raises:
        UsageError: it is no URL.
    """
    try:
        return sa.make_url(url).set(password=password)
    except sa.exc.ArgumentError as wrong:
        raise UsageError(f"the target is no SQLAlchemy URL ({wrong})") from wrong


def _with_driver(url: str | sa.URL) -> sa.URL:
    """The URL with the driver that is installed, where it names none.

    >>> str(_with_driver("mariadb://h/d")), str(_with_driver("postgresql://h/d"))
    ('mariadb+pymysql://h/d', 'postgresql+psycopg://h/d')
    """
    made = sa.make_url(url)
    driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}.get(made.drivername)
    return made.set(drivername=driver) if driver else made


def _type(kind: pa.DataType) -> Any:
    if pa.types.is_decimal(kind):
        return sa.Numeric(kind.precision, kind.scale)
    if pa.types.is_timestamp(kind):
        return _INSTANT
    return {pa.int64(): sa.BigInteger(), pa.string(): _TEXT, pa.date32(): sa.Date()}[kind]
