"""What the transactions feed makes visible: detections, merchant counters, state pointers, detection files."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from psycopg.types.json import Jsonb

from include.feeds.transactions.compaction import compact
from include.feeds.transactions.job import JOB, DetectRequest, JobFile, ReferenceObject, StateObject, Thresholds
from include.feeds.transactions.spec import TRANSACTIONS
from include.feeds.transactions.state import parquet_table
from include.ingestion import keys
from include.ingestion.batch import Attempt, Batch
from include.ingestion.errors import AlreadyThere, SluiceError
from include.ingestion.ports import Job, ObjectStore, Say
from include.stores.ledger.books import begin_to_point
from include.stores.ledger.queries import Queries
from include.stores.ledger.session import Cursor, LedgerSession
from include.stores.transactions_books import TransactionsBooks
from include.stores.transactions_shadow import TransactionsShadows

ACTIONS = {"PatId1": "UPGRADE", "PatId2": "CHILD", "PatId3": "DEI-NEEDED"}
HEADER = ("YStartTime", "detectionTime", "patternId", "ActionType", "customerName", "MerchantId")
DETECTIONS_A_FILE = 50
MERGED_TOGETHER = 8
_IST = ZoneInfo("Asia/Kolkata")


class DetectionFileDiffers(SluiceError):
    """A detection file's name is taken by other bytes; it is written once and never changed, so a person has to look."""

    def __init__(self, bucket: str, key: str) -> None:
        self.key = key
        super().__init__(
            f"s3://{bucket}/{key} is there with other bytes than the ledger's; move it away and run again (docs/runbooks/stuck-batch.md)"
        )


@dataclass(frozen=True)
class Produced:
    """What an attempt of the job made: detections (seq, pattern, merchant, customer), counters (merchant, rows), partials."""

    detections: Sequence[tuple[int, str, str, str | None]]
    counters: Sequence[tuple[str, int]]
    partials: Mapping[str, Any]


class TransactionsResults:
    """The `Results` port of the transactions feed."""

    job = JOB

    def __init__(self, ledger: LedgerSession, store: ObjectStore, bucket: str, new_id: Callable[[], str]) -> None:
        self._ledger = ledger
        self._store = store
        self._bucket = bucket
        self._new_id = new_id
        self.shadows = TransactionsShadows(ledger, store, bucket, self.asked)
        books = TransactionsBooks(ledger, self.deliver, render)
        self.passes = books.passes
        self.pointers = books.pointers

    def request(self, batch: Batch, attempt: Attempt) -> dict[str, Any]:
        """What the job is asked: exact objects, the merchants they touch, the thresholds, all published state."""
        state = self._ledger.rows(
            "select key, level, first_seq, last_seq, rows from state_object where feed = %s and not covered order by first_seq",
            (batch.feed,),
        )
        output = keys.attempt_folder(batch.feed, batch.number, attempt.number)
        return self.asked(batch, attempt.number, [StateObject(**row) for row in state], output).to_json()

    def asked(self, batch: Batch, attempt: int, state: Sequence[StateObject], output: str) -> DetectRequest:
        """A request on the state that is given, whose results go below `output`."""
        merchants = touched(batch)
        return DetectRequest(
            feed=batch.feed,
            batch=batch.number,
            attempt=attempt,
            bucket=self._bucket,
            files=tuple(JobFile(file.file_id, file.seq, tuple(ref.key for ref in file.bronze), file.rows) for file in batch.files),
            merchants=merchants,
            hot_merchants=self._may_pass(merchants, batch),
            state=tuple(state),
            reference=self._reference(batch),
            parameters=Thresholds(**batch.parameters),
            output=output,
        )

    def _may_pass(self, merchants: tuple[str, ...] | None, batch: Batch) -> tuple[str, ...] | None:
        """The merchants that may have more transactions than `min_total` before the batch ends: only they need the reference."""
        if merchants is None:
            return None
        found = self._ledger.rows(
            "select merchant_id, total_transactions from merchant_transaction_counts where merchant_id = any(%s)", (list(merchants),)
        )
        totals = {row["merchant_id"]: row["total_transactions"] for row in found}
        return tuple(merchant for merchant in merchants if totals.get(merchant, 0) + batch.rows > batch.parameters["min_total"])

    def _reference(self, batch: Batch) -> ReferenceObject | None:
        if batch.reference_version is None:
            return None
        row = self._ledger.row("select version, key from reference where feed = %s and version = %s", (batch.feed, batch.reference_version))
        return ReferenceObject(**row) if row else None

    def read(self, manifest: Mapping[str, Any]) -> Produced:
        """Read what an attempt wrote, exactly the objects its manifest names."""
        objects = manifest["objects"]
        detections = self._table(objects["detections"]).select(["seq", "pattern_id", "merchant", "customer"])
        counters = self._table(objects["counters"]).select(["merchant", "transactions"])
        return Produced(_tuples(detections), _tuples(counters), objects["partials"])

    def _table(self, ref: Mapping[str, Any]) -> pa.Table:
        return parquet_table(self._store.read_bytes(self._bucket, ref["key"], ref["etag"]))

    def publish(self, transaction: Cursor, batch: Batch, produced: Produced, at: dt.datetime) -> dict[str, int]:
        """Number what is new, count the merchants' transactions, point at the state. Counts of new detections by pattern."""
        transaction.execute(
            "create temporary table found (seq bigint, pattern_id text, merchant_id text, customer_name text) on commit drop"
        )
        with transaction.copy("copy found from stdin") as copy:
            for row in produced.detections:
                copy.write_row(row)
        transaction.execute(
            """insert into detection (number, seq, pattern_id, action_type, customer_name, merchant_id, detected_at, y_start_at,
                                      group_name, batch)
               select (select coalesce(max(number), 0) from detection)
                      + row_number() over (order by seq, pattern_id, merchant_id collate "C", customer_name collate "C"),
                      seq, pattern_id, %(actions)s::jsonb ->> pattern_id, customer_name, merchant_id, %(at)s, %(started)s,
                      %(group)s, %(batch)s
               from found f
               where not exists (
                   select from detection d where d.pattern_id = f.pattern_id and d.merchant_id = f.merchant_id
                                             and coalesce(d.customer_name, '') = coalesce(f.customer_name, ''))
               returning number, pattern_id""",
            {
                "actions": Jsonb(ACTIONS),
                "at": at,
                "started": batch.started_at,
                "group": TRANSACTIONS.group,
                "batch": batch.number,
            },
        )
        new = transaction.fetchall()
        numbers = sorted(row["number"] for row in new)
        for first in numbers[::DETECTIONS_A_FILE]:
            last = min(first + DETECTIONS_A_FILE - 1, numbers[-1])
            transaction.execute(
                "insert into detection_file (first_number, last_number, bucket, key, group_name, batch) values (%s, %s, %s, %s, %s, %s)",
                (
                    first,
                    last,
                    self._bucket,
                    keys.detection_file(batch.feed, at.astimezone(dt.UTC).date(), first, last),
                    TRANSACTIONS.group,
                    batch.number,
                ),
            )
        transaction.executemany(
            """insert into merchant_transaction_counts as counted values (%s, %s)
               on conflict (merchant_id) do update set total_transactions = counted.total_transactions + excluded.total_transactions""",
            produced.counters,
        )
        if produced.partials["rows"]:
            point_at(transaction, batch.feed, 0, batch.first_seq, batch.last_seq, self._bucket, produced.partials)
        patterns = [row["pattern_id"] for row in new]
        return {f"{pattern} detections": patterns.count(pattern) for pattern in ACTIONS}

    def deliver(self, batch: Batch, job: Job, say: Say) -> None:
        """Write the batch's detection files that are not written yet; one that is there must hold the same bytes."""
        del job
        for file in self._ledger.rows(
            "select * from detection_file where group_name = %s and batch = %s and written_at is null order by first_number",
            (TRANSACTIONS.group, batch.number),
        ):
            detections = self._ledger.rows(
                "select * from detection where number between %s and %s order by number", (file["first_number"], file["last_number"])
            )
            body = render(detections)
            try:
                self._store.put(file["bucket"], file["key"], body, if_absent=True)
            except AlreadyThere as there:
                if self._store.read_bytes(file["bucket"], file["key"]) != body:
                    raise DetectionFileDiffers(file["bucket"], file["key"]) from there
            with self._ledger.transaction() as cursor:
                cursor.execute("update detection_file set written_at = clock_timestamp() where first_number = %s", (file["first_number"],))
            say(f"delivered s3://{file['bucket']}/{file['key']} ({len(detections)} detections)")

    def tidy(self, say: Say) -> None:
        """Merge neighbouring state objects, so that a batch reads few of them however long the history is."""
        while True:
            uncovered = self._ledger.rows(
                "select key, level, first_seq, last_seq, rows from state_object where feed = %s and not covered order by first_seq",
                (TRANSACTIONS.name,),
            )
            run = mergeable(uncovered)
            if run is None:
                return
            level, first, last = run[0]["level"] + 1, run[0]["first_seq"], run[-1]["last_seq"]
            key = keys.compacted_state(TRANSACTIONS.name, level, first, last, self._new_id())
            made = asdict(compact(self._store, self._bucket, [StateObject(**part) for part in run], key))
            with self._ledger.transaction() as cursor:
                begin_to_point(cursor)
                if self._store.head(self._bucket, key) is None:
                    continue  # a reconciliation that collects was quicker than this pointer
                if point_at(cursor, TRANSACTIONS.name, level, first, last, self._bucket, made):
                    cursor.execute(
                        "update state_object set covered = true where feed = %s and level = %s and first_seq = any(%s)",
                        (TRANSACTIONS.name, level - 1, [one["first_seq"] for one in run]),
                    )
            say(f"merged {len(run)} state objects into one of {made['rows']} rows (seq {first}-{last}, level {level})")


def touched(batch: Batch) -> tuple[str, ...] | None:
    """The merchants with accepted rows in a batch, sorted; None where a file has too many to name."""
    merchants: set[str] = set()
    for file in batch.files:
        if file.touched is None:
            return None
        merchants.update(file.touched)
    return tuple(sorted(merchants))


def mergeable(uncovered: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]] | None:
    """The first run of eight neighbouring objects of one level, the oldest and so never one that still grows; None if there is none."""
    for start in range(len(uncovered) - MERGED_TOGETHER + 1):
        run = uncovered[start : start + MERGED_TOGETHER]
        if len({one["level"] for one in run}) == 1:
            return run
    return None


def point_at(transaction: Cursor, feed: str, level: int, first: int, last: int, bucket: str, ref: Mapping[str, Any]) -> bool:
    """Make a state object part of the state; False where another run has merged the same stretch meanwhile."""
    transaction.execute(
        """insert into state_object (feed, level, first_seq, last_seq, bucket, key, size, etag, rows)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (feed, level, first_seq) do nothing""",
        (feed, level, first, last, bucket, ref["key"], ref["size"], ref["etag"], ref["rows"]),
    )
    return transaction.rowcount == 1


def render(detections: Sequence[Mapping[str, Any]]) -> bytes:
    """A detection file: times in IST with microseconds, what does not apply empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for detection in detections:
        writer.writerow(
            (
                _ist(detection["y_start_at"]),
                _ist(detection["detected_at"]),
                detection["pattern_id"],
                detection["action_type"],
                detection["customer_name"] or "",
                detection["merchant_id"],
            )
        )
    return text.getvalue().encode()


def _ist(instant: dt.datetime) -> str:
    return instant.astimezone(_IST).isoformat(timespec="microseconds")


def _tuples(table: pa.Table) -> list[Any]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def state_as_of(ledger: Queries, store: ObjectStore, bucket: str, feed: str, seq: int | None, merchant: str | None) -> list[dict[str, Any]]:
    """(merchant, customer, n, cents, gender) as of a file, sorted by merchant and customer; None = all that is published."""
    newest = ledger.newest_published_seq(feed) if seq is None else seq
    pieces: list[pa.Table] = []
    for part in ledger.state_objects_until(feed, newest):
        table = parquet_table(store.read_bytes(bucket, part["key"], part["etag"]))
        if part["level"] == 0:
            table = table.filter(pc.less_equal(table["seq"], newest)).rename_columns({"seq": "first_seq"})
        if merchant is not None:
            table = table.filter(pc.equal(table["merchant"], merchant))
        pieces.append(table.select(["merchant", "customer", "first_seq", "n", "cents", "gender"]))
    if not pieces:
        return []
    rows = pa.concat_tables(pieces).sort_by("first_seq")
    summed = rows.group_by(["merchant", "customer"], use_threads=False).aggregate([("n", "sum"), ("cents", "sum"), ("gender", "first")])
    named = summed.rename_columns({"n_sum": "n", "cents_sum": "cents", "gender_first": "gender"})
    held: list[dict[str, Any]] = named.sort_by([("merchant", "ascending"), ("customer", "ascending")]).to_pylist()
    return held
