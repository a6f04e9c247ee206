"""The three Airflow connections, as settings. Where S3, the ledger and Spark are is said there and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from include.ingestion.errors import UsageError
from include.stores.settings import LedgerSettings, S3Settings, SparkSettings
from plugins.landing.connection import S3_CONNECTION, s3_settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

LEDGER_CONNECTION = "sluice_ledger"
SPARK_CONNECTION = "sluice_spark"
_POSTGRES_PORT = 5432


def s3() -> S3Settings:
    return s3_settings(BaseHook.get_connection(S3_CONNECTION))


def ledger() -> LedgerSettings:
    return ledger_settings(BaseHook.get_connection(LEDGER_CONNECTION))


def spark() -> SparkSettings:
    return spark_settings(BaseHook.get_connection(SPARK_CONNECTION))


def ledger_settings(connection: Connection) -> LedgerSettings:
    """Read a connection of type `postgres`.

    Raises:
        UsageError: it names no host, database or user.
    """
    if not (connection.host and connection.schema and connection.login):
        raise UsageError(f"the Airflow connection {connection.conn_id} needs a host, a database (schema) and a login")
    return LedgerSettings(
        host=connection.host,
        port=connection.port or _POSTGRES_PORT,
        database=connection.schema,
        user=connection.login,
        password=connection.password or "",
    )


def spark_settings(connection: Connection) -> SparkSettings:
    """Read a connection of type `spark_connect` (host, port, token) or `spark` (a master, `local[2]` too; `conf` in its extra).

    Raises:
        UsageError: it names no host.
    """
    host = connection.host
    if not host:
        raise UsageError(f"the Airflow connection {connection.conn_id} names no host: a Spark Connect server, a master, or local[N]")
    if connection.conn_type == "spark_connect" and "://" not in host:
        host = f"sc://{host}"
    url = f"{host}:{connection.port}" if connection.port else host
    conf = connection.extra_dejson.get("conf", {})
    return SparkSettings(url, connection.password or None, tuple(sorted((str(name), str(value)) for name, value in conf.items())))
