"""Merging neighbouring state objects, so that a batch reads few of them however long the history is.

Every run asks whether there is anything to merge, so what reads tables is imported where one is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.domains.transactions.queries import uncovered_state
from include.domains.transactions.request import StateObject
from include.feed import FeedSpec
from include.files import keys
from include.files.file import ObjectRef
from include.ledger.leases import fenced_delivery, shared_gc_lock
from include.ledger.session import Cursor, LedgerSession
from include.pipeline.delivering import Delivering
from include.pipeline.services import Services
from include.storage.object_store import ObjectStore

MERGED_TOGETHER = 8


def compactor(spec: FeedSpec, services: Services) -> StateCompactor:
    return StateCompactor(spec, services.ledger.session, services.store, services.bucket, services.new_id)


@dataclass(frozen=True)
class StateCompactor:
    spec: FeedSpec
    ledger: LedgerSession
    store: ObjectStore
    bucket: str
    new_id: Callable[[], str]

    def due(self) -> bool:
        return mergeable(uncovered_state(self.ledger, self.spec.name)) is not None

    def compact(self, delivering: Delivering) -> None:
        """Merge as long as there are enough neighbours of one level."""
        feed = self.spec.name
        while (run := mergeable(uncovered_state(self.ledger, feed))) is not None:
            level, first, last = run[0].level + 1, run[0].first_seq, run[-1].last_seq
            key = keys.compacted_state(feed, level, first, last, self.new_id())
            from include.domains.transactions.partials import merge_objects

            made = merge_objects(self.store, self.bucket, run, key)
            with fenced_delivery(self.ledger, self.spec.group, delivering.token) as cursor:
                shared_gc_lock(cursor)
                if self.store.head(self.bucket, key) is None:
                    continue  # a reconciliation that collects was quicker than this pointer
                if point_at(cursor, feed, level, first, last, self.bucket, made):
                    cursor.execute(
                        "update state_object set covered = true where feed = %s and level = %s and first_seq = any(%s)",
                        (feed, level - 1, [one.first_seq for one in run]),
                    )
            delivering.log(f"merged {len(run)} state objects into one of {made.rows} rows (seq {first}-{last}, level {level})")


def mergeable(uncovered: Sequence[StateObject]) -> Sequence[StateObject] | None:
    """The first run of eight neighbouring objects of one level, the oldest and so never one that still grows; None if there is none."""
    for start in range(len(uncovered) - MERGED_TOGETHER + 1):
        run = uncovered[start : start + MERGED_TOGETHER]
        if len({one.level for one in run}) == 1:
            return run
    return None


def point_at(cursor: Cursor, feed: str, level: int, first: int, last: int, bucket: str, ref: ObjectRef) -> bool:
    """Make a state object part of the state; False where another run has merged the same seqs meanwhile."""
    cursor.execute(
        """insert into state_object (feed, level, first_seq, last_seq, bucket, key, size, etag, rows)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (feed, level, first_seq) do nothing""",
        (feed, level, first, last, bucket, ref.key, ref.size, ref.etag, ref.rows),
    )
    return cursor.rowcount == 1
