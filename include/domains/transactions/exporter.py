"""What deliver writes of transactions: detection files, each once and never changed."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from include.domains.transactions.queries import Detection, detections_between
from include.errors import AlreadyThere, SluiceError
from include.feed import FeedSpec
from include.files.batch import Batch
from include.ledger.leases import fenced_delivery
from include.ledger.session import LedgerSession
from include.pipeline.delivering import Delivering
from include.pipeline.services import Services
from include.storage.object_store import ObjectStore

HEADER = ("YStartTime", "detectionTime", "patternId", "ActionType", "customerName", "MerchantId")
_IST = ZoneInfo("Asia/Kolkata")


class DetectionFileDiffers(SluiceError):
    """A detection file's name is taken by other bytes; it is written once and never changed, so a person has to look."""

    def __init__(self, bucket: str, key: str) -> None:
        self.key = key
        super().__init__(
            f"s3://{bucket}/{key} is there with other bytes than the ledger's; move it away and run again (docs/runbooks/stuck-batch.md)"
        )


@dataclass(frozen=True)
class DetectionFile:
    """A row of `detection_file`: the detections of which numbers go where."""

    first_number: int
    last_number: int
    bucket: str
    key: str


def exporter(spec: FeedSpec, services: Services) -> DetectionExporter:
    return DetectionExporter(spec, services.ledger.session, services.store)


@dataclass(frozen=True)
class DetectionExporter:
    spec: FeedSpec
    ledger: LedgerSession
    store: ObjectStore

    def export(self, batch: Batch, delivering: Delivering) -> None:
        """Write the batch's detection files that are not written yet, each by itself; one that is there must hold the same bytes."""
        rows = self.ledger.rows(
            """select first_number, last_number, bucket, key from detection_file
               where group_name = %s and batch = %s and written_at is null order by first_number""",
            (self.spec.group, batch.number),
        )
        delivering.each(partial(self.write, DetectionFile(**row), delivering) for row in rows)

    def write(self, file: DetectionFile, delivering: Delivering) -> None:
        detections = detections_between(self.ledger, file.first_number, file.last_number)
        body = render(detections)
        try:
            self.store.put(file.bucket, file.key, body, if_absent=True)
        except AlreadyThere as there:
            if self.store.read_bytes(file.bucket, file.key) != body:
                raise DetectionFileDiffers(file.bucket, file.key) from there
        with fenced_delivery(self.ledger, self.spec.group, delivering.token) as cursor:
            cursor.execute("update detection_file set written_at = clock_timestamp() where first_number = %s", (file.first_number,))
        delivering.log(f"delivered s3://{file.bucket}/{file.key} ({len(detections)} detections)")


def render(detections: Iterable[Detection]) -> bytes:
    """A detection file: times in IST with microseconds, what does not apply empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for one in detections:
        at = (_ist(one.y_start_at), _ist(one.detected_at))
        writer.writerow((*at, one.pattern_id, one.action_type, one.customer_name or "", one.merchant_id))
    return text.getvalue().encode()


def _ist(instant: dt.datetime) -> str:
    return instant.astimezone(_IST).isoformat(timespec="microseconds")
