"""The real ports, with a look at the fates around each of their effects: here a run may die, or the world around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from certificate.places import Effect, When
from include.ingestion.batch import Attempt, Batch
from include.ingestion.feed import FeedSpec
from include.ingestion.file import FileStamp, ObjectRef, Registration, Settled
from include.ingestion.ports import Job, Results
from include.ingestion.repair.journal import Added
from include.ingestion.run import Run
from include.ingestion.verdict import Verdict
from include.stores.ledger import PostgresLedger
from include.stores.ledger.session import Cursor
from include.stores.s3 import S3Store
from spark_jobs.lake import LakeTable

At = Callable[[When, Effect], None]

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
    return next((effect for prefix, effect in _WRITES.items() if key.startswith(prefix)), Effect.OTHER_WRITE)


def effect_of_copy(key: str) -> Effect:
    """What a copy to a key is."""
    if key.endswith("/rejects.csv"):
        return Effect.REJECTS
    return next((effect for prefix, effect in _COPIES.items() if key.startswith(prefix)), Effect.OTHER_WRITE)


class MortalStore(S3Store):
    """S3 as it is."""

    def __init__(self, client: Any, at: At) -> None:
        super().__init__(client)
        self._at = at

    @contextmanager
    def _around(self, effect: Effect) -> Iterator[None]:
        self._at(When.BEFORE, effect)
        yield
        self._at(When.AFTER, effect)

    def objects(self, bucket: str, prefix: str) -> Iterator[FileStamp]:
        with self._around(Effect.LISTING):
            yield from super().objects(bucket, prefix)

    def folders(self, bucket: str, prefix: str) -> tuple[list[str], list[FileStamp]]:
        with self._around(Effect.LISTING):
            return super().folders(bucket, prefix)

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:
        with self._around(Effect.READING):
            return super().read(bucket, key, etag)

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:
        with self._around(effect_of_write(key)):
            return super().put(bucket, key, body, rows=rows, if_absent=if_absent)

    def replace(self, bucket: str, key: str, body: bytes, *, etag: str) -> ObjectRef:
        with self._around(effect_of_write(key)):
            return super().replace(bucket, key, body, etag=etag)

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, etag: str) -> ObjectRef:
        with self._around(effect_of_copy(to_key)):
            return super().copy(bucket, key, to_bucket, to_key, etag=etag)

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:
        with self._around(Effect.DELETE if key.startswith("landing/") else Effect.OTHER_WRITE):
            return super().delete(bucket, key, etag)


class MortalLedger(PostgresLedger):
    """PostgreSQL as it is. BEFORE is after the last statement and before the commit, AFTER after it."""

    def __init__(self, connect: Callable[[], Any], at: At) -> None:
        super().__init__(connect)
        self._at = at
        self._effect = Effect.OTHER_COMMIT

    @contextmanager
    def transaction(self, run: Run | None = None, attempt: str = "") -> Iterator[Cursor]:
        effect = self._effect
        with super().transaction(run, attempt) as cursor:
            yield cursor
            self._at(When.BEFORE, effect)
        self._at(When.AFTER, effect)

    @contextmanager
    def _doing(self, effect: Effect) -> Iterator[None]:
        self._effect = effect
        try:
            yield
        finally:
            self._effect = Effect.OTHER_COMMIT

    def take_lease(self, spec: FeedSpec, run: Run) -> int:
        with self._doing(Effect.LEASE):
            return super().take_lease(spec, run)

    def let_go(self, spec: FeedSpec, token: int) -> None:
        with self._doing(Effect.LETTING_GO):
            super().let_go(spec, token)

    def register(self, spec: FeedSpec, token: int, run: Run, found: Sequence[FileStamp]) -> Registration:
        with self._doing(Effect.REGISTRATION):
            return super().register(spec, token, run, found)

    def record_verdicts(self, spec: FeedSpec, token: int, run: Run, attempt: str, verdicts: Sequence[Verdict], suite: str) -> None:
        with self._doing(Effect.VERDICTS):
            super().record_verdicts(spec, token, run, attempt, verdicts, suite)

    def settle(self, spec: FeedSpec, token: int, run: Run, file_ids: Sequence[int]) -> Settled:
        with self._doing(Effect.DECISION):
            return super().settle(spec, token, run, file_ids)

    def begin_attempt(self, spec: FeedSpec, token: int, run: Run, batch: int) -> Attempt:
        with self._doing(Effect.ATTEMPT):
            return super().begin_attempt(spec, token, run, batch)

    def publish(
        self, spec: FeedSpec, token: int, run: Run, attempt: Attempt, manifest: Mapping[str, Any], results: Results, produced: Any
    ) -> dict[str, int]:
        with self._doing(Effect.PUBLISH):
            return super().publish(spec, token, run, attempt, manifest, results, produced)

    def put_back(
        self, spec: FeedSpec, token: int, run: Run, rows: Mapping[str, Sequence[Mapping[str, Any]]], results_of: Callable[[str], Results]
    ) -> Added:
        with self._doing(Effect.PUT_BACK):
            return super().put_back(spec, token, run, rows, results_of)

    def delivered_batch(self, batch: Batch) -> None:
        with self._doing(Effect.BATCH_DELIVERED):
            super().delivered_batch(batch)

    def delivered_file(self, file_id: int, run: Run, location: str | None, location_key: str | None) -> None:
        with self._doing(Effect.FILE_DELIVERED):
            super().delivered_file(file_id, run, location, location_key)


_JOBS = {"lake_": Effect.LAKE_JOB, "partition_": Effect.SETS_JOB}


class MortalJob:
    """The Spark jobs as they are."""

    def __init__(self, job: Job, at: At) -> None:
        self._job = job
        self._at = at

    def answers(self) -> None:
        self._job.answers()

    def run(self, name: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        effect = next((effect for beginning, effect in _JOBS.items() if name.startswith(beginning)), Effect.JOB)
        self._at(When.BEFORE, effect)
        manifest = self._job.run(name, request)
        self._at(When.AFTER, effect)
        return manifest


def commit_mortally(at: At) -> None:
    """Look at the fates around each commit of rows to the lake from now on, in this process."""
    for name in ("overwrite", "replace_where"):
        setattr(LakeTable, name, _mortal(getattr(LakeTable, name), at))


def _mortal(commit: Callable[..., None], at: At) -> Callable[..., None]:
    def committed(*said: Any) -> None:
        at(When.BEFORE, Effect.LAKE_COMMIT)
        commit(*said)
        at(When.AFTER, Effect.LAKE_COMMIT)

    return committed
