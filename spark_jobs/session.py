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
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

import grpc
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException, PythonException

from include.errors import DeploymentFault, EnvironmentFailure, JobFailed, SluiceError
from spark_jobs.code import code_digest
from spark_jobs.configuration import DELTA, EVERYWHERE, LOG_CONF, store_conf

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.core import SparkConnectClient

    from include.settings import S3Settings, SparkSettings

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
_MODULE = re.compile(r"^\W*(?:ModuleNotFoundError|ImportError): (?:No module named |cannot import name .* from )'?([\w.]+)", re.MULTILINE)
_SHORT_ON_A_WORKER = re.compile(r"^OSError: \[Errno (?:12|23|24|28)\]", re.MULTILINE)
_QUOTED = re.compile(r"'[^'\n]*'")  # a cell, where a condition names one
_GRANT = "give Spark's own keys to the store what deploy/iam/spark.json says (docs/runbooks/spark.md)"
_JARS = "give the server Sluice's jars (jars.lock, docs/runbooks/spark.md)"
# What is missing where Spark works, whatever the batch.
_LACKING = (
    (re.compile(r"ClassNotFoundException|NoClassDefFoundError|NoSuchMethodError|No FileSystem for scheme"), "a class is missing", _JARS),
    (re.compile(r"PYTHON_VERSION_MISMATCH"), "the workers have another Python", "give both the same (spark.pyspark.python)"),
    (re.compile(r"Cannot run program \"[^\"]*python"), "the workers have no Python", "set spark.pyspark.python (docs/runbooks/spark.md)"),
    (
        re.compile(r"InvalidAccessKeyId|SignatureDoesNotMatch|NoAuthWithAWSException|Status Code: 401"),
        "the store knows no such key",
        _GRANT,
    ),
    (re.compile(r"AccessDenied|Status Code: 403"), "the store refuses Spark", _GRANT),
    (re.compile(r"NoSuchBucket|Bucket .* does not exist"), "the bucket is missing", "`sluice bucket` makes it"),
    (
        re.compile(r"StatusCode\.(?:UNAUTHENTICATED|PERMISSION_DENIED)|UNAUTHENTICATED"),
        "the token is refused",
        "correct the connection sluice_spark",
    ),
)
_OUTAGE = re.compile(
    r"RETRIES_EXCEEDED|StatusCode\.(?:UNAVAILABLE|DEADLINE_EXCEEDED)|java\.net\.|ConnectTimeout|SdkClientException"
    r"|Status Code: 5\d\d|SlowDown|No space left on device|Too many open files|stopped SparkContext|SparkContext was shut down"
    r"|NO_ACTIVE_SESSION|Connection (?:refused|reset)|failed to connect to all addresses|Unable to create new native thread"
)
_TOO_LARGE = ("OutOfMemoryError", "TaskResultLost", "Java heap space", "maxResultSize", "RESOURCE_EXHAUSTED")


class EvaluationFailed(JobFailed):
    """Our own code failed on a worker of Spark's."""


class SessionUnusable(Exception):
    """The shared session does not work any more: the server has closed it for good, or was restarted and forgot it."""

    def __init__(self, message: str, *, closed: bool) -> None:
        self.closed = closed
        super().__init__(message)


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
    # A session closes its client when it is collected, and waits for threads that all clients share; the collector may run in a thread
    # that one of them waits for, and then all of them wait for ever (seen 2026-12-01). gRPC itself closes the channel of one that is gone.
    # Nor may closing be left to the interpreter's very end: gRPC's threads are gone then, and with a call still under way that waits for
    # ever too (seen 2026-11-21); at exit they still run.
    atexit.register(_close, weakref.ref(session.client))
    session.client.close = lambda: None
    return cast("SparkSession", session)


def _close(client: weakref.ref[SparkConnectClient]) -> None:
    """Close a client that is still there."""
    if (there := client()) is not None:
        type(there).close(there)


def _token(settings: SparkSettings) -> str:
    """The token as a part of the URL. pyspark's own way speaks TLS; a header of the same content is sent without it.

    >>> from include.settings import SparkSettings
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
    for name, value in session_conf(settings, s3).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def session_conf(settings: SparkSettings, s3: S3Settings) -> Mapping[str, str]:
    """What a session of our own needs to know; a Spark Connect server has the same from its own configuration."""
    conf = {**EVERYWHERE, **store_conf(s3), "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "8"}
    own_conf = dict(settings.conf)
    if any("delta-spark" in own_conf.get(name, "") for name in ("spark.jars", "spark.jars.packages")):
        conf |= DELTA
    return {**conf, **own_conf}


@contextmanager
def map_driver_errors(settings: SparkSettings) -> Iterator[None]:
    """Turn what Spark says into one sentence without a value of a row.

    Raises:
        EvaluationFailed: our own evaluation did.
        SessionUnusable: join again, the next generation if the session was closed.
        JobFailed: Spark cannot do this job; it may do others.
        EnvironmentFailure: Spark or the store behind it does not answer.
        DeploymentFault: a module, a jar, a bucket or a right is missing where Spark works.
    """
    try:
        yield
    except (PySparkException, Py4JError, grpc.RpcError) as failed:
        whole = str(failed.java_exception) if isinstance(failed, Py4JJavaError) else str(failed)
        message = _sentence(whole)
        closed = _CLOSED in whole
        if closed or any(condition in whole for condition in _FORGOTTEN):
            raise SessionUnusable(message, closed=closed) from failed
        if isinstance(failed, PythonException):
            raise _of_our_own(settings.url, whole) from None
        raise blamed(settings.url, whole, message) from failed


def _of_our_own(url: str, whole: str) -> SluiceError:
    """What an error of our own code on a worker is, by its kind alone: its text may hold a value."""
    missing = _MODULE.search(whole)
    if missing is not None:
        return _without_module(url, missing[1])
    if _SHORT_ON_A_WORKER.search(whole):
        return EnvironmentFailure("Spark", f"a worker of {url} has no disk or open files left", _NEXT_STEP)
    return EvaluationFailed(f"the evaluation failed in Spark: {evaluation_failed(whole)}")


def _without_module(url: str, name: str) -> DeploymentFault:
    what = f"the workers of {url} have no Python module {name}"
    return DeploymentFault("Spark", what, "give them Sluice's own environment (spark.pyspark.python, docs/runbooks/spark.md)")


def blamed(url: str, whole: str, message: str) -> SluiceError:
    """Who is to blame for what Spark says.

    >>> type(blamed("sc://h", "ModuleNotFoundError: No module named 'numpy'", "")).__name__
    'DeploymentFault'
    >>> type(blamed("sc://h", "org.apache.spark.SparkException: TaskResultLost (result lost from block manager)", "")).__name__
    'JobFailed'
    >>> type(blamed("sc://h", "java.net.ConnectException: Connection refused", "")).__name__
    'EnvironmentFailure'
    """
    missing = _MODULE.search(whole)
    if missing is not None:
        return _without_module(url, missing[1])
    plain = _QUOTED.sub("''", whole)
    for words, what, mend in _LACKING:
        if words.search(plain):
            return DeploymentFault("Spark", f"{what} at {url}: {message}", mend)
    if _OUTAGE.search(plain):
        return EnvironmentFailure("Spark", f"{url} does not do the job: {message}", _NEXT_STEP)
    conditions = [*_CONDITION.findall(whole), *(one[1] for one in _JAVA_ERROR.finditer(whole))]
    reason = next((words for words in _TOO_LARGE if words in whole), "")
    return JobFailed(
        f"Spark at {url} cannot do it: {message or 'no message'}" + (f" ({reason}: too large for its memory)" if reason else ""),
        way=" ".join(["Spark", reason or " ".join(dict.fromkeys(conditions))]),
    )


def evaluation_failed(message: str) -> str:
    r"""The kind and the place of the last error in a worker's traceback.

    >>> evaluation_failed('Traceback (most recent call last):\n  File "/a/detect.py", line 7, in evaluate\n    x\nValueError: no C1\n')
    'ValueError at detect.py:7'
    >>> evaluation_failed("it says nothing")
    'an error without a traceback'
    """
    frames = list(_PYTHON_FRAME.finditer(message))
    if not frames:
        return "an error without a traceback"
    kind = _PYTHON_ERROR.search(message, frames[-1].end())
    return f"{kind[1] if kind else 'an error'} at {PurePath(frames[-1][1]).name}:{frames[-1][2]}"


def without_values(message: str) -> str:
    """What Spark says of where it failed and on what; of errors that may quote cells the kind alone.

    >>> without_values("(org.apache.spark.SparkNumberFormatException) [CAST_INVALID_INPUT] The value 'C1' of the type STRING")
    'SparkNumberFormatException [CAST_INVALID_INPUT]'
    >>> without_values("[PATH_NOT_FOUND] Path does not exist: s3a://bucket/x")
    '[PATH_NOT_FOUND] Path does not exist: s3a://bucket/x'
    >>> without_values("java.net.ConnectException: Connection refused")
    'java.net.ConnectException: Connection refused'
    """
    conditions = list(dict.fromkeys(_CONDITION.findall(message)))
    errors = list(_JAVA_ERROR.finditer(message))
    if all(one.startswith(_TELLING_CONDITIONS) for one in conditions) and all(one[0].startswith(_TELLING_ERRORS) for one in errors):
        return message
    return " ".join([*dict.fromkeys(one[1] for one in errors), *(f"[{one}]" for one in conditions)])


def _sentence(message: str) -> str:
    """The first line that says something, cut to what fits a log line."""
    grpc_details = re.search(r'^\s*details = "(.+)"$', message, re.MULTILINE)
    lines = (line.strip() for line in (grpc_details[1] if grpc_details else message).splitlines())
    return without_values(next((line for line in lines if line), "no message"))[:_LONGEST]
