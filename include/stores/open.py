"""Clients from settings: the one place that opens a connection to S3 or PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import psycopg
from botocore.config import Config

from include.ingestion.errors import EnvironmentFailure

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from include.stores.settings import LedgerSettings, S3Settings

# Checksums only where the API demands them: S3-compatible stores answer the newer trailers with errors.
_S3 = Config(
    signature_version="s3v4",
    # Also over TLS: of an upload that breaks off, versitygw 1.8 keeps what had come as the whole object if its body is not signed.
    s3={"addressing_style": "path", "payload_signing_enabled": True},
    connect_timeout=3,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    max_pool_connections=16,
)


def s3_client(settings: S3Settings) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region,
        config=_S3,
    )


def ledger_connection(settings: LedgerSettings) -> psycopg.Connection:
    """A connection to the ledger, in autocommit: every transaction is opened by name.

    Raises:
        EnvironmentFailure: PostgreSQL does not answer or refuses the login.
    """
    try:
        return psycopg.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.database,
            user=settings.user,
            password=settings.password,
            connect_timeout=5,
            autocommit=True,
            application_name="sluice",
            keepalives_idle=10,
            tcp_user_timeout=30_000,
        )
    except psycopg.OperationalError as failed:
        what = str(failed).strip().splitlines()[-1]
        raise EnvironmentFailure("PostgreSQL", f"no connection to {settings.host}:{settings.port}/{settings.database}: {what}") from failed
