"""What the detection job is asked, as values: exact objects, thresholds, and where its results go."""

from __future__ import annotations

from dataclasses import dataclass

from include.feeds.message import JobRequest

JOB = "detect_transactions"


@dataclass(frozen=True)
class JobFile:
    """A file of the batch: its place in the order, and the bronze objects with its accepted rows."""

    file_id: int
    seq: int
    objects: tuple[str, ...]
    rows: int = 0


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
    """The feed's parameters, as recorded with the batch (DESIGN 5)."""

    min_total: int
    min_count: int
    max_avg_cents: int
    min_female: int
    top: int
    bottom: int


@dataclass(frozen=True, kw_only=True)
class DetectRequest(JobRequest):
    """Evaluate the three patterns after each of these files.

    Attributes:
        files: the batch, in seq order.
        merchants: every merchant with rows in the batch, or None where they are too many to name: then all state is read.
        hot_merchants: those of them whose total may pass `min_total` within this batch (only they need the reference), or None
            where that is not known.
        state: published objects that together hold every seq before the batch, each once.
    """

    files: tuple[JobFile, ...]
    merchants: tuple[str, ...] | None
    hot_merchants: tuple[str, ...] | None
    state: tuple[StateObject, ...]
    reference: ReferenceObject | None
    parameters: Thresholds

    @property
    def rows(self) -> int:
        """How many rows the job meets at most, new and from state, as far as the request says."""
        return sum(file.rows for file in self.files) + sum(part.rows for part in self.state)
