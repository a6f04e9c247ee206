"""The Airflow connections, as settings. Where S3, the ledger, Spark and other databases are is said there and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from include import logs
from include.errors import UsageError
from include.settings import LedgerSettings, S3Settings, SparkSettings
from plugins.landing.connection import S3_CONNECTION, connection_named, s3_settings

if TYPE_CHECKING:
    import sqlalchemy
    from airflow.sdk import Connection

LEDGER_CONNECTION = "sluice_ledger"
SPARK_CONNECTION = "sluice_spark"
TARGET_CONNECTION = "sluice_finance_target"
SCHEME = "sqlalchemy_scheme"
_POSTGRES_PORT = 5432
_A_FILE = frozenset({"sqlite", "duckdb", "access", "shillelagh"})
# Options with which the server asks for any file of the worker, or the client reads one that is not a certificate.
_OF_FILES = frozenset(
    {
        *("local_infile", "allow_local_infile", "allow_local_infile_in_path", "read_default_file", "read_default_group", "option_files"),
        *("defaults_file", "passfile", "service", "servicefile", "odbc_connect", "driver", "plugin_dir"),
    }
)


def s3() -> S3Settings:
    return s3_settings(connection_named(S3_CONNECTION))


def ledger() -> LedgerSettings:
    return ledger_settings(connection_named(LEDGER_CONNECTION))


def spark() -> SparkSettings:
    return spark_settings(connection_named(SPARK_CONNECTION))


def target(name: str) -> sqlalchemy.URL:
    """The database behind a connection that a run names.

    Raises:
        UsageError: there is no such connection, or it names no database.
    """
    return target_url(connection_named(name, "docs/runbooks/finance.md"))


def target_url(connection: Connection) -> sqlalchemy.URL:
    """Read a connection to any database that SQLAlchemy knows: its type is the dialect, unless `sqlalchemy_scheme` in its extra names it.

    Raises:
        UsageError: it names no database.
    """
    import sqlalchemy

    extra = connection.extra_dejson
    scheme = extra.get(SCHEME) or {"postgres": "postgresql"}.get(connection.conn_type, connection.conn_type)
    if not connection.schema or scheme == "generic":
        raise UsageError(
            f"the Airflow connection {connection.conn_id} needs a database (schema), and a type that SQLAlchemy knows (postgres, mysql) or "
            f'in its extra what SQLAlchemy calls it, such as {{"{SCHEME}": "mariadb"}}'
        )
    options = extra.get("sqlalchemy_query", {})
    refuse_files(connection.conn_id, scheme, options)
    logs.hide(connection.password)
    return sqlalchemy.URL.create(
        scheme,
        connection.login,
        connection.password,
        connection.host,
        connection.port,
        connection.schema,
        options,
    )


def refuse_files(connection: str, scheme: str, options: Mapping[str, object]) -> None:
    """See that a connection, which people who do not own the worker may write, opens no file of the worker to the database or in its place.

    Raises:
        UsageError: it does.
    """
    named = sorted(_OF_FILES & {option.lower() for option in options})
    if scheme.partition("+")[0] in _A_FILE or named:
        what = ", ".join(named) if named else scheme
        raise UsageError(f"the Airflow connection {connection} would read or write files of the worker ({what}); a target is a server")


def ledger_settings(connection: Connection) -> LedgerSettings:
    """Read a connection of type `postgres`.

    Raises:
        UsageError: it names no host, database or user.
    """
    if not (connection.host and connection.schema and connection.login):
        raise UsageError(f"the Airflow connection {connection.conn_id} needs a host, a database (schema) and a login")
    logs.hide(connection.password)
    return LedgerSettings(
        host=connection.host,
        port=connection.port or _POSTGRES_PORT,
        database=connection.schema,
        user=connection.login,
        password=connection.password or "",
    )


def spark_settings(connection: Connection) -> SparkSettings:
    """Read a connection of type `spark_connect` (host, port, token; `use_ssl` in its extra) or `spark` (a master; `conf` in its extra).

    Raises:
        UsageError: it names no host.
    """
    host = connection.host
    if not host:
        raise UsageError(f"the Airflow connection {connection.conn_id} names no host: a Spark Connect server, a master, or local[N]")
    if connection.conn_type == "spark_connect" and "://" not in host:
        host = f"sc://{host}"
    logs.hide(connection.password)
    url = f"{host}:{connection.port}" if connection.port else host
    if connection.conn_type == "spark_connect" and connection.extra_dejson.get("use_ssl") is False:
        url += "/;use_ssl=false"
    conf = connection.extra_dejson.get("conf", {})
    return SparkSettings(url, connection.password or None, tuple(sorted((str(name), str(value)) for name, value in conf.items())))
