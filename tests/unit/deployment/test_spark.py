"""What the Spark processes of a deployment are told, and where their secrets stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import UsageError
from include.settings import S3Settings
from sluice.deployment.spark import authenticated, cluster_secret, connect_settings, submit_connection
from spark_jobs.configuration import store_conf

SAID = {
    "SPARK_MASTER": "spark://spark-master:7077",
    "SPARK_DRIVER_HOST": "spark-connect",
    "SPARK_DRIVER_MEMORY": "1g",
    "SPARK_EXECUTOR_MEMORY": "2g",
    "SPARK_EXECUTOR_CORES": "3",
    "SLUICE_BUCKET": "lake",
}


def test_the_driver_is_on_the_cluster_with_the_sizes_of_the_settings(tmp_path: Path) -> None:
    for name in ("key", "secret"):
        (tmp_path / name).write_text(f"the-{name}")
    files = {"AWS_ACCESS_KEY_ID_FILE": str(tmp_path / "key"), "AWS_SECRET_ACCESS_KEY_FILE": str(tmp_path / "secret")}
    told = connect_settings(SAID | files | {"AWS_ENDPOINT_URL_S3": "http://s3:9000"})
    expected = {
        "spark.master": "spark://spark-master:7077",
        "spark.driver.host": "spark-connect",
        "spark.driver.memory": "1g",
        "spark.executor.memory": "2g",
        "spark.executor.cores": "3",
        "spark.hadoop.fs.s3a.endpoint": "http://s3:9000",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.access.key": "the-key",
        "spark.hadoop.fs.s3a.secret.key": "the-secret",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    }
    assert told.items() >= expected.items()


def test_on_aws_neither_endpoint_nor_keys_are_said_so_that_a_role_is_used() -> None:
    told = connect_settings({**SAID, "AWS_ENDPOINT_URL_S3": "", "AWS_DEFAULT_REGION": "eu-central-1"})
    assert told["spark.hadoop.fs.s3a.endpoint.region"] == "eu-central-1"
    assert not [
        name for name in told if name.endswith((".endpoint", "path.style.access", "access.key", "secret.key", "credentials.provider"))
    ]
    tls = store_conf(S3Settings("b", "https://store.example"))
    assert tls["spark.hadoop.fs.s3a.connection.ssl.enabled"] == "true"


def test_a_cluster_without_a_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for said in ({}, {"SPARK_CLUSTER_SECRET_FILE": str(tmp_path / "empty")}):
        with pytest.raises(UsageError, match="anyone who reaches the cluster"):
            cluster_secret(said)
    assert authenticated("abc")["spark.authenticate"] == "true"
    assert authenticated("abc")["spark.network.crypto.enabled"] == "true"


def test_spark_submit_goes_to_the_same_cluster_with_its_secret_and_the_sizes_of_the_settings() -> None:
    connection = submit_connection(SAID, "abc")
    assert (connection["conn_type"], connection["host"], connection["port"]) == ("spark", "spark://spark-master", 7077)
    conf = connection["extra"]["conf"]
    told = connect_settings(SAID)
    same = [name for name in told if name.startswith(("spark.executor", "spark.pyspark", "spark.driver.memory", "spark.local"))]
    assert len(same) == 9
    assert {name: conf[name] for name in same} == {name: told[name] for name in same}
    assert conf.items() >= authenticated("abc").items()
    assert [jar.removeprefix("local:") for jar in conf["spark.jars"].split(",")] == told["spark.jars"].split(",")
    assert not [name for name in conf if "s3a" in name or "connect" in name]
    assert "spark.driver.host" not in conf, "each container that runs tasks says its own"
