"""What the Airflow connections say, embedded or real."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from include.errors import UsageError
from include.settings import LedgerSettings, S3Settings, SparkSettings
from sluice.runtime import settings_from
from sluice.services.airflow import connections as airflow_connections
from sluice.services.environment import environment
from sluice.services.state import State

S3_EXTRA: dict[str, Any] = {"region_name": "eu-west-1", "service_config": {"s3": {"bucket_name": "lake"}}}


def connection(conn_type: str, extra: dict[str, Any] | None = None, **fields: Any) -> Any:
    from airflow.sdk import Connection

    return Connection(conn_id=f"sluice_{conn_type}", conn_type=conn_type, extra=json.dumps(extra or {}), **fields)


def test_real_aws_is_a_connection_without_endpoint_and_keys() -> None:
    from plugins.landing.connection import s3_settings

    assert s3_settings(connection("aws", extra=S3_EXTRA)) == S3Settings(bucket="lake", region="eu-west-1")


def test_an_s3_service_of_ones_own_is_a_connection_with_endpoint_and_keys() -> None:
    from plugins.landing.connection import s3_settings

    said = connection("aws", login="key", password="secret", extra={**S3_EXTRA, "endpoint_url": "http://localhost:9000"})
    assert s3_settings(said) == S3Settings("lake", "http://localhost:9000", "key", "secret", "eu-west-1")


def test_a_connection_without_a_bucket_says_what_to_add() -> None:
    from plugins.landing.connection import s3_settings

    with pytest.raises(UsageError, match=r"names no bucket: add .*service_config"):
        s3_settings(connection("aws", extra={"region_name": "eu-west-1"}))


def test_the_embedded_airflow_is_led_where_sluice_env_leads_a_client(tmp_path: Path) -> None:
    from airflow.sdk import Connection

    from dags.wiring.connections import ledger_settings, spark_settings
    from plugins.landing.connection import s3_settings

    state = State(tmp_path / "state")
    where = settings_from(environment(state))
    told = airflow_connections(state)
    s3, ledger, spark = (
        Connection.from_json(told[f"AIRFLOW_CONN_SLUICE_{name}"], conn_id=f"sluice_{name.lower()}") for name in ("S3", "LEDGER", "SPARK")
    )
    assert (s3_settings(s3), ledger_settings(ledger), spark_settings(spark)) == (where.s3, where.ledger, where.spark)


def test_the_ledger_is_a_postgres_connection() -> None:
    from dags.wiring.connections import ledger_settings

    said = connection("postgres", host="db", schema="ledger", login="me", password="secret")
    assert ledger_settings(said) == LedgerSettings("db", 5432, "ledger", "me", "secret")


def test_a_ledger_connection_without_a_database_is_refused() -> None:
    from dags.wiring.connections import ledger_settings

    with pytest.raises(UsageError, match="needs a host, a database"):
        ledger_settings(connection("postgres", host="db", login="me"))


@pytest.mark.parametrize(
    ("conn_type", "fields", "expected"),
    [
        ("spark_connect", {"host": "sc://localhost", "port": 15002, "password": "t"}, SparkSettings("sc://localhost:15002", "t")),
        ("spark_connect", {"host": "spark.internal", "port": 15002}, SparkSettings("sc://spark.internal:15002")),
        (
            "spark_connect",
            {"host": "spark", "port": 15002, "password": "t", "extra": {"use_ssl": False}},
            SparkSettings("sc://spark:15002/;use_ssl=false", "t"),
        ),
        ("spark", {"host": "spark://master", "port": 7077}, SparkSettings("spark://master:7077")),
        (
            "spark",
            {"host": "yarn", "extra": {"conf": {"spark.executor.cores": 2}}},
            SparkSettings("yarn", None, (("spark.executor.cores", "2"),)),
        ),
        ("spark", {"host": "local[2]"}, SparkSettings("local[2]")),
    ],
)
def test_spark_is_wherever_its_connection_says(conn_type: str, fields: dict[str, Any], expected: SparkSettings) -> None:
    from dags.wiring.connections import spark_settings

    assert spark_settings(connection(conn_type, **fields)) == expected


@pytest.mark.parametrize("keyfile", ['{"type": "service_account"}', {"type": "service_account"}])
def test_a_google_connection_gives_its_service_account(keyfile: object) -> None:
    from dags.wiring.sources import service_account

    assert service_account(connection("google_cloud_platform", extra={"keyfile_dict": keyfile})) == {"type": "service_account"}


@pytest.mark.parametrize("extra", [{}, {"keyfile_dict": "not json"}, {"keyfile_dict": "[]"}])
def test_a_google_connection_without_a_key_says_where_it_belongs(extra: dict[str, str]) -> None:
    from dags.wiring.sources import service_account

    with pytest.raises(UsageError, match="keyfile_dict"):
        service_account(connection("google_cloud_platform", extra=extra))


@pytest.mark.parametrize(
    ("conn_type", "extra", "expected"),
    [
        ("postgres", {}, "postgresql://me:p%40ss%2Fword@warehouse:5433/finance"),
        ("mysql", {}, "mysql://me:p%40ss%2Fword@warehouse:5433/finance"),
        ("generic", {"sqlalchemy_scheme": "mariadb"}, "mariadb://me:p%40ss%2Fword@warehouse:5433/finance"),
        ("postgres", {"sqlalchemy_query": {"sslmode": "require"}}, "postgresql://me:p%40ss%2Fword@warehouse:5433/finance?sslmode=require"),
    ],
)
def test_a_delivery_target_is_any_database_that_sqlalchemy_knows(conn_type: str, extra: dict[str, Any], expected: str) -> None:
    from dags.wiring.connections import target_url

    said = connection(conn_type, extra=extra, host="warehouse", port=5433, schema="finance", login="me", password="p@ss/word")
    assert target_url(said).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(("conn_type", "schema"), [("postgres", None), ("generic", "finance")])
def test_a_target_without_a_database_or_a_dialect_says_what_to_add(conn_type: str, schema: str | None) -> None:
    from dags.wiring.connections import target_url

    with pytest.raises(UsageError, match=r"sluice_.* needs a database \(schema\), and a type .*\{\"sqlalchemy_scheme\": \"mariadb\"\}"):
        target_url(connection(conn_type, host="warehouse", schema=schema))


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("", "there is no Airflow connection {}: add it under Admin → Connections; see docs/"),
        (
            "airflow.providers.hashicorp.secrets.vault.VaultBackend",
            "there is no Airflow connection {} (VaultBackend has none, does not answer or refuses Airflow): add it under Admin",
        ),
    ],
)
def test_a_connection_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, backend: str, said: str) -> None:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from dags.wiring import connections

    def lacks(name: str) -> None:
        raise AirflowNotFoundException(f"The conn_id `{name}` isn't defined")

    monkeypatch.setattr(BaseHook, "get_connection", lacks)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", backend)
    asked = {
        "elsewhere": lambda: connections.target("elsewhere"),
        "sluice_s3": connections.s3,
        "sluice_ledger": connections.ledger,
        "sluice_spark": connections.spark,
    }
    for name, ask in asked.items():
        with pytest.raises(UsageError, match=re.escape(said.format(name))):
            ask()


@pytest.mark.parametrize(
    ("conn_type", "extra"),
    [
        ("mysql", {"sqlalchemy_query": {"local_infile": "1"}}),  # a server of one's own may then ask for any file of the worker
        ("mysql", {"sqlalchemy_query": {"Read_Default_File": "/run/secrets/x"}}),
        ("postgres", {"sqlalchemy_query": {"sslmode": "require", "passfile": "/run/secrets/x"}}),
        ("sqlite", {}),
        ("generic", {"sqlalchemy_scheme": "sqlite+pysqlite"}),
    ],
)
def test_a_delivery_target_opens_no_file_of_the_worker(conn_type: str, extra: dict[str, Any]) -> None:
    from dags.wiring.connections import target_url

    with pytest.raises(UsageError, match="would read or write files of the worker"):
        target_url(connection(conn_type, extra=extra, host="warehouse", schema="finance", login="me", password="secret"))
