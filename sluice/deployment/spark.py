"""A Spark standalone cluster and a Connect server on it: `python -m sluice.deployment.spark master | worker | connect`.

`submit` prints the Airflow connection with which spark-submit goes to the same cluster instead.

The processes of the cluster know each other by a shared secret. It and the keys to S3 lie in a properties file in memory, never in an
argument, nor in a variable that `docker inspect` shows.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from include.errors import UsageError
from include.settings import S3Settings
from sluice.environments import with_secret_files
from sluice.services.jars import spark_jars
from sluice.services.spark import CONNECT_SERVER, as_properties, server_conf, spark_home
from spark_jobs.configuration import LOG_CONF

MASTER_PORT, MASTER_WEB_PORT, WORKER_WEB_PORT, CONNECT_PORT, DRIVER_PORT, BLOCK_PORT = 7077, 8080, 8081, 15002, 7078, 7079
_PROPERTIES = Path("/tmp/spark.properties")  # noqa: S108 - a container's own, in memory
_SCRATCH = "/var/lib/spark"


def cluster_secret(variables: Mapping[str, str]) -> str:
    """The secret that master, workers and driver share, from the file that SPARK_CLUSTER_SECRET_FILE names.

    Raises:
        UsageError: it is not said, or empty.
    """
    path = variables.get("SPARK_CLUSTER_SECRET_FILE")
    secret = Path(path).read_text().strip() if path else ""
    if not secret:
        raise UsageError("SPARK_CLUSTER_SECRET_FILE names no file with a secret: anyone who reaches the cluster could run code on it")
    return secret


def authenticated(secret: str) -> dict[str, str]:
    """Only those who know the secret are listened to, and what they say to each other is encrypted."""
    return {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret,
        "spark.network.crypto.enabled": "true",
        "spark.network.crypto.cipher": "AES/GCM/NoPadding",
    }


def connect_settings(variables: Mapping[str, str]) -> dict[str, str]:
    """The Connect server as the driver of all jobs, on the cluster that SPARK_MASTER names."""
    values = with_secret_files(variables)
    return {
        "spark.master": values["SPARK_MASTER"],
        "spark.app.name": "sluice",
        "spark.connect.grpc.binding.address": "0.0.0.0",  # noqa: S104 - of the container; the networks say who reaches it
        "spark.connect.grpc.binding.port": str(CONNECT_PORT),
        "spark.driver.host": values["SPARK_DRIVER_HOST"],
        "spark.driver.port": str(DRIVER_PORT),
        "spark.driver.blockManager.port": str(BLOCK_PORT),
        **_driver(values),
        **server_conf(S3Settings.from_variables(values["SLUICE_BUCKET"], values)),
    }


def _driver(values: Mapping[str, str]) -> dict[str, str]:
    """What every driver on the cluster is told: sizes, Python, and folders that it may write to."""
    return {
        "spark.driver.bindAddress": "0.0.0.0",  # noqa: S104
        "spark.driver.memory": values["SPARK_DRIVER_MEMORY"],
        "spark.executor.memory": values["SPARK_EXECUTOR_MEMORY"],
        "spark.executor.cores": values["SPARK_EXECUTOR_CORES"],
        "spark.pyspark.python": sys.executable,
        "spark.pyspark.driver.python": sys.executable,
        "spark.executorEnv.LANG": "C.UTF-8",
        "spark.executorEnv.JAVA_HOME": values.get("JAVA_HOME", ""),
        "spark.ui.enabled": "false",
        "spark.local.dir": _SCRATCH,
        "spark.sql.warehouse.dir": f"{_SCRATCH}/warehouse",
        # Libraries that Java unpacks are run from there; /tmp of a container runs nothing.
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={_SCRATCH}",
        "spark.executor.extraJavaOptions": f"-Djava.io.tmpdir={_SCRATCH}",
        "spark.deploy.maxExecutorRetries": "-1",  # a worker that comes and goes is no reason to give the driver up
        "spark.excludeOnFailure.enabled": "false",
    }


def submit_connection(variables: Mapping[str, str], secret: str) -> dict[str, object]:
    """The connection `sluice_spark` for spark-submit to the cluster: the task is the driver. Where S3 is, it knows from `sluice_s3`."""
    host, _, port = variables["SPARK_MASTER"].rpartition(":")
    jars = ",".join(f"local:{path}" for path in spark_jars())
    conf = authenticated(secret) | _driver(variables) | {"spark.jars": jars}
    return {"conn_type": "spark", "host": host, "port": int(port), "extra": {"conf": conf}}


def _master(secret: str) -> list[str]:
    _write(authenticated(secret))
    where = ["--host", os.environ["SPARK_LOCAL_HOSTNAME"], "--port", str(MASTER_PORT), "--webui-port", str(MASTER_WEB_PORT)]
    return [_spark("spark-class"), "org.apache.spark.deploy.master.Master", *where, "--properties-file", str(_PROPERTIES)]


def _worker(secret: str) -> list[str]:
    _write(authenticated(secret) | {"spark.worker.cleanup.enabled": "true"})
    values = os.environ
    size = ["--cores", values["SPARK_WORKER_CORES"], "--memory", values["SPARK_WORKER_MEMORY"], "--work-dir", _SCRATCH]
    where = ["--host", values["SPARK_LOCAL_HOSTNAME"], "--webui-port", str(WORKER_WEB_PORT), "--properties-file", str(_PROPERTIES)]
    return [_spark("spark-class"), "org.apache.spark.deploy.worker.Worker", *size, *where, values["SPARK_MASTER"]]


def _connect(secret: str) -> list[str]:
    _write(authenticated(secret) | connect_settings(os.environ))
    os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = with_secret_files(os.environ)["SPARK_CONNECT_AUTHENTICATE_TOKEN"]
    return [_spark("spark-submit"), "--properties-file", str(_PROPERTIES), "--class", CONNECT_SERVER, "spark-internal"]


_KINDS: dict[str, Callable[[str], list[str]]] = {"master": _master, "worker": _worker, "connect": _connect}


def main(arguments: Sequence[str]) -> None:
    """Become the process that is asked for, or print the connection."""
    if len(arguments) != 1 or arguments[0] not in (*_KINDS, "submit"):
        raise UsageError(f"which of {', '.join(_KINDS)}, submit?")
    secret = cluster_secret(os.environ)
    if arguments[0] == "submit":
        print(json.dumps(submit_connection(os.environ, secret), indent=2))
        return
    command = _KINDS[arguments[0]](secret)
    os.environ |= {
        "SPARK_HOME": str(spark_home()),
        "SPARK_CONF_DIR": str(LOG_CONF),
        "SLUICE_SPARK_LOG": "info",
        "SPARK_LOCAL_DIRS": _SCRATCH,
        "PYSPARK_PYTHON": sys.executable,
    }
    os.execv(command[0], command)  # noqa: S606 - our own command


def _spark(program: str) -> str:
    return str(spark_home() / "bin" / program)


def _write(settings: Mapping[str, str]) -> None:
    with os.fdopen(os.open(_PROPERTIES, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(as_properties(settings))


if __name__ == "__main__":
    main(sys.argv[1:])
