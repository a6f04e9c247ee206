"""The embedded services are open to whoever has their secrets, as `sluice env` prints them, and to nobody else."""

from __future__ import annotations

import subprocess
import sys

import grpc
import psycopg
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from sluice.services import s3proxy
from sluice.services.doctor import listening_beyond_loopback
from sluice.services.spark import count_range
from sluice.services.state import BUCKET, State
from tests.integration.stack import ledger


@pytest.mark.parametrize("name", ["postgres", "s3", "spark"])
def test_nothing_listens_beyond_loopback(services: dict[str, str], state: State, name: str) -> None:
    assert services
    assert listening_beyond_loopback(state, name) == []


def test_what_env_prints_makes_clients_work_as_they_are(services: dict[str, str]) -> None:
    printed = subprocess.run(
        ["sh", "-c", 'eval "$("$0" -c "from sluice.cli.services import env; env()")" && exec "$0" -c "$1"', sys.executable, CLIENTS],
        capture_output=True,
        text=True,
        check=False,
    )

    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.split() == ["True", "('sluice',)", "1000"]


CLIENTS = """
import boto3, psycopg
from pyspark.sql import SparkSession
print(any(bucket["Name"] == "sluice" for bucket in boto3.client("s3").list_buckets()["Buckets"]))
with psycopg.connect() as connection: print(connection.execute("select current_user").fetchone())
print(SparkSession.builder.getOrCreate().range(1000).count())
"""


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "stranger"}, "InvalidAccessKeyId"),
        ({"config": Config(signature_version=UNSIGNED)}, "AccessDenied"),
    ],
    ids=["wrong secret", "unknown key", "no signature"],
)
def test_s3_refuses(services: dict[str, str], state: State, changed: dict[str, object], refusal: str) -> None:
    with pytest.raises(ClientError) as raised:
        s3proxy.client(state, **changed).list_objects_v2(Bucket=BUCKET)

    assert raised.value.response["Error"]["Code"] == refusal


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"password": ""}, {"user": "postgres"}, {"dbname": "airflow"}])
def test_postgresql_refuses(services: dict[str, str], changed: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError):
        ledger(services, **changed)


def test_postgresql_keeps_passwords_as_scram(services: dict[str, str], state: State) -> None:
    rules = (state.root / "postgres" / "pg_hba.conf").read_text().splitlines()

    assert {line.split()[-1] for line in rules if line.strip() and not line.startswith("#")} == {"scram-sha-256"}


@pytest.mark.parametrize("token", ["wrong", None])
def test_spark_connect_refuses(services: dict[str, str], state: State, token: str | None) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        count_range(f"localhost:{state.port('spark')}", token)

    assert isinstance(raised.value, grpc.Call)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
