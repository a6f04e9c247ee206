"""How sessions are named, and how Spark's errors become one sentence."""

from __future__ import annotations

import gc
import socket
import threading
import time
import weakref
from collections.abc import Iterator

import grpc
import pyarrow as pa
import pytest
from pyspark.errors import PySparkException, PythonException
from pyspark.sql import SparkSession
from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator

from include.errors import DeploymentFault, EnvironmentFailure, JobFailed, UsageError
from include.settings import S3Settings, SparkSettings
from spark_jobs import catalogue, runner, session
from spark_jobs.configuration import DELTA
from tests.spark.conftest import FolderStore
from tests.spark.test_job import Pipeline

S3 = S3Settings("bucket", "http://127.0.0.1:1", "key", "secret")


def test_tasks_with_the_same_code_join_the_same_session() -> None:
    assert session.session_id() == session.session_id()
    assert session.session_id(1) != session.session_id()


def test_a_session_of_our_own_is_told_where_s3_is() -> None:
    conf = session.session_conf(SparkSettings("local[2]", conf=(("spark.ui.enabled", "true"),)), S3)
    assert conf["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:1"
    assert conf["spark.hadoop.fs.s3a.connection.ssl.enabled"] == "false"
    assert conf["spark.hadoop.fs.s3a.access.key"] == "key"
    assert conf["spark.ui.enabled"] == "true"


def test_a_session_of_our_own_that_is_given_deltas_jars_is_told_to_use_them() -> None:
    with_jars = (("spark.jars", "/jars/hadoop-aws-3.4.2.jar,/jars/delta-spark_4.1_2.13-4.4.0.jar"),)
    assert session.session_conf(SparkSettings("local[2]", conf=with_jars), S3).items() >= DELTA.items()
    assert not session.session_conf(SparkSettings("local[2]"), S3).keys() & DELTA.keys()


def test_without_keys_the_cluster_finds_its_own_role() -> None:
    conf = session.session_conf(SparkSettings("yarn"), S3Settings("bucket"))
    assert not [name for name in conf if "key" in name or "credentials" in name or "endpoint" in name.removesuffix("endpoint.region")]


def test_an_error_of_the_java_side_is_one_sentence_too(spark: SparkSession) -> None:
    """What no Spark error class covers arrives as the gateway's own error."""
    with (
        pytest.raises(EnvironmentFailure, match=r"ClassNotFoundException: java\.net\.NoSuchClass") as caught,
        session.map_driver_errors(SparkSettings("local[2]")),
    ):
        spark.sparkContext._jvm.org.apache.spark.util.Utils.classForName("java.net.NoSuchClass", True, True)
    assert "\n" not in str(caught.value)


TRACE = 'Traceback (most recent call last):\n  File "/a/detect.py", line 7, in evaluate\n    x\n'


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (PySparkException("[INVALID_HANDLE.SESSION_CLOSED] The handle is invalid."), session.SessionUnusable),
        (PySparkException("[INVALID_HANDLE.SESSION_CHANGED] The server restarted."), session.SessionUnusable),
        (PySparkException("[PATH_NOT_FOUND] Path does not exist: s3a://bucket/x\n\nJVM stacktrace: ..."), JobFailed),
        (PythonException("our evaluation is wrong"), session.EvaluationFailed),
        (PythonException(f"{TRACE}ValueError: AccessDenied, C1"), session.EvaluationFailed),
        (PythonException(f"{TRACE}ModuleNotFoundError: No module named 'numpy'"), DeploymentFault),
        (PythonException(f"{TRACE}OSError: [Errno 28] No space left on device"), EnvironmentFailure),
        (PySparkException("[CAST_INVALID_INPUT] The value 'C1' of the type STRING"), JobFailed),
        (PySparkException("[CAST_INVALID_INPUT] The value 'AccessDenied SlowDown C1' of the type STRING"), JobFailed),
        (PySparkException("Job aborted: TaskResultLost (result lost from block manager)"), JobFailed),
        (PySparkException("java.lang.OutOfMemoryError: Java heap space"), JobFailed),
        (PySparkException("[PYTHON_VERSION_MISMATCH] Python in worker has different version 3.10"), DeploymentFault),
        (PySparkException("java.nio.file.AccessDeniedException: s3a://b/x: AccessDenied (Status Code: 403)"), DeploymentFault),
        (PySparkException("org.apache.hadoop.fs.s3a.UnknownStoreException: s3a://b: NoSuchBucket"), DeploymentFault),
        (PySparkException("java.net.ConnectException: Connection refused"), EnvironmentFailure),
        (PySparkException("AWSServiceIOException: SlowDown (Service: S3, Status Code: 503)"), EnvironmentFailure),
        (PySparkException("[RETRIES_EXCEEDED] The maximum number of retries has been exceeded."), EnvironmentFailure),
        (grpc.RpcError("java.lang.NumberFormatException: For input string: C1"), JobFailed),
    ],
)
def test_what_spark_says_is_told_apart(raised: Exception, becomes: type[Exception]) -> None:
    with pytest.raises(becomes) as caught, session.map_driver_errors(SparkSettings("sc://here:1")):
        raise raised
    assert type(caught.value) is becomes
    assert "\n" not in str(caught.value)
    assert "C1" not in str(caught.value)


def test_a_closed_session_is_followed_by_the_next_generation_and_a_forgotten_one_by_itself() -> None:
    for condition, closed in (("SESSION_CLOSED", True), ("SESSION_CHANGED", False)):
        with pytest.raises(session.SessionUnusable) as caught, session.map_driver_errors(SparkSettings("sc://here:1")):
            raise PySparkException(f"[INVALID_HANDLE.{condition}]")
        assert caught.value.closed is closed


def test_a_server_that_is_not_there_is_noticed_in_seconds(store: FolderStore) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    request = Pipeline.__new__(Pipeline)
    request.store, request.state = store, []
    started = time.monotonic()
    with pytest.raises(EnvironmentFailure, match=f"sc://localhost:{port}"):
        runner.SparkRunner(SparkSettings(f"sc://localhost:{port}", "token"), store, S3).run(request.request({}))
    assert time.monotonic() - started < 20


def test_a_job_of_another_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no Spark job 'sales'"):
        catalogue.job_named("sales")


def test_a_module_that_the_workers_do_not_have_is_named_as_what_the_deployment_lacks(spark: SparkSession) -> None:
    def evaluate(pieces: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import no_such_module_of_ours  # type: ignore[import-not-found]  # noqa: F401

        yield from pieces

    with (
        pytest.raises(DeploymentFault, match=r"the workers of local.* have no Python module no_such_module_of_ours.*No file is to blame"),
        session.map_driver_errors(SparkSettings("local[2]")),
    ):
        spark.range(1).mapInArrow(evaluate, "id bigint").collect()


def test_what_data_causes_in_spark_is_the_batchs_own(spark: SparkSession) -> None:
    with pytest.raises(JobFailed) as failed, session.map_driver_errors(SparkSettings("local[2]")):
        spark.sql("select assert_true(id < 5) from range(9)").collect()
    assert failed.value.way.startswith("Spark ")


def test_a_session_that_is_collected_waits_for_no_thread_of_the_clients() -> None:
    """It may be collected in a thread that such a one waits for: of the two neither went on."""
    pool = ExecutePlanResponseReattachableIterator._get_or_create_release_thread_pool()
    goes_on = threading.Event()
    waiting = pool.submit(goes_on.wait, 60)
    gone = weakref.ref(opened := session.connect(SparkSettings("sc://localhost:9/;token=x")))
    held = [opened]
    del opened
    collector = threading.Thread(target=lambda: (held.clear(), gc.collect()))
    collector.start()
    collector.join(20)
    collected = not collector.is_alive()
    goes_on.set()
    assert waiting.result(20)
    assert (collected, gone()) == (True, None)
