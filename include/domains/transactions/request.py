"""What the detection job is asked, and the manifest that it leaves: exact objects, thresholds, and where its results go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from include.pipeline.message import BatchRequest, JobObject, JobObjects, Manifest


@dataclass(frozen=True)
class StateObject:
    """A published Parquet object with the aggregates of seqs `first_seq..last_seq`; level 0 is one batch's partials."""

    key: str
    level: int
    first_seq: int
    last_seq: int
    rows: int = 0


@dataclass(frozen=True)
class ReferenceObject:
    """The version of `CustomerImportance` that the batch uses, aggregated."""

    version: int
    key: str


@dataclass(frozen=True)
class Thresholds:
    """The feed's parameters, as recorded with the batch."""

    min_total: int
    min_count: int
    max_avg_cents: int
    min_female: int
    top: int
    bottom: int


@dataclass(frozen=True, kw_only=True)
class DetectRequest(BatchRequest):
    """Evaluate the three patterns after each of these files.

    Attributes:
        merchants: every merchant with rows in the batch, or None where they are too many to name: then all state is read.
        hot_merchants: those of them whose total may pass `min_total` within this batch (only they need the reference), or None
            where that is not known.
        state: published objects that together hold every seq before the batch, each once.
    """

    job: ClassVar[str] = "detect_transactions"
    merchants: tuple[str, ...] | None
    hot_merchants: tuple[str, ...] | None
    state: tuple[StateObject, ...]
    reference: ReferenceObject | None
    parameters: Thresholds

    @property
    def rows(self) -> int:
        """How many rows the job meets at most, new and from state, as far as the request says."""
        return sum(file.rows for file in self.files) + sum(part.rows for part in self.state)


@dataclass(frozen=True)
class DetectObjects(JobObjects):
    """Partials (the batch's contribution to state), detections, and the rows of each merchant."""

    partials: JobObject
    detections: JobObject
    counters: JobObject


@dataclass(frozen=True, kw_only=True)
class DetectManifest(Manifest):
    objects: DetectObjects
