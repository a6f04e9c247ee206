"""The command's front door: settings from the environment (as `sluice env` prints it) or from the embedded services, and what they open."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from include import logs
from include.errors import UsageError
from include.settings import LedgerSettings, S3Settings, SparkSettings
from sluice.environments import environment_of, lacking, refuse_lacking, with_settings

if TYPE_CHECKING:
    from include.feed import FeedSpec
    from include.files.file import LedgerFile, ObjectRef
    from include.files.fix import Parents
    from include.files.verdict import Recount, Reread, Verdict
    from include.ledger import Ledger
    from include.logs import Log
    from include.pipeline.message import JobRequest, Json
    from include.pipeline.ports import Gate, Ports
    from include.pipeline.services import Job
    from include.storage.object_store import ObjectStore


@dataclass(frozen=True)
class Settings:
    """Where everything is."""

    s3: S3Settings
    ledger: LedgerSettings
    spark: SparkSettings


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment where it names a bucket and a database, else from the embedded services of this checkout.

    What `SLUICE_ENV` means adds to the environment what it does not say itself; only dev falls back on the embedded services.

    Raises:
        UsageError: neither is there.
    """
    variables = with_settings(os.environ if environment is None else environment)
    refuse_lacking(environment_of(variables), variables)
    if lacking(variables):
        from sluice.services.environment import environment as embedded
        from sluice.services.state import current_state

        state = current_state()
        if not state.exists:
            raise UsageError("no services: `sluice up` starts the embedded ones, or set the variables that `sluice env` names")
        variables = embedded(state)
    return settings_from(variables)


def settings_from(variables: Mapping[str, str]) -> Settings:
    """Read the variables that `sluice env` prints; what is secret among them is kept out of every log."""
    read = Settings(
        s3=S3Settings.from_variables(variables["SLUICE_BUCKET"], variables),
        ledger=LedgerSettings(
            host=variables["PGHOST"],
            port=int(variables.get("PGPORT", "5432")),
            database=variables["PGDATABASE"],
            user=variables["PGUSER"],
            password=variables.get("PGPASSWORD", ""),
        ),
        spark=spark_settings(variables.get("SPARK_REMOTE", "local[2]"), variables.get("SPARK_CONNECT_AUTHENTICATE_TOKEN")),
    )
    logs.hide(read.s3.access_key, read.s3.secret_key, read.ledger.password, read.spark.token)
    return read


def spark_settings(remote: str, token: str | None = None) -> SparkSettings:
    """Split a Spark URL into where and the token that opens it; for another Spark than Connect, name the jars of the set-up.

    >>> spark_settings("sc://localhost:15002/;token=abc")
    SparkSettings(url='sc://localhost:15002', conf=())
    >>> spark_settings("sc://spark:15002/;use_ssl=false", "abc")
    SparkSettings(url='sc://spark:15002/;use_ssl=false', conf=())
    """
    if not remote.startswith("sc://"):
        from sluice.services.jars import spark_jars

        jars = ",".join(map(str, spark_jars()))  # a session of our own reads S3 only with them; a Connect server has them
        return SparkSettings(remote, conf=(("spark.jars", jars),) if jars else ())
    parts = urlsplit(remote)
    options = dict(parse_qsl(parts.path.lstrip("/").lstrip(";"), separator=";"))
    plain = "/;use_ssl=false" if options.get("use_ssl") == "false" else ""
    return SparkSettings(f"sc://{parts.netloc}{plain}", options.get("token", token))


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def new_id() -> str:
    return secrets.token_hex(4)


def command_run_id(command: str) -> str:
    """How the ledger names a run of a command: what, where, which process."""
    return f"{command}-{socket.gethostname()}-{os.getpid()}-{new_id()}"


def open_store(where: Settings) -> ObjectStore:
    from include.clients import s3_client
    from include.storage.s3 import S3Store

    return S3Store(s3_client(where.s3))


@contextmanager
def open_ledger(where: Settings) -> Iterator[Ledger]:
    """The ledger, closed at the end of the block."""
    from include.clients import ledger_connection
    from include.ledger import Ledger

    ledger = Ledger(lambda: ledger_connection(where.ledger))
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def open_ports(where: Settings, spec: FeedSpec, log: Log, clock: Callable[[], dt.datetime] = now) -> Iterator[Ports]:
    """Everything the steps of a feed act through, on real services."""
    from include.domains import ports_of
    from include.pipeline.services import Services

    with open_ledger(where) as ledger:
        store = open_store(where)
        services = Services(store, ledger, _LateJob(where, store), clock, new_id, log, where.s3.bucket)
        yield ports_of(spec, services, _LateGate(store, where.s3.bucket, ledger.replays))


class _LateGate:
    """The gate, imported when the first file needs it: Great Expectations takes seconds, and most runs find nothing."""

    def __init__(self, store: ObjectStore, bucket: str, parents: Parents) -> None:
        self._store = store
        self._bucket = bucket
        self._parents = parents

    @cached_property
    def _gate(self) -> Gate:
        from include.quality.gate import GreatExpectationsGate

        return GreatExpectationsGate(self._store, self._bucket, self._parents)

    def validate(self, spec: FeedSpec, files: Sequence[LedgerFile], attempt: str, log: Log) -> list[Verdict]:
        return self._gate.validate(spec, files, attempt, log)

    def suite_digest(self, spec: FeedSpec) -> str:
        return self._gate.suite_digest(spec)

    def reread(self, spec: FeedSpec, file_id: int, bronze: Sequence[ObjectRef]) -> Reread:
        from include.quality.reread import reread

        return reread(self._store, self._bucket, spec, file_id, bronze)

    def recount(self, spec: FeedSpec, file: LedgerFile, rejects: ObjectRef | None) -> Recount:
        from include.quality.reread import recount

        return recount(self._store, self._bucket, spec, file, rejects)


class _LateJob:
    """Spark, imported when the first batch needs it."""

    def __init__(self, where: Settings, store: ObjectStore) -> None:
        self._where = where
        self._store = store

    @cached_property
    def _runner(self) -> Job:
        from spark_jobs.runner import SparkRunner

        return SparkRunner(self._where.spark, self._store, self._where.s3)

    def answers(self) -> None:
        self._runner.answers()

    def run(self, request: JobRequest) -> Json:
        return self._runner.run(request)
