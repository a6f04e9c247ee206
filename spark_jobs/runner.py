"""Runs a job where the settings say: Spark Connect, this process, or a cluster through spark-submit. The jobs do not know which."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.feeds.transactions.job import JOB, DetectRequest
from include.ingestion import keys
from include.ingestion.errors import EnvironmentFailure
from spark_jobs import session, submitted
from spark_jobs.catalogue import job_named

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from include.feeds.message import JobRequest
    from include.ingestion.ports import ObjectStore
    from include.stores.settings import S3Settings, SparkSettings

_GENERATIONS = 50
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
        """Ask for as little as can be asked. Where spark-submit goes, only a job can ask, and its failure is an outage anyway.

        Raises:
            EnvironmentFailure: Spark does not answer.
        """
        if session.is_connect(self._settings):
            with suppress(session.SessionUnusable), session.translated(self._settings):
                session.connect(self._settings, self._generation).version  # noqa: B018 (asks the server)

    def run(self, name: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run a job by name; `request` is what its request's `to_json` gives.

        Raises:
            EnvironmentFailure: Spark, or S3 behind it, does not answer or refuses.
        """
        return self._run(name, job_named(name).request(request))

    def detect(self, request: DetectRequest) -> Mapping[str, Any]:
        """Evaluate a batch of transactions; the manifest of what lies under its attempt then."""
        return self._run(JOB, request)

    def _run(self, name: str, request: JobRequest) -> Mapping[str, Any]:
        if session.is_connect(self._settings):
            return self._on_connect(name, request)
        if session.is_local(self._settings):
            with session.translated(self._settings):
                return job_named(name).run(session.classic(self._settings, self._s3), request, self._store)
        return self._on_cluster(name, request)

    def _on_connect(self, name: str, request: JobRequest) -> Mapping[str, Any]:
        """Use the session at hand; join again where the server has forgotten it, and the next one where it has closed it."""
        last: Exception | None = None
        for _ in range(_GENERATIONS):
            if self._session is None:
                self._session = session.connect(self._settings, self._generation)
            try:
                with session.translated(self._settings):
                    return job_named(name).run(self._session, request, self._store)
            except session.SessionUnusable as unusable:
                last = unusable
                self._session = None
                self._generation += unusable.closed
        raise EnvironmentFailure("Spark", f"{self._settings.url} refused {_GENERATIONS} sessions one after another: {last}") from last

    def _on_cluster(self, name: str, request: JobRequest) -> Mapping[str, Any]:
        """Start the job with spark-submit in client mode and read the manifest that it left."""
        request_key = keys.in_attempt(request.output, "request.json")
        self._store.put(request.bucket, request_key, json.dumps(request.to_json()).encode())
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:  # mode 0600: it holds the keys to S3
            conf.writelines(f"{key} {value}\n" for key, value in session.cluster_conf(self._settings, self._s3).items())
            conf.flush()
            command = [_spark_submit(), "--master", self._settings.url, "--properties-file", conf.name]
            command += [submitted.__file__, name, request.bucket, request_key]
            finished = subprocess.run(  # noqa: S603 (our own script and settings)
                command, env=self._environment(), capture_output=True, text=True, check=False
            )
        if finished.returncode != 0:
            what = f"spark-submit to {self._settings.url} ended with {finished.returncode}: {_reason(finished.stderr)}"
            raise EnvironmentFailure("Spark", what, "docs/runbooks/spark.md")
        manifest: dict[str, Any] = json.loads(self._store.read_bytes(request.bucket, keys.in_attempt(request.output, "manifest.json")))
        return manifest

    def _environment(self) -> dict[str, str]:
        """The environment of the driver; the cluster's own Python is the setting `spark.pyspark.python`."""
        given = {
            "SPARK_CONF_DIR": os.environ.get("SPARK_CONF_DIR", str(session.LOG_CONF)),
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYSPARK_PYTHON": dict(self._settings.conf).get("spark.pyspark.python", sys.executable),
            "AWS_ENDPOINT_URL_S3": self._s3.endpoint,
            "AWS_ACCESS_KEY_ID": self._s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self._s3.secret_key,
            "AWS_DEFAULT_REGION": self._s3.region,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_REMOTE", "SPARK_CONNECT"))}
        return {**inherited, **{name: value for name, value in given.items() if value is not None}}


def _spark_submit() -> str:
    """The spark-submit of the pyspark that this process has."""
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin" / "spark-submit")


def _reason(stderr: str) -> str:
    """The last line of a driver's log that names an error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    named = [line for line in lines if any(word in line for word in _FAILED_LINES)]
    return session.without_values((named or lines or ["it said nothing"])[-1])[:300]
