"""What the sales feed makes visible: the marts, and what is unusual in the facts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pyarrow.compute as pc

from include.domains.sales.marts import publish_sums
from include.domains.sales.request import FactsManifest, FactsRequest
from include.domains.sales.schema import FACT_FINDINGS
from include.domains.sales.state import versions_of
from include.files.batch import Batch
from include.ledger.batches import Publish
from include.ledger.session import Cursor, LedgerSession
from include.ledger.tables import copy_in, spooled
from include.pipeline.message import JobFile, Json
from include.storage.object_store import ObjectStore
from include.storage.parquet import Spooled

R = TypeVar("R", bound=FactsRequest)


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
