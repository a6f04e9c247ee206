"""What a batch of sales makes visible: of facts the sums in the marts, of a dimension its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pyarrow.compute as pc
from psycopg import sql

from include.domains.sales.marts import publish_sums
from include.domains.sales.request import DatedFile, DimensionManifest, DimensionRequest, FactsManifest, FactsRequest, LookedAtAgain
from include.domains.sales.schema import DIMENSIONS, FACT_FINDINGS, FACTS_FEED, PRODUCT, Dimension
from include.domains.sales.state import dimension_object, file_dates, point_at, published_facts, versions_of
from include.feed import FeedSpec
from include.files.batch import Batch
from include.files.file import ObjectRef
from include.ledger.batches import Publish
from include.ledger.session import Cursor, LedgerSession
from include.ledger.tables import copy_in, spooled
from include.pipeline.message import JobFile, Json
from include.pipeline.services import Services
from include.storage.object_store import ObjectStore
from include.storage.parquet import Spooled

R = TypeVar("R", bound=FactsRequest)


def publisher(spec: FeedSpec, services: Services) -> FactsPublisher | DimensionPublisher:
    session, store, bucket = services.ledger.session, services.store, services.bucket
    if spec.name == FACTS_FEED:
        return FactsPublisher(session, store, bucket)
    return DimensionPublisher(DIMENSIONS[spec.name], session, store, bucket)


@dataclass(frozen=True)
class FactsPublisher:
    ledger: LedgerSession
    store: ObjectStore
    bucket: str

    def request(self, batch: Batch, attempt: int, output: str) -> FactsRequest:
        """The batch's bronze, that of the files it supersedes, the dimensions as of before the batch."""
        return facts_request(FactsRequest, self.ledger, self.bucket, batch, attempt, output)

    def prepare(self, manifest: Json) -> Publish:
        """Fetch what an attempt wrote."""
        made = FactsManifest.from_json(manifest).objects
        sums, findings = (spooled(self.store, self.bucket, ref) for ref in (made.sums, made.findings))
        return partial(publish_facts, sums=sums, findings=findings)


def facts_request(kind: type[R], ledger: LedgerSession, bucket: str, batch: Batch, attempt: int, output: str) -> R:
    """A request whose results go below `output`; dimensions as of before the batch."""
    superseded = tuple(JobFile.of(old, file.seq) for file in batch.files for old in file.supersedes)
    return kind.of_batch(batch, attempt, bucket, output, superseded=superseded, versions=versions_of(ledger, batch.number))


def publish_facts(cursor: Cursor, batch: Batch, sums: Spooled, findings: Spooled) -> dict[str, int]:
    """Let the batch count in the marts, and list what is unusual in it."""
    changed = publish_sums(cursor, batch, sums)
    gone = [old.file_id for old in batch.superseded]
    cursor.execute("delete from sales.unresolved where file_id = any(%s)", (gone,))
    cursor.execute("delete from sales.price_difference where file_id = any(%s)", (gone,))
    unresolved, prices = put_findings(cursor, findings)
    return {"incentives changed": changed, "unresolved values": unresolved, "price warnings": prices}


def put_findings(cursor: Cursor, findings: Spooled) -> tuple[int, int]:
    """List values that are unknown, and prices that differ; how many of each."""
    if not findings.num_rows:
        return 0, 0
    unknown = (piece.filter(pc.is_valid(piece["column"])) for piece in findings.pieces())
    differing = (piece.filter(pc.is_null(piece["column"])) for piece in findings.pieces())
    of_a_price = [name for name in FACT_FINDINGS.names if name not in {"column", "value"}]
    return (
        copy_in(cursor, "sales.unresolved", ["file_id", "line", "column", "value"], unknown),
        copy_in(cursor, "sales.price_difference", of_a_price, differing),
    )


@dataclass(frozen=True)
class DimensionPublisher:
    dimension: Dimension
    ledger: LedgerSession
    store: ObjectStore
    bucket: str

    def request(self, batch: Batch, attempt: int, output: str) -> DimensionRequest:
        """The batch's bronze, the dimension as of before the batch, the files of facts in force."""
        dates = file_dates(self.ledger, [file.file_id for file in batch.files])
        return DimensionRequest.of_batch(
            batch,
            attempt,
            self.bucket,
            output,
            files=tuple(DatedFile(**vars(JobFile.of(file)), date=dates[file.file_id]) for file in batch.files),
            superseded=tuple(old.file_id for old in batch.superseded),
            upserts=dimension_object(self.ledger, batch.feed, "upserts", batch.number),
            versions=dimension_object(self.ledger, batch.feed, "versions", batch.number),
            facts=published_facts(self.ledger),
        )

    def prepare(self, manifest: Json) -> Publish:
        """Fetch what an attempt wrote."""
        made = DimensionManifest.from_json(manifest)
        objects = made.objects
        touched_keys, changed, findings = (
            spooled(self.store, self.bucket, ref) for ref in (objects.touched_keys, objects.changed, objects.findings)
        )
        state = {"upserts": objects.upserts, "versions": objects.versions}
        return partial(self.publish, state=state, again=made.again, touched_keys=touched_keys, changed=changed, findings=findings)

    def publish(
        self,
        cursor: Cursor,
        batch: Batch,
        state: Mapping[str, ObjectRef],
        again: LookedAtAgain,
        touched_keys: Spooled,
        changed: Spooled,
        findings: Spooled,
    ) -> dict[str, int]:
        """Put the versions of the keys that the batch touches in place of those before; resolve what they resolve."""
        for name, ref in state.items():
            point_at(cursor, batch.feed, batch.number, name, self.bucket, ref)
        cursor.execute("create temporary table touched (key bigint) on commit drop")
        copy_in(cursor, "touched", ["key"], touched_keys.pieces())
        self._put_versions(cursor, changed)
        resolved = self._resolve(cursor, again)
        put_findings(cursor, findings)
        cursor.execute("drop table touched")
        return {"keys": touched_keys.num_rows, "versions": changed.num_rows, "values settled": resolved}

    def _put_versions(self, cursor: Cursor, changed: Spooled) -> None:
        names = {"table": sql.Identifier("sales", self.dimension.table), "key": sql.Identifier(self.dimension.key)}
        cursor.execute(sql.SQL("delete from {table} d using touched t where d.{key} = t.key").format(**names))
        columns = [
            {"key": self.dimension.key, "surrogate": self.dimension.surrogate}.get(name, name) for name in changed.nothing.column_names
        ]
        copy_in(cursor, f"sales.{self.dimension.table}", columns, (piece.rename_columns(columns) for piece in changed.pieces()))

    def _resolve(self, cursor: Cursor, again: LookedAtAgain) -> int:
        """Strike from the lists what is known now, and all that was looked at once more; how many unknown values that were."""
        if self.dimension is not PRODUCT:
            statement = """delete from sales.unresolved u using touched t
                           where u."column" = {column} and u.value = t.key::text and exists (select from {table} d where d.{key} = t.key)"""
            names = {
                "column": sql.Literal(self.dimension.names),
                "table": sql.Identifier("sales", self.dimension.table),
                "key": sql.Identifier(self.dimension.key),
            }
            cursor.execute(sql.SQL(statement).format(**names))
            return cursor.rowcount
        looked_at = {"names": list(again.product_names or ()), "files": list(again.file_ids or ())}
        cursor.execute("delete from sales.price_difference where product_name = any(%(names)s) and file_id = any(%(files)s)", looked_at)
        cursor.execute(
            """delete from sales.unresolved
               where "column" = 'product_name' and value = any(%(names)s) and file_id = any(%(files)s)""",
            looked_at,
        )
        return cursor.rowcount
