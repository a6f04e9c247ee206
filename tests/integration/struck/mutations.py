"""Safeguards taken out, each called in a worker process before it works: the certificate must notice every one of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from include.domains.finance.exporter import TableExporter
from include.feed import FeedSpec
from include.files.batch import Attempt, Batch
from include.files.file import FileStamp
from include.ledger import files, leases, session
from include.ledger.batches import Batches, batch_from
from include.ledger.files import Files
from include.ledger.outbox import Outbox
from include.ledger.session import Cursor
from include.pipeline.delivering import Delivering
from include.run import Run
from spark_jobs.lake import LakeTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def without_the_fence() -> None:
    """Tokens, the newest attempt and the state version are no longer asked for."""
    session.check_token = lambda *_: None  # type: ignore[assignment]

    @contextmanager
    def publishing(
        self: Batches, spec: FeedSpec, token: int, run: Run, attempt: Attempt, manifest: Mapping[str, Any]
    ) -> Iterator[tuple[Cursor, Batch]]:
        with self.session.transaction(run) as cursor:
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
            cursor.execute(
                "select file_id, seq, key, accepted, bronze, touched_values from file where batch = %s order by seq", (attempt.batch,)
            )
            yield cursor, batch_from(row, cursor.fetchall())

    Batches.publishing = publishing  # type: ignore[method-assign,assignment]


def without_the_fence_of_deliveries() -> None:
    """A delivery that was taken for dead and replaced writes what it did all the same."""
    leases.check_delivery = lambda *_: None  # type: ignore[assignment]

    def relocated(self: Outbox, spec: FeedSpec, token: int, run: Run, file_id: int, location: str, location_key: str | None) -> None:
        with leases.fenced_delivery(self.session, spec.group, token, run) as cursor:
            cursor.execute("update file set location = %s, location_key = %s where file_id = %s", (location, location_key, file_id))
            told = f"{location}: {location_key}"
            cursor.execute("insert into file_event (file_id, kind, reason, run_id) values (%s, 'relocated', %s, 'late')", (file_id, told))

    Outbox.relocated = relocated  # type: ignore[method-assign]


def with_the_transaction_split() -> None:
    """Results are committed first, the states of batch and files after them."""
    whole = Batches.publishing

    @contextmanager
    def publishing(
        self: Batches, spec: FeedSpec, token: int, run: Run, attempt: Attempt, manifest: Mapping[str, Any]
    ) -> Iterator[tuple[Cursor, Batch]]:
        batch = self.open(spec)
        assert batch is not None
        with self.session.transaction(run) as cursor:
            yield cursor, dataclasses.replace(batch, published_at=dt.datetime.now(dt.UTC))
        with whole(self, spec, token, run, attempt, manifest):
            pass

    Batches.publishing = publishing  # type: ignore[method-assign,assignment]


def with_rows_appended_to_the_lake() -> None:
    """A commit of rows to the lake adds them: it takes nothing out, and has no number by which a repeat is known."""

    def replace_where(self: LakeTable, rows: DataFrame, batch: int, condition: str) -> None:
        del batch, condition
        rows.write.format("delta").mode("append").save(self.path)

    LakeTable.replace_where = replace_where  # type: ignore[method-assign]


def without_the_key_of_a_file() -> None:
    """An object that was registered and not yet decided is not recognised when it is listed again."""
    new_or_changed, latest = Files.new_or_changed, files._latest_versions

    def all_of_them(self: Files, spec: FeedSpec, bucket: str, listed: Sequence[FileStamp]) -> list[FileStamp]:
        known = {row["key"] for row in self.session.rows("select key from file where latest and state = 'registered'")}
        return new_or_changed(self, spec, bucket, listed) + [stamp for stamp in listed if stamp.key in known]

    def forgotten(cursor: Any, spec: FeedSpec, found: Sequence[FileStamp]) -> dict[tuple[str, str], tuple[int, str]]:
        versions = latest(cursor, spec, found)
        cursor.execute("select bucket, key from file where latest and state = 'registered'")
        return versions | {(row["bucket"], row["key"]): (versions[row["bucket"], row["key"]][0], "") for row in cursor.fetchall()}

    Files.new_or_changed = all_of_them  # type: ignore[method-assign]
    files._latest_versions = forgotten


def with_finance_delivered_before_its_files_are_written() -> None:
    """A batch counts as delivered before silver and gold as of it are written."""
    whole = TableExporter.export

    def export(self: TableExporter, batch: Batch, delivering: Delivering) -> None:
        delivering.ports.ledger.outbox.batch_delivered(delivering.spec, delivering.token, batch)
        whole(self, batch, delivering)

    TableExporter.export = export  # type: ignore[method-assign]
