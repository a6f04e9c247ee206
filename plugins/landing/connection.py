"""What the Airflow connection `sluice_s3` says, as settings: the trigger and the tasks read it in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.ingestion import logs
from include.ingestion.errors import UsageError
from include.stores.settings import S3Settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

S3_CONNECTION = "sluice_s3"


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
