"""The real ports, with a hook around each of their effects: here a fault is injected, a run dies, or the world around it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from include.files.file import FileStamp, ObjectRef
from include.ledger import Ledger
from include.ledger.session import Cursor, LedgerSession
from include.pipeline.message import JobRequest, Json
from include.pipeline.services import Job
from include.run import Run
from include.storage.s3 import S3Store
from spark_jobs.lake import LakeTable
from tools.certificate.places import Effect, When
from tools.certificate.task import At

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_WRITES = {
    "landing/": Effect.CHUNK,
    "bronze/": Effect.BRONZE,
    "detections/": Effect.DETECTION_FILE,
    "error/": Effect.REPORT,
    "journal/": Effect.JOURNAL,
    "lake/": Effect.SET,
}
_IN_STATE = {"request.json": Effect.REQUEST, "manifest.json": Effect.MANIFEST}
_COPIES = {"error/": Effect.COPY, "archive/": Effect.ARCHIVE}
_COMMITS = {
    ("leases", "acquire"): Effect.LEASE,
    ("leases", "release"): Effect.RELEASE,
    ("files", "register"): Effect.REGISTRATION,
    ("files", "record_verdicts"): Effect.VERDICTS,
    ("batches", "deciding"): Effect.DECISION,
    ("batches", "begin_attempt"): Effect.ATTEMPT,
    ("batches", "publishing"): Effect.PUBLISH,
    ("journal", "restore"): Effect.JOURNAL_RESTORED,
    ("leases", "acquire_delivery"): Effect.DELIVERY_LEASE,
    ("leases", "release_delivery"): Effect.RELEASE,
    ("outbox", "batch_delivered"): Effect.BATCH_DELIVERED,
    ("outbox", "relocated"): Effect.RELOCATED,
    ("outbox", "file_delivered"): Effect.FILE_DELIVERED,
}
"""What a method of a part of the ledger commits, by itself or around the block that it opens."""
_JOBS = {"lake_": Effect.LAKE_JOB, "partition_": Effect.SETS_JOB}


def effect_of_write(key: str) -> Effect:
    """What a write under a key is.

    >>> effect_of_write("state/transactions/batch=00000001/attempt=1/manifest.json").value
    'manifest'
    """
    if key.startswith("lake/") and key.endswith(("/finished.json", "/current.json")):
        return Effect.SWITCH
    if key.startswith("state/"):
        if "/delivery/" in key:
            return Effect.LAKE_MANIFEST
        if "/compacted/" in key:
            return Effect.MERGE
        return _IN_STATE.get(key.rsplit("/", 1)[-1], Effect.STATE)
    return _by_beginning(key, _WRITES, Effect.OTHER_WRITE)


def _by_beginning(name: str, effects: Mapping[str, Effect], otherwise: Effect) -> Effect:
    return next((effect for beginning, effect in effects.items() if name.startswith(beginning)), otherwise)


@contextmanager
def _around(at: At, effect: Effect) -> Iterator[None]:
    at(When.BEFORE, effect)
    yield
    at(When.AFTER, effect)


class FaultInjectingStore(S3Store):
    def __init__(self, client: S3Client, at: At) -> None:
        super().__init__(client)
        self._at = at

    def objects(self, bucket: str, prefix: str) -> Iterator[FileStamp]:
        with _around(self._at, Effect.LISTING):
            yield from super().objects(bucket, prefix)

    def folders(self, bucket: str, prefix: str) -> tuple[list[str], list[FileStamp]]:
        with _around(self._at, Effect.LISTING):
            return super().folders(bucket, prefix)

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:
        with _around(self._at, Effect.READING):
            return super().read(bucket, key, etag)

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:
        with _around(self._at, effect_of_write(key)):
            return super().put(bucket, key, body, rows=rows, if_absent=if_absent)

    def replace(self, bucket: str, key: str, body: bytes, *, etag: str) -> ObjectRef:
        with _around(self._at, effect_of_write(key)):
            return super().replace(bucket, key, body, etag=etag)

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, etag: str) -> ObjectRef:
        effect = Effect.REJECTS if to_key.endswith("/rejects.csv") else _by_beginning(to_key, _COPIES, Effect.OTHER_WRITE)
        with _around(self._at, effect):
            return super().copy(bucket, key, to_bucket, to_key, etag=etag)

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:
        with _around(self._at, Effect.DELETE if key.startswith("landing/") else Effect.OTHER_WRITE):
            return super().delete(bucket, key, etag)


class FaultInjectingSession(LedgerSession):
    """PostgreSQL as it is. BEFORE is after the last statement and before the commit, AFTER after it."""

    def __init__(self, connect: Callable[[], Any], at: At) -> None:
        super().__init__(connect)
        self._at = at
        self.effect = Effect.OTHER_COMMIT

    def another(self) -> LedgerSession:
        return LedgerSession(self._connect)

    @contextmanager
    def committing(self, effect: Effect) -> Iterator[None]:
        self.effect = effect
        try:
            yield
        finally:
            self.effect = Effect.OTHER_COMMIT

    @contextmanager
    def transaction(self, run: Run | None = None, attempt: str = "") -> Iterator[Cursor]:
        effect = self.effect
        with super().transaction(run, attempt) as cursor:
            yield cursor
            self._at(When.BEFORE, effect)
        self._at(When.AFTER, effect)


class FaultInjectingLedger(Ledger):
    """Its parts as they are; the session learns what each is about to commit."""

    def __init__(self, connect: Callable[[], Any], at: At) -> None:
        session = FaultInjectingSession(connect, at)
        super().__init__(connect, lambda _: session)
        for (part, name), effect in _COMMITS.items():
            setattr(getattr(self, part), name, _committing(session, getattr(getattr(self, part), name), effect))


def _committing(session: FaultInjectingSession, method: Callable[..., Any], effect: Effect) -> Callable[..., Any]:
    def call(*arguments: object, **named: object) -> Any:
        with session.committing(effect):
            made = method(*arguments, **named)
        return block(made) if isinstance(made, AbstractContextManager) else made

    @contextmanager
    def block(transaction: AbstractContextManager[Any]) -> Iterator[Any]:
        with session.committing(effect), transaction as entered:
            yield entered

    return call


class FaultInjectingJob:
    def __init__(self, job: Job, at: At) -> None:
        self._job = job
        self._at = at
        self.answers = job.answers

    def run(self, request: JobRequest) -> Json:
        with _around(self._at, _by_beginning(request.job, _JOBS, Effect.JOB)):
            return self._job.run(request)


def inject_into_lake_commits(at: At) -> None:
    """Call the hook around each commit of rows to the lake from now on, in this process."""

    def injecting(commit: Callable[..., None]) -> Callable[..., None]:
        def committed(*arguments: object) -> None:
            with _around(at, Effect.LAKE_COMMIT):
                commit(*arguments)

        return committed

    for name in ("overwrite", "replace_where"):
        setattr(LakeTable, name, injecting(getattr(LakeTable, name)))
