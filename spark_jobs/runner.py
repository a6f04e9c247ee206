"""Runs a job where the settings say: Spark Connect, this process, or a cluster through spark-submit. The jobs do not know which."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import EnvironmentFailure, JobFailed, SluiceError
from include.files import keys
from spark_jobs import session, submitted
from spark_jobs.attempt import JobRun
from spark_jobs.catalogue import job_named
from spark_jobs.configuration import LOG_CONF

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from include.pipeline.message import JobRequest, Json
    from include.settings import S3Settings, SparkSettings
    from include.storage.object_store import ObjectStore

_GENERATIONS = 50
_OF_THE_BATCH = ("PythonException", "OutOfMemoryError", "TaskResultLost", "maxResultSize", "ArithmeticException", "AnalysisException")
_FAILED_LINES = ("Error", "Exception", "ERROR")


class SparkRunner:
    """The core's `Job` port. Keeps the session it has joined for as long as the process lives."""

    def __init__(self, settings: SparkSettings, store: ObjectStore, s3: S3Settings) -> None:
        self._settings = settings
        self._store = store
        self._s3 = s3
        self._session: SparkSession | None = None
        self._generation = 0

    def answers(self) -> None:
        """Ask for a count over one row: a server whose context is gone still tells its version for seconds.

        Where spark-submit goes, only a job can ask, and its log tells what its failure is.

        Raises:
            EnvironmentFailure: Spark does not answer.
        """
        if session.is_connect(self._settings):
            try:
                with suppress(session.SessionUnusable), session.map_driver_errors(self._settings):
                    session.connect(self._settings, self._generation).range(1).count()
            except JobFailed as failed:
                raise EnvironmentFailure("Spark", f"not even one row is counted: {failed}", "docs/runbooks/spark.md") from failed

    def run(self, request: JobRequest) -> Json:
        """Run the job that a request names; the manifest of what lies under its attempt then.

        Raises:
            EnvironmentFailure: Spark, or S3 behind it, does not answer or refuses.
        """
        if session.is_connect(self._settings):
            return self._on_connect(request)
        if session.is_local(self._settings):
            with session.map_driver_errors(self._settings):
                return self._in(session.classic(self._settings, self._s3), request)
        return self._on_cluster(request)

    def _in(self, spark: SparkSession, request: JobRequest) -> Json:
        return job_named(request.job).run(JobRun(self._store, request, spark)).to_json()

    def _on_connect(self, request: JobRequest) -> Json:
        """Use the session at hand; join again where the server has forgotten it, and the next one where it has closed it."""
        last: Exception | None = None
        for _ in range(_GENERATIONS):
            if self._session is None:
                self._session = session.connect(self._settings, self._generation)
            try:
                with session.map_driver_errors(self._settings):
                    return self._in(self._session, request)
            except session.SessionUnusable as unusable:
                last = unusable
                self._session = None
                self._generation += unusable.closed
        raise EnvironmentFailure("Spark", f"{self._settings.url} refused {_GENERATIONS} sessions one after another: {last}") from last

    def _on_cluster(self, request: JobRequest) -> Json:
        """Start the job with spark-submit in client mode and read the manifest that it left."""
        request_key = keys.in_attempt(request.output, "request.json")
        self._store.put(request.bucket, request_key, json.dumps(request.to_json()).encode())
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:  # mode 0600: it holds the keys to S3
            conf.writelines(f"{key} {value}\n" for key, value in session.session_conf(self._settings, self._s3).items())
            conf.flush()
            command = [_spark_submit(), "--master", self._settings.url, "--properties-file", conf.name]
            command += [submitted.__file__, request.job, request.bucket, request_key]
            finished = subprocess.run(  # noqa: S603 (our own script and settings)
                command, env=self._environment(), capture_output=True, text=True, check=False
            )
        if finished.returncode != 0:
            raise _of_the_driver(self._settings.url, finished.returncode, finished.stderr)
        manifest: Json = json.loads(self._store.read_bytes(request.bucket, keys.in_attempt(request.output, "manifest.json")))
        return manifest

    def _environment(self) -> dict[str, str]:
        """The environment of the driver; the cluster's own Python is the setting `spark.pyspark.python`."""
        variables = {
            "SPARK_CONF_DIR": os.environ.get("SPARK_CONF_DIR", str(LOG_CONF)),
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYSPARK_PYTHON": dict(self._settings.conf).get("spark.pyspark.python", sys.executable),
            "AWS_ENDPOINT_URL_S3": self._s3.endpoint,
            "AWS_ACCESS_KEY_ID": self._s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self._s3.secret_key,
            "AWS_DEFAULT_REGION": self._s3.region,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_REMOTE", "SPARK_CONNECT"))}
        return {**inherited, **{name: value for name, value in variables.items() if value is not None}}


def _spark_submit() -> str:
    """The spark-submit of the pyspark that this process has."""
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin" / "spark-submit")


def _of_the_driver(url: str, code: int, stderr: str) -> SluiceError:
    """What a driver's end is: its log says whether the batch, the deployment or the cluster is to blame; where it does not, the cluster."""
    message = f"spark-submit to {url} ended with {code}: {_reason(stderr)}"
    to_blame = session.blamed(url, stderr, message)
    if type(to_blame) is JobFailed and not any(word in stderr for word in _OF_THE_BATCH):
        return EnvironmentFailure("Spark", message, "docs/runbooks/spark.md")
    return to_blame


def _reason(stderr: str) -> str:
    """The last line of a driver's log that names an error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    named = [line for line in lines if any(word in line for word in _FAILED_LINES)]
    return session.without_values((named or lines or ["it said nothing"])[-1])[:300]
