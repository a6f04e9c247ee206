"""Where S3, the ledger and Spark are, as values. They come in through the front door: Airflow connections or the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class S3Settings:
    """An S3 service. `endpoint` None means AWS itself; keys None mean the client's default chain (role, profile)."""

    bucket: str
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"

    @classmethod
    def from_variables(cls, bucket: str, variables: Mapping[str, str]) -> S3Settings:
        """A bucket in the service that AWS's own variables name."""
        return cls(
            bucket=bucket,
            endpoint=variables.get("AWS_ENDPOINT_URL_S3"),
            access_key=variables.get("AWS_ACCESS_KEY_ID"),
            secret_key=variables.get("AWS_SECRET_ACCESS_KEY"),
            region=variables.get("AWS_DEFAULT_REGION", cls.region),
        )


@dataclass(frozen=True)
class LedgerSettings:
    """A PostgreSQL database."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class SparkSettings:
    """Where Spark jobs run. `url`: `sc://host:port` (Spark Connect), `local[N]`, or a master for spark-submit (`spark://`, `yarn`, `k8s://`).

    A client with a token speaks TLS to any other host than `localhost`; `sc://host:port/;use_ssl=false` is a private network without it.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    conf: tuple[tuple[str, str], ...] = ()
