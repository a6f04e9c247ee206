"""Clients from settings: the one place that opens a connection to S3 or PostgreSQL, with the library of the one that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg
    from mypy_boto3_s3.client import S3Client

    from include.settings import LedgerSettings, S3Settings


def s3_client(settings: S3Settings) -> S3Client:
    import boto3
    from botocore.config import Config

    # Checksums only where the API demands them: S3-compatible stores answer the newer trailers with errors.
    config = Config(
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
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region,
        config=config,
    )


def ledger_connection(settings: LedgerSettings) -> psycopg.Connection:
    """A connection to the ledger, in autocommit: every transaction is opened by name.

    Raises:
        EnvironmentFailure: PostgreSQL does not answer or refuses the login.
    """
    import psycopg

    from include.ledger.sqlstate import connection_refused

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
        raise connection_refused(f"{settings.host}:{settings.port}/{settings.database}", what) from failed
