"""What reconciliation asks of the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from include.ingestion.feed import FeedSpec
from include.ingestion.kept import KeptFile
from include.ingestion.reconcile.at_work import AtWork
from include.ingestion.reconcile.finding import Finding
from include.ingestion.reconcile.inventory import Expected
from include.ingestion.reconcile.tally import Tally
from include.ingestion.run import Run
from include.ingestion.verdict import Verdict

if TYPE_CHECKING:
    from include.ingestion.ports import Undelivered


class Books(Protocol):
    """The ledger, page by page, and the few writes that make good what was found."""

    def at_work(self, spec: FeedSpec) -> AtWork: ...
    def kept_page(self, spec: FeedSpec, after_seq: int, limit: int, date: dt.date | None) -> list[KeptFile]: ...
    def objects_of_batches(self, spec: FeedSpec, bucket: str) -> Iterator[Expected]: ...
    def told(self, file_id: int) -> Undelivered: ...
    def tallies(self, spec: FeedSpec, date: dt.date | None) -> list[dict[str, Any]]: ...
    def sums_that_differ(self, spec: FeedSpec) -> list[tuple[str, str]]: ...

    def mark_gone(self, spec: FeedSpec, token: int, run: Run, file_id: int) -> dt.datetime: ...
    def point_at_rows(self, spec: FeedSpec, token: int, run: Run, verdict: Verdict, why: str) -> None: ...
    def nobody_points(self, spec: FeedSpec, candidates: Sequence[str]) -> AbstractContextManager[frozenset[str]]: ...
    def record_reconciliation(
        self, spec: FeedSpec, run: Run, read: bool, tallies: Sequence[Tally], findings: Sequence[Finding], at: dt.datetime
    ) -> None: ...
    def record_failure(self, feed: str | None, run_id: str, step: str, what: str) -> None: ...
