"""Spark sessions from settings: one shared Spark Connect session for every task, or a classic one in this process.

The shared Connect session is named by a hash of the code it carries and holds nothing: no temporary views, no settings, no
artifacts. So every task may join it, which spares the 1-4 s that the first Python query of a new session costs (measured 2026-11),
and nobody stops it.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, cast

import grpc
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException, PythonException

from include.ingestion.errors import EnvironmentFailure, SluiceError
from spark_jobs.code import code_digest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from include.stores.settings import S3Settings, SparkSettings

_NAMESPACE = uuid.UUID("5f0c7a0e-4f0b-5d53-9d5e-7b6a6f1c7d11")
_NEXT_STEP = "see `sluice status` and docs/runbooks/spark.md"
_PLAIN = "use_ssl=false"
_CLOSED = "SESSION_CLOSED"
_FORGOTTEN = ("SESSION_CHANGED", "SESSION_NOT_FOUND")
_LONGEST = 300
_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]+(?:\.[A-Z0-9_]+)*)\]")
_JAVA_ERROR = re.compile(r"\b(?:[a-z]\w*\.)+(?:\w+\$)*(\w*(?:Exception|Error|Failure)\w*)")
# These tell of places, connections and sessions. What Spark says of anything else may quote the cell that it failed on.
_TELLING_CONDITIONS = (
    "CONNECT",
    "FAILED_READ_FILE",
    "INVALID_HANDLE",
    "NO_ACTIVE_SESSION",
    "PATH_NOT_FOUND",
    "RETRIES_EXCEEDED",
    "SESSION",
)
_TELLING_ERRORS = ("java.io.", "java.lang.ClassNotFoundException", "java.net.", "org.apache.hadoop.", "software.amazon.")
_PYTHON_FRAME = re.compile(r'^\s*File "([^"]+)", line (\d+), in ', re.MULTILINE)
_PYTHON_ERROR = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)
LOG_CONF = Path(__file__).parent / "conf"
"""Where Spark finds what its Java side logs."""
# What a session needs, beside Delta's jars, to write the lake.
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",
}


class EvaluationFailed(SluiceError):
    """Our own code failed on a worker of Spark's."""


class SessionUnusable(Exception):
    """The shared session does not work any more: the server has closed it for good, or was restarted and forgot it."""

    def __init__(self, said: str, *, closed: bool) -> None:
        self.closed = closed
        super().__init__(said)


def is_connect(settings: SparkSettings) -> bool:
    return settings.url.startswith("sc://")


def is_local(settings: SparkSettings) -> bool:
    return settings.url.startswith("local")


def session_id(generation: int = 0) -> uuid.UUID:
    """The name of the shared session. A server never takes back a session that it closed; then all go on to the next generation."""
    return uuid.uuid5(_NAMESPACE, f"{code_digest()}/{generation}")


def connect(settings: SparkSettings, generation: int = 0) -> SparkSession:
    """Join the shared session of a Spark Connect server. Opens no connection yet; a dead server shows in the first query, after 3-6 s."""
    from pyspark.sql.connect.client.core import DefaultChannelBuilder
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    warnings.filterwarnings("ignore", r"\[RETRIES_EXCEEDED\]")  # comes from any thread of the client; the error says the same
    separator = ";" if ";" in settings.url else "/;"
    channel = DefaultChannelBuilder(f"{settings.url.rstrip('/;')}{separator}{_token(settings)}session_id={session_id(generation)}")
    session = ConnectSession(connection=channel)
    bounded = DefaultPolicy(max_retries=5, initial_backoff=100, backoff_multiplier=2, max_backoff=2000, jitter=50)
    session.client.set_retry_policies([bounded])
    # The session closes its channel when it is collected. At the interpreter's very end gRPC's threads are gone, and with a call still
    # under way that waits for ever (seen 2026-11-21); here they still run, and closing twice does nothing.
    atexit.register(session.client.close)
    return cast("SparkSession", session)


def _token(settings: SparkSettings) -> str:
    """The token as a part of the URL. pyspark's own way speaks TLS; a header of the same content is sent without it.

    >>> from include.stores.settings import SparkSettings
    >>> _token(SparkSettings("sc://here:1", "abc")), _token(SparkSettings("sc://here:1/;use_ssl=false", "abc"))
    ('token=abc;', 'authorization=Bearer%20abc;')
    """
    if not settings.token:
        return ""
    return f"authorization=Bearer%20{settings.token};" if _PLAIN in settings.url else f"token={settings.token};"


def classic(settings: SparkSettings, s3: S3Settings) -> SparkSession:
    """The classic session of this process, on its own cores."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_CONF_DIR", str(LOG_CONF))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else its workers are the first python3 on PATH
    os.environ.pop("SPARK_REMOTE", None)  # where it named this master, pyspark would take it for a Connect server and refuse both
    builder = SparkSession.builder.master(settings.url).appName("sluice")
    for name, value in cluster_conf(settings, s3).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def cluster_conf(settings: SparkSettings, s3: S3Settings) -> Mapping[str, str]:
    """What a session of our own needs to know; a Spark Connect server has the same from its own configuration."""
    conf = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "8",
        # exact objects are looked up one by one, 2 ms each; Spark would start a job for more than 32 of them (60: 125 ms against 330)
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        "spark.hadoop.fs.s3a.endpoint.region": s3.region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        # a store that is down is noticed in seconds; S3A's own settings go on for over 4 minutes
        "spark.hadoop.fs.s3a.attempts.maximum": "2",
        "spark.hadoop.fs.s3a.retry.limit": "2",
        "spark.hadoop.fs.s3a.retry.interval": "200ms",
        "spark.hadoop.fs.s3a.connection.establish.timeout": "5s",
    }
    if s3.endpoint is not None:
        conf["spark.hadoop.fs.s3a.endpoint"] = s3.endpoint
        conf["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(s3.endpoint.startswith("https")).lower()
    if s3.access_key is not None and s3.secret_key is not None:
        conf["spark.hadoop.fs.s3a.aws.credentials.provider"] = "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"
        conf["spark.hadoop.fs.s3a.access.key"] = s3.access_key
        conf["spark.hadoop.fs.s3a.secret.key"] = s3.secret_key
    given = dict(settings.conf)
    if any("delta-spark" in given.get(name, "") for name in ("spark.jars", "spark.jars.packages")):
        conf |= DELTA
    return {**conf, **given}


@contextmanager
def translated(settings: SparkSettings) -> Iterator[None]:
    """Turn what Spark says into one sentence without a value of a row.

    Raises:
        EvaluationFailed: our own evaluation did.
        SessionUnusable: join again, the next generation if the session was closed.
        EnvironmentFailure: Spark or the store behind it does not answer or refuses.
    """
    try:
        yield
    except PythonException as failed:
        raise EvaluationFailed(f"the evaluation failed in Spark: {evaluation_failed(str(failed))}") from None
    except (PySparkException, Py4JError, grpc.RpcError) as failed:
        said = _sentence(failed)
        closed = _CLOSED in str(failed)
        if closed or any(condition in str(failed) for condition in _FORGOTTEN):
            raise SessionUnusable(said, closed=closed) from failed
        raise EnvironmentFailure("Spark", f"{settings.url} does not do the job: {said}", _NEXT_STEP) from failed


def evaluation_failed(said: str) -> str:
    r"""The kind and the place of the last error in a worker's traceback.

    >>> evaluation_failed('Traceback (most recent call last):\n  File "/a/detect.py", line 7, in evaluate\n    x\nValueError: no C1\n')
    'ValueError at detect.py:7'
    >>> evaluation_failed("it says nothing")
    'an error without a traceback'
    """
    frames = list(_PYTHON_FRAME.finditer(said))
    if not frames:
        return "an error without a traceback"
    kind = _PYTHON_ERROR.search(said, frames[-1].end())
    return f"{kind[1] if kind else 'an error'} at {PurePath(frames[-1][1]).name}:{frames[-1][2]}"


def without_values(said: str) -> str:
    """What Spark says of where it failed and on what; of errors that may quote cells the kind alone.

    >>> without_values("(org.apache.spark.SparkNumberFormatException) [CAST_INVALID_INPUT] The value 'C1' of the type STRING")
    'SparkNumberFormatException [CAST_INVALID_INPUT]'
    >>> without_values("[PATH_NOT_FOUND] Path does not exist: s3a://bucket/x")
    '[PATH_NOT_FOUND] Path does not exist: s3a://bucket/x'
    >>> without_values("java.net.ConnectException: Connection refused")
    'java.net.ConnectException: Connection refused'
    """
    conditions = list(dict.fromkeys(_CONDITION.findall(said)))
    errors = list(_JAVA_ERROR.finditer(said))
    if all(one.startswith(_TELLING_CONDITIONS) for one in conditions) and all(one[0].startswith(_TELLING_ERRORS) for one in errors):
        return said
    return " ".join([*dict.fromkeys(one[1] for one in errors), *(f"[{one}]" for one in conditions)])


def _sentence(failed: Exception) -> str:
    """The first line that says something, cut to what fits a log line."""
    said = str(failed.java_exception) if isinstance(failed, Py4JJavaError) else str(failed)
    grpc_details = re.search(r'^\s*details = "(.+)"$', said, re.MULTILINE)
    lines = (line.strip() for line in (grpc_details[1] if grpc_details else said).splitlines())
    return without_values(next((line for line in lines if line), "no message"))[:_LONGEST]
