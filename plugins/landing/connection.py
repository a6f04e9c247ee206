"""How an Airflow connection is had, and what `sluice_s3` says, as settings: the trigger and the tasks read it in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException

from include import logs
from include.errors import UsageError
from include.settings import S3Settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

S3_CONNECTION = "sluice_s3"


def connection_named(name: str, see: str = "docs/deploy.md") -> Connection:
    """The connection of that name, from wherever Airflow has it.

    Args:
        see: The page that says what it holds.

    Raises:
        UsageError: there is none. Airflow says so too when its secrets backend is sealed, out of reach or refuses it.
    """
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        backend = conf.get("secrets", "backend", fallback="").rpartition(".")[2]
        lacking = f" ({backend} has none, does not answer or refuses Airflow)" if backend else ""
        raise UsageError(f"there is no Airflow connection {name}{lacking}: add it under Admin → Connections; see {see}") from None


def s3_settings(connection: Connection) -> S3Settings:
    """Read a connection of type `aws`: keys, region, endpoint, and the bucket from `service_config.s3.bucket_name`.

    Raises:
        UsageError: it names no bucket.
    """
    extra = connection.extra_dejson
    service = extra.get("service_config", {}).get("s3", {})
    bucket = service.get("bucket_name")
    if not bucket:
        wanted = '{"service_config": {"s3": {"bucket_name": "..."}}}'
        raise UsageError(f"the Airflow connection {connection.conn_id} names no bucket: add {wanted} to its extra")
    logs.hide(connection.login, connection.password)
    return S3Settings(
        bucket=bucket,
        endpoint=service.get("endpoint_url") or extra.get("endpoint_url"),
        access_key=connection.login,
        secret_key=connection.password,
        region=extra.get("region_name") or S3Settings.region,
    )
