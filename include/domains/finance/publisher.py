"""What the feeds of finance make visible: of each id the latest row, from the batch on that brought it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

from psycopg import sql

from include.domains.finance.request import LatestManifest, LatestRequest
from include.domains.finance.schema import FINDINGS, LATEST, Latest
from include.feed import FeedSpec
from include.files.batch import Batch
from include.ledger.batches import Publish
from include.ledger.session import Cursor
from include.ledger.tables import copy_in, spooled
from include.pipeline.message import Json
from include.pipeline.services import Services
from include.storage.object_store import ObjectStore
from include.storage.parquet import Spooled

_WINNERS = "select distinct on ({key}) {columns} from upsert order by {key}, {at} desc, seq desc, line desc"
_CLOSE = f"""
update {{table}} t set to_batch = %(batch)s from ({_WINNERS}) n
where n.{{key}} = t.{{key}} and t.to_batch is null and (n.{{at}}, n.seq, n.line) > (t.{{at}}, t.seq, t.line)
"""
_OPEN = f"""
insert into {{table}} ({{columns}}, from_batch) select n.*, %(batch)s from ({_WINNERS}) n
where not exists (select from {{table}} t where t.{{key}} = n.{{key}} and t.to_batch is null)
"""


def publisher(spec: FeedSpec, services: Services) -> LatestPublisher:
    return LatestPublisher(LATEST[spec.name], services.store, services.bucket)


@dataclass(frozen=True)
class LatestPublisher:
    """Of several rows of an id one holds, by (timestamp, seq, line)."""

    latest: Latest
    store: ObjectStore
    bucket: str

    def request(self, batch: Batch, attempt: int, output: str) -> LatestRequest:
        """The batch's bronze."""
        return LatestRequest.of_batch(batch, attempt, self.bucket, output)

    def prepare(self, manifest: Json) -> Publish:
        """Fetch what an attempt wrote."""
        made = LatestManifest.from_json(manifest).objects
        upserts, findings = (spooled(self.store, self.bucket, ref) for ref in (made.upserts, made.findings))
        return partial(self.publish, upserts=upserts, findings=findings)

    def publish(self, cursor: Cursor, batch: Batch, upserts: Spooled, findings: Spooled) -> dict[str, int]:
        """Let the batch's rows hold that are later than those of before."""
        names: dict[str, sql.Composable] = {
            "table": sql.Identifier("finance", self.latest.table),
            "key": sql.Identifier(self.latest.key),
            "at": sql.Identifier(self.latest.at),
            "columns": sql.SQL(", ").join(map(sql.Identifier, self.latest.upserts.names)),
        }
        cursor.execute(sql.SQL("create temporary table upsert (like {table}) on commit drop").format(**names))
        cursor.execute("alter table upsert alter from_batch drop not null")
        copy_in(cursor, "upsert", self.latest.upserts.names, upserts.pieces())
        for statement in (_CLOSE, _OPEN):
            cursor.execute(sql.SQL(statement).format(**names), {"batch": batch.number})
        latest = cursor.rowcount
        cursor.execute("drop table upsert")
        _put_files(cursor, batch, upserts)
        copy_in(cursor, "finance.finding", FINDINGS.names, findings.pieces())
        return {"ids": upserts.num_rows, "latest rows": latest, "findings": findings.num_rows}


def _put_files(cursor: Cursor, batch: Batch, upserts: Spooled) -> None:
    ids = Counter(file_id for piece in upserts.pieces(["file_id"]) for file_id in piece["file_id"].to_pylist())
    with cursor.copy("copy finance.published_file (file_id, feed, batch, rows, ids) from stdin") as copy:
        for file in batch.files:
            copy.write_row((file.file_id, batch.feed, batch.number, file.rows, ids[file.file_id]))
