"""How sessions are named, and how Spark's errors become one sentence."""

from __future__ import annotations

import socket
import time

import grpc
import pytest
from pyspark.errors import PySparkException, PythonException
from pyspark.sql import SparkSession

from include.ingestion.errors import EnvironmentFailure, UsageError
from include.stores.settings import S3Settings, SparkSettings
from spark_jobs import runner, session
from tests.spark.conftest import FolderStore
from tests.spark.test_job import Pipeline

S3 = S3Settings("bucket", "http://127.0.0.1:1", "key", "secret")


def test_tasks_with_the_same_code_join_the_same_session() -> None:
    assert session.session_id() == session.session_id()
    assert session.session_id(1) != session.session_id()


def test_a_session_of_our_own_is_told_where_s3_is() -> None:
    conf = session.cluster_conf(SparkSettings("local[2]", conf=(("spark.ui.enabled", "true"),)), S3)
    assert conf["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:1"
    assert conf["spark.hadoop.fs.s3a.connection.ssl.enabled"] == "false"
    assert conf["spark.hadoop.fs.s3a.access.key"] == "key"
    assert conf["spark.ui.enabled"] == "true"


def test_a_session_of_our_own_that_is_given_deltas_jars_is_told_to_use_them() -> None:
    with_jars = (("spark.jars", "/jars/hadoop-aws-3.4.2.jar,/jars/delta-spark_4.1_2.13-4.4.0.jar"),)
    assert session.cluster_conf(SparkSettings("local[2]", conf=with_jars), S3).items() >= session.DELTA.items()
    assert not session.cluster_conf(SparkSettings("local[2]"), S3).keys() & session.DELTA.keys()


def test_without_keys_the_cluster_finds_its_own_role() -> None:
    conf = session.cluster_conf(SparkSettings("yarn"), S3Settings("bucket"))
    assert not [name for name in conf if "key" in name or "credentials" in name or "endpoint" in name.removesuffix("endpoint.region")]


def test_an_error_of_the_java_side_is_one_sentence_too(spark: SparkSession) -> None:
    """What no Spark error class covers arrives as the gateway's own error."""
    with (
        pytest.raises(EnvironmentFailure, match=r"ClassNotFoundException: java\.net\.NoSuchClass") as caught,
        session.translated(SparkSettings("local[2]")),
    ):
        spark.sparkContext._jvm.org.apache.spark.util.Utils.classForName("java.net.NoSuchClass", True, True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (PySparkException("[INVALID_HANDLE.SESSION_CLOSED] The handle is invalid."), session.SessionUnusable),
        (PySparkException("[INVALID_HANDLE.SESSION_CHANGED] The server restarted."), session.SessionUnusable),
        (PySparkException("[PATH_NOT_FOUND] Path does not exist: s3a://bucket/x\n\nJVM stacktrace: ..."), EnvironmentFailure),
        (PythonException("our evaluation is wrong"), session.EvaluationFailed),
        (PySparkException("[CAST_INVALID_INPUT] The value 'C1' of the type STRING"), EnvironmentFailure),
        (grpc.RpcError("java.lang.NumberFormatException: For input string: C1"), EnvironmentFailure),
    ],
)
def test_what_spark_says_is_told_apart(raised: Exception, becomes: type[Exception]) -> None:
    with pytest.raises(becomes) as caught, session.translated(SparkSettings("sc://here:1")):
        raise raised
    assert "\n" not in str(caught.value)
    assert "C1" not in str(caught.value)


def test_a_closed_session_is_followed_by_the_next_generation_and_a_forgotten_one_by_itself() -> None:
    for condition, closed in (("SESSION_CLOSED", True), ("SESSION_CHANGED", False)):
        with pytest.raises(session.SessionUnusable) as caught, session.translated(SparkSettings("sc://here:1")):
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
        runner.SparkRunner(SparkSettings(f"sc://localhost:{port}", "token"), store, S3).detect(request.request({}))
    assert time.monotonic() - started < 20


def test_a_job_of_another_name_is_a_usage_error(store: FolderStore) -> None:
    with pytest.raises(UsageError, match="no Spark job 'sales'"):
        runner.SparkRunner(SparkSettings("local[1]"), store, S3).run("sales", {})
