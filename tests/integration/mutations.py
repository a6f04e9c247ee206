"""Safeguards taken out, each called in a victim's process before it works: the certificate must notice every one of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from include.ingestion.batch import Attempt, Batch
from include.ingestion.feed import FeedSpec
from include.ingestion.file import FileStamp
from include.ingestion.ports import Job, Say
from include.ingestion.run import Run
from include.stores.finance.latest import LatestResults
from include.stores.ledger import files, session
from include.stores.ledger.batches import Batches, batch_from
from include.stores.ledger.files import Files
from spark_jobs.lake import LakeTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def without_the_fence() -> None:
    """Tokens, the newest attempt and the state version are no longer asked for."""
    session.check_token = lambda *_: None  # type: ignore[assignment]

    def publish(
        self: Batches, spec: FeedSpec, token: int, run: Run, attempt: Attempt, manifest: Mapping[str, Any], results: Any, produced: Any
    ) -> dict[str, int]:
        with self.transaction(run) as cursor:
            cursor.execute("update feed_group set state_version = state_version + 1 where group_name = %s", (spec.group,))
            cursor.execute(
                """update batch set state = 'published', published_at = clock_timestamp(), manifest = %s
                   where group_name = %s and batch = %s returning *""",
                (Jsonb(dict(manifest)), spec.group, attempt.batch),
            )
            row = cursor.fetchone()
            assert row is not None
            cursor.execute(
                "update file set state = 'published', published_at = clock_timestamp() where batch = %s and state = 'accepted'",
                (attempt.batch,),
            )
            cursor.execute("select file_id, seq, key, accepted, bronze, touched from file where batch = %s order by seq", (attempt.batch,))
            counts: dict[str, int] = results.publish(cursor, batch_from(row, cursor.fetchall()), produced, dt.datetime.now(dt.UTC))
            return counts

    Batches.publish = publish  # type: ignore[method-assign]


def with_the_transaction_split() -> None:
    """Results are committed first, the states of batch and files after them."""
    whole = Batches.publish

    def publish(
        self: Batches, spec: FeedSpec, token: int, run: Run, attempt: Attempt, manifest: Mapping[str, Any], results: Any, produced: Any
    ) -> dict[str, int]:
        batch = self.open_batch(spec)
        assert batch is not None
        with self.transaction(run) as cursor:
            results.publish(cursor, batch, produced, dt.datetime.now(dt.UTC))
        return whole(self, spec, token, run, attempt, manifest, _NoResults(), produced)

    Batches.publish = publish  # type: ignore[method-assign]


def with_rows_appended_to_the_lake() -> None:
    """A commit of rows to the lake adds them: it takes nothing out, and has no number by which a repeat is known."""

    def replace_where(self: LakeTable, rows: DataFrame, batch: int, condition: str) -> None:
        del batch, condition
        rows.write.format("delta").mode("append").save(self.path)

    LakeTable.replace_where = replace_where  # type: ignore[method-assign]


class _NoResults:
    def publish(self, *_: object) -> dict[str, int]:
        return {}


def without_the_key_of_a_file() -> None:
    """An object that was registered and not yet decided is not recognised when it is listed again."""
    differing, latest = Files.differing, files._latest_versions

    def all_of_them(self: Files, spec: FeedSpec, bucket: str, listed: Sequence[FileStamp]) -> list[FileStamp]:
        known = {row["key"] for row in self.rows("select key from file where latest and state = 'registered'")}
        return differing(self, spec, bucket, listed) + [stamp for stamp in listed if stamp.key in known]

    def forgotten(cursor: Any, spec: FeedSpec, found: Sequence[FileStamp]) -> dict[tuple[str, str], tuple[int, str]]:
        versions = latest(cursor, spec, found)
        cursor.execute("select bucket, key from file where latest and state = 'registered'")
        return versions | {(row["bucket"], row["key"]): (versions[row["bucket"], row["key"]][0], "") for row in cursor.fetchall()}

    Files.differing = all_of_them  # type: ignore[method-assign]
    files._latest_versions = forgotten


def with_finance_delivered_before_its_files_are_written() -> None:
    """A batch counts as delivered before silver and gold as of it are written."""
    whole = LatestResults.deliver

    def deliver(self: LatestResults, batch: Batch, job: Job, say: Say) -> None:
        self._ledger.delivered_batch(batch)  # type: ignore[attr-defined]
        whole(self, batch, job, say)

    LatestResults.deliver = deliver  # type: ignore[method-assign]
