"""The Spark Connect server: one warm Spark for every task, reachable with a token."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from include.settings import S3Settings
from sluice.services import process
from sluice.services.addresses import S3_ACCESS_KEY, S3_SECRET_KEY, SPARK_TOKEN, s3_endpoint, spark_remote
from sluice.services.errors import SetupBroken, Unhealthy
from sluice.services.jars import spark_jars
from sluice.services.java import find_java
from sluice.services.process import Launch
from sluice.services.service import Service
from sluice.services.state import BUCKET, LOOPBACK, REGION
from spark_jobs.configuration import DELTA, EVERYWHERE, LOG_CONF, store_conf

WARM_UP = "spark-warm-up"
DRIVER_MEMORY = "1500m"
CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


class SparkConnect(Service):
    """Spark behind gRPC. Its first Python query and first Parquet write cost seconds, so they are done in the background at start."""

    name = "spark"
    port_name = "spark"
    helpers = (WARM_UP,)
    start_timeout = 180.0  # ten seconds on a quiet machine; a busy one is no failure

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
            "SPARK_CONF_DIR": str(LOG_CONF),
            "SLUICE_SPARK_LOG": "info",
            "SPARK_CONNECT_AUTHENTICATE_TOKEN": self.state.secret(SPARK_TOKEN),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "LANG": "C.UTF-8",
        }
        return Launch(command, environment, self.state.folder("spark", "work"), depends_on=[self._properties(), *log_settings()])

    def probe(self) -> None:
        """Run a job: a count over a range."""
        import grpc

        try:
            count_range(f"localhost:{self.state.port('spark')}", self.state.secret(SPARK_TOKEN))
        except grpc.RpcError as error:
            raise Unhealthy(str(error.details() if isinstance(error, grpc.Call) else error)) from error

    def provision(self) -> None:
        """Warm up in the background, once a server."""
        server = process.running(self.state, self.name)
        mark = self.state.folder("spark") / "warmed"
        server_pid = str(server.pid) if server else ""
        if mark.is_file() and mark.read_text() == server_pid:
            return
        mark.write_text(server_pid)
        process.stop(self.state, WARM_UP, self.polite, 0)
        command = [sys.executable, "-m", "sluice.services.warm_up"]
        environment = {"SPARK_REMOTE": spark_remote(self.state), "SLUICE_WARM_UP_FOLDER": str(self.state.folder("spark", "warm-up"))}
        process.start(self.state, WARM_UP, Launch(command, environment, self.state.project))

    @property
    def _properties_file(self) -> Path:
        return self.state.folder("spark") / "spark.properties"

    def _properties(self) -> str:
        store = S3Settings(BUCKET, s3_endpoint(self.state), self.state.secret(S3_ACCESS_KEY), self.state.secret(S3_SECRET_KEY), REGION)
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
            **server_conf(store),
            **settings_of_ones_own(),
        }
        return as_properties(settings)


def settings_of_ones_own() -> dict[str, str]:
    """What the properties file says that `SLUICE_SPARK_PROPERTIES` names: lines `name=value`, which win over ours.

    Raises:
        SetupBroken: there is no such file, or a line of it is no setting.
    """
    path = os.environ.get("SLUICE_SPARK_PROPERTIES")
    if not path:
        return {}
    try:
        lines = [line.strip() for line in Path(path).read_text().splitlines()]
    except OSError as failed:
        raise SetupBroken(f"SLUICE_SPARK_PROPERTIES names {path}, which cannot be read: {failed.strerror}") from failed
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    for name, equals, _ in pairs:
        if not equals or not name.startswith("spark."):
            raise SetupBroken(f"{path}: {name!r} is no setting such as spark.driver.memory=3g")
    return {name.strip(): value.strip() for name, _, value in pairs}


def server_conf(s3: S3Settings) -> dict[str, str]:
    """What a Connect server of Sluice's is told wherever it runs, with the jars of the set-up."""
    return {
        **EVERYWHERE,
        **DELTA,
        **store_conf(s3),
        "spark.jars": ",".join(str(path) for path in spark_jars()),
        "spark.sql.shuffle.partitions": "4",
        # A batch of sales compiles more than the 100 pieces that Spark keeps, so all anew each time (its tests: 203 s against 187,
        # 2026-11-22).
        "spark.sql.codegen.cache.maxEntries": "500",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
        # The shared session is nobody's to close; a new one pays seconds for its first Python query.
        "spark.connect.session.manager.defaultSessionTimeout": "30d",
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


def log_settings() -> list[str]:
    return [path.read_text() for path in sorted(LOG_CONF.iterdir())]


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
