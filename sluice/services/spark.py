"""The Spark Connect server: one warm Spark for every task, reachable with a token."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from include.stores.settings import S3Settings
from sluice.services import process
from sluice.services.errors import Unhealthy
from sluice.services.jars import spark_jars
from sluice.services.java import find_java
from sluice.services.process import Launch
from sluice.services.s3proxy import ACCESS_KEY, SECRET_KEY, endpoint
from sluice.services.service import Service
from sluice.services.state import BUCKET, LOOPBACK, REGION, State

TOKEN = "spark_token"  # noqa: S105 - the name of a secret
WARM_UP = "spark-warm-up"
DRIVER_MEMORY = "1500m"
CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"

# What a Connect server of Sluice's is told wherever it runs.
SERVER = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "4",
    # A batch of sales compiles more than the 100 pieces that Spark keeps, so all anew each time (its tests: 203 s against 187, 2026-11-22).
    "spark.sql.codegen.cache.maxEntries": "500",
    # Exact objects are looked up one by one; for more than 32 Spark would start a job (60: 0.33 s against 0.13, 2026-11-21).
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    # The shared session is nobody's to close; a new one pays seconds for its first Python query.
    "spark.connect.session.manager.defaultSessionTimeout": "30d",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",
}


def remote(state: State) -> str:
    """The URL for clients. It must say `localhost`: with an address pyspark speaks TLS."""
    return f"sc://localhost:{state.port('spark')}/;token={state.secret(TOKEN)}"


class SparkConnect(Service):
    """Spark behind gRPC. Its first Python query and first Parquet write cost seconds, so they are done in the background at start."""

    name = "spark"
    port_name = "spark"
    helpers = (WARM_UP,)
    start_patience = 180.0  # ten seconds on a quiet machine; a busy one is no failure

    def prepare(self) -> None:
        for leftover in ("local", "tmp"):
            shutil.rmtree(self.state.root / "spark" / leftover, ignore_errors=True)
        self.state.write_private(self._properties_file, self._properties())

    def launch(self) -> Launch:
        java = find_java(self.state)
        command = [
            str(spark_home() / "bin" / "spark-submit"),
            "--master",
            f"local[{os.cpu_count() or 2}]",
            "--properties-file",
            str(self._properties_file),
            "--class",
            CONNECT_SERVER,
            "--name",
            "sluice",
            "spark-internal",
        ]
        environment = {
            "JAVA_HOME": str(java.home),
            "SPARK_HOME": str(spark_home()),
            "SPARK_LOCAL_IP": LOOPBACK,
            "SPARK_LOCAL_HOSTNAME": "localhost",
            "SPARK_CONF_DIR": str(log_conf()),
            "SLUICE_SPARK_LOG": "info",
            "SPARK_CONNECT_AUTHENTICATE_TOKEN": self.state.secret(TOKEN),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "LANG": "C.UTF-8",
        }
        return Launch(command, environment, self.state.folder("spark", "work"), depends_on=[self._properties(), *log_settings()])

    def probe(self) -> None:
        """Run a job: a count over a range."""
        import grpc

        try:
            count_range(f"localhost:{self.state.port('spark')}", self.state.secret(TOKEN))
        except grpc.RpcError as error:
            raise Unhealthy(str(error.details() if isinstance(error, grpc.Call) else error)) from error

    def settle(self) -> None:
        """Warm up in the background, once a server."""
        server = process.running(self.state, self.name)
        mark = self.state.folder("spark") / "warmed"
        told = str(server.pid) if server else ""
        if mark.is_file() and mark.read_text() == told:
            return
        mark.write_text(told)
        process.stop(self.state, WARM_UP, self.polite, 0)
        command = [sys.executable, "-m", "sluice.services.warm_up"]
        environment = {"SPARK_REMOTE": remote(self.state), "SLUICE_WARM_UP_FOLDER": str(self.state.folder("spark", "warm-up"))}
        process.start(self.state, WARM_UP, Launch(command, environment, self.state.project))

    @property
    def _properties_file(self) -> Path:
        return self.state.folder("spark") / "spark.properties"

    def _properties(self) -> str:
        store = S3Settings(BUCKET, endpoint(self.state), self.state.secret(ACCESS_KEY), self.state.secret(SECRET_KEY), REGION)
        settings = {
            "spark.connect.grpc.binding.address": LOOPBACK,
            "spark.connect.grpc.binding.port": str(self.state.port("spark")),
            "spark.driver.bindAddress": LOOPBACK,
            "spark.driver.host": "localhost",
            "spark.driver.memory": DRIVER_MEMORY,
            # Connect keeps a folder of its own in Java's temporary one, which belongs to whoever on this machine was first.
            "spark.driver.extraJavaOptions": f'"-Djava.io.tmpdir={self.state.folder("spark", "tmp")}"',
            "spark.ui.enabled": "false",
            "spark.local.dir": str(self.state.folder("spark", "local")),
            "spark.sql.warehouse.dir": str(self.state.folder("spark", "warehouse")),
            **SERVER,
            **jars_and_store(store),
        }
        return as_properties(settings)


def jars_and_store(s3: S3Settings) -> dict[str, str]:
    """The jars of the set-up, and where S3 is; without keys the SDK's own chain finds them (a role, a profile)."""
    store = {
        "endpoint.region": s3.region,
        # A dead store is noticed in seconds, not in minutes (277 s with Hadoop's own retries, 2026-11-21).
        "attempts.maximum": "2",
        "retry.limit": "2",
        "retry.interval": "200ms",
        "connection.establish.timeout": "5s",
    }
    if s3.endpoint:
        plain = not s3.endpoint.startswith("https")
        store |= {"endpoint": s3.endpoint, "path.style.access": "true", "connection.ssl.enabled": str(not plain).lower()}
    if s3.access_key is not None and s3.secret_key is not None:
        store |= {
            "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            "access.key": s3.access_key,
            "secret.key": s3.secret_key,
        }
    return {
        "spark.jars": ",".join(str(path) for path in spark_jars()),
        **{f"spark.hadoop.fs.s3a.{name}": value for name, value in store.items()},
    }


def as_properties(settings: Mapping[str, str]) -> str:
    r"""A properties file of Spark's.

    >>> as_properties({"spark.ui.enabled": "false"})
    'spark.ui.enabled=false\n'
    """
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def spark_home() -> Path:
    """The Spark inside the installed pyspark package, found without importing it."""
    package = find_spec("pyspark")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent


def log_conf() -> Path:
    """The folder with what Spark's Java side logs, found without importing Spark."""
    package = find_spec("spark_jobs")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "conf"


def log_settings() -> list[str]:
    return [path.read_text() for path in sorted(log_conf().iterdir())]


def count_range(address: str, token: str | None, seconds: float = 30.0) -> int:
    """Run `count(range(1000))` on a Connect server over bare gRPC: a real job without pyspark's second and a half of imports.

    Returns:
        How many answers the server streamed.

    Raises:
        grpc.RpcError: The server is not there, or refuses the token.
    """
    import uuid

    import grpc
    from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc  # noqa: TID251 - the protocol alone

    request = base_pb2.ExecutePlanRequest(session_id=str(uuid.uuid4()), operation_id=str(uuid.uuid4()))
    request.user_context.user_id = "sluice-health"
    request.plan.root.sql.query = "select count(*) from range(1000)"
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        stub = base_pb2_grpc.SparkConnectServiceStub(channel)
        answers = sum(1 for _ in stub.ExecutePlan(request, timeout=seconds, metadata=metadata))
        release = base_pb2.ReleaseSessionRequest(session_id=request.session_id, user_context=request.user_context)
        stub.ReleaseSession(release, timeout=seconds, metadata=metadata)
    return answers
