"""What the transactions feed makes visible: detections, merchant counters, state pointers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from psycopg.types.json import Jsonb

from include.domains.transactions.compactor import point_at
from include.domains.transactions.queries import uncovered_state
from include.domains.transactions.request import DetectManifest, DetectRequest, ReferenceObject, StateObject, Thresholds
from include.feed import FeedSpec
from include.files import keys
from include.files.batch import Batch
from include.files.file import ObjectRef
from include.ledger.batches import Publish
from include.ledger.session import Cursor, LedgerSession
from include.ledger.tables import table_of
from include.pipeline.message import Json
from include.pipeline.services import Services
from include.storage.object_store import ObjectStore

ACTIONS = {"PatId1": "UPGRADE", "PatId2": "CHILD", "PatId3": "DEI-NEEDED"}
DETECTIONS_A_FILE = 50
Row = tuple[object, ...]

_NUMBER_NEW = """
insert into detection (number, seq, pattern_id, action_type, customer_name, merchant_id, detected_at, y_start_at, group_name, batch)
select (select coalesce(max(number), 0) from detection)
       + row_number() over (order by seq, pattern_id, merchant_id collate "C", customer_name collate "C"),
       seq, pattern_id, %(actions)s::jsonb ->> pattern_id, customer_name, merchant_id, %(at)s, %(started)s, %(group)s, %(batch)s
from found f
where not exists (
    select from detection d where d.pattern_id = f.pattern_id and d.merchant_id = f.merchant_id
                              and coalesce(d.customer_name, '') = coalesce(f.customer_name, ''))
returning number, pattern_id
"""
_COUNT = """
insert into merchant_transaction_counts as counted values (%s, %s)
on conflict (merchant_id) do update set total_transactions = counted.total_transactions + excluded.total_transactions
"""


def publisher(spec: FeedSpec, services: Services) -> TransactionsPublisher:
    return TransactionsPublisher(spec, services.ledger.session, services.store, services.bucket)


@dataclass(frozen=True)
class TransactionsPublisher:
    spec: FeedSpec
    ledger: LedgerSession
    store: ObjectStore
    bucket: str

    def request(self, batch: Batch, attempt: int, output: str) -> DetectRequest:
        """Exact objects, the merchants they touch, the thresholds, all published state."""
        return self.build_request(batch, attempt, output, uncovered_state(self.ledger, batch.feed))

    def build_request(self, batch: Batch, attempt: int, output: str, state: Sequence[StateObject]) -> DetectRequest:
        """A request on the state that is given, whose results go below `output`."""
        merchants = touched_merchants(batch)
        return DetectRequest.of_batch(
            batch,
            attempt,
            self.bucket,
            output,
            merchants=merchants,
            hot_merchants=self._may_pass(merchants, batch),
            state=tuple(state),
            reference=self._reference(batch),
            parameters=Thresholds(**batch.parameters),
        )

    def _may_pass(self, merchants: tuple[str, ...] | None, batch: Batch) -> tuple[str, ...] | None:
        """The merchants that may have more transactions than `min_total` before the batch ends: only they need the reference."""
        if merchants is None:
            return None
        found = self.ledger.rows(
            "select merchant_id, total_transactions from merchant_transaction_counts where merchant_id = any(%s)", (list(merchants),)
        )
        totals = {row["merchant_id"]: row["total_transactions"] for row in found}
        return tuple(merchant for merchant in merchants if totals.get(merchant, 0) + batch.rows > batch.parameters["min_total"])

    def _reference(self, batch: Batch) -> ReferenceObject | None:
        if batch.reference_version is None:
            return None
        row = self.ledger.row("select version, key from reference where feed = %s and version = %s", (batch.feed, batch.reference_version))
        return ReferenceObject(**row) if row else None

    def prepare(self, manifest: Json) -> Publish:
        """Read the detections and counters of an attempt."""
        made = DetectManifest.from_json(manifest).objects
        detections = table_of(self.store, self.bucket, made.detections).select(["seq", "pattern_id", "merchant", "customer"])
        counters = table_of(self.store, self.bucket, made.counters).select(["merchant", "transactions"])
        return partial(self.publish, detections=_tuples(detections), counters=_tuples(counters), partials=made.partials)

    def publish(
        self, cursor: Cursor, batch: Batch, detections: Sequence[Row], counters: Sequence[Row], partials: ObjectRef
    ) -> dict[str, int]:
        """Number what is new, count the merchants' transactions, point at the state. Counts of new detections by pattern."""
        assert batch.published_at is not None
        cursor.execute("create temporary table found (seq bigint, pattern_id text, merchant_id text, customer_name text) on commit drop")
        with cursor.copy("copy found from stdin") as copy:
            for row in detections:
                copy.write_row(row)
        cursor.execute(
            _NUMBER_NEW,
            {
                "actions": Jsonb(ACTIONS),
                "at": batch.published_at,
                "started": batch.started_at,
                "group": self.spec.group,
                "batch": batch.number,
            },
        )
        new = cursor.fetchall()
        cursor.execute("drop table found")
        self._plan_files(cursor, batch, sorted(row["number"] for row in new), batch.published_at.astimezone(dt.UTC).date())
        cursor.executemany(_COUNT, counters)
        if partials.rows:
            point_at(cursor, batch.feed, 0, batch.first_seq, batch.last_seq, self.bucket, partials)
        patterns = [row["pattern_id"] for row in new]
        return {f"{pattern} detections": patterns.count(pattern) for pattern in ACTIONS}

    def _plan_files(self, cursor: Cursor, batch: Batch, numbers: Sequence[int], date: dt.date) -> None:
        """Say which detections go into which file; deliver writes them."""
        for first in numbers[::DETECTIONS_A_FILE]:
            last = min(first + DETECTIONS_A_FILE - 1, numbers[-1])
            key = keys.detection_file(batch.feed, date, first, last)
            cursor.execute(
                "insert into detection_file (first_number, last_number, bucket, key, group_name, batch) values (%s, %s, %s, %s, %s, %s)",
                (first, last, self.bucket, key, self.spec.group, batch.number),
            )


def touched_merchants(batch: Batch) -> tuple[str, ...] | None:
    """The merchants with accepted rows in a batch, sorted; None where a file has too many to name."""
    merchants: set[str] = set()
    for file in batch.files:
        if file.touched_values is None:
            return None
        merchants.update(file.touched_values)
    return tuple(sorted(merchants))


def _tuples(table: pa.Table) -> list[Row]:
    columns: Iterable[list[object]] = (column.to_pylist() for column in table.columns)
    return list(zip(*columns, strict=True))
