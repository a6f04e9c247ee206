"""What the steps act through beside the services: the gate, and what is a feed's own. `domains` and `quality` answer; tests may too."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from include.feed import FeedSpec
from include.files.batch import Batch
from include.files.file import LedgerFile, ObjectRef
from include.files.outcome import Change, Difference, Key, Outcome, SeqRange
from include.files.verdict import Recount, Reread, Verdict
from include.logs import Log
from include.pipeline.services import Services

if TYPE_CHECKING:
    from include.ledger.batches import Publish
    from include.pipeline.delivering import Delivering
    from include.pipeline.message import JobRequest, Json


class Gate(Protocol):
    """Reads each file once and decides on it; a file's verdict never depends on its neighbours."""

    def validate(self, spec: FeedSpec, files: Sequence[LedgerFile], attempt: str, log: Log) -> list[Verdict]: ...
    def suite_digest(self, spec: FeedSpec) -> str: ...
    def reread(self, spec: FeedSpec, file_id: int, bronze: Sequence[ObjectRef]) -> Reread: ...
    def recount(self, spec: FeedSpec, file: LedgerFile, rejects: ObjectRef | None) -> Recount: ...


class Publisher(Protocol):
    """What a feed's job is asked, its results below a folder, and what publish makes visible.

    `prepare` reads what a manifest names, so that the transaction, which is what it returns, stays short.
    """

    def request(self, batch: Batch, attempt: int, output: str) -> JobRequest: ...
    def prepare(self, manifest: Json) -> Publish: ...


class Exporter(Protocol):
    """What deliver writes of a batch for people and programs; doing it twice does no harm."""

    def export(self, batch: Batch, delivering: Delivering) -> None: ...


class Compactor(Protocol):
    """Merges what the batches of a feed leave as state. `due` is asked by every run, so it asks the ledger alone."""

    def due(self) -> bool: ...
    def compact(self, delivering: Delivering) -> None: ...


class Shadow(Protocol):
    """A batch evaluated once more, its results below a folder where nobody looks, held against what was published. Reads only."""

    def request(self, batch: Batch, output: str) -> JobRequest: ...
    def outcome(self, manifest: Json) -> Outcome: ...
    def state_difference(self, recorded: Outcome, now: Outcome, seq: int) -> Difference | None: ...


class FindingHistory(Protocol):
    """Of a feed that finds things once only over its whole history: what was found when, and a batch on another history."""

    def request(self, batch: Batch, output: str, instead: Sequence[SeqRange]) -> JobRequest: ...
    def recorded(self, seqs: Sequence[int], keys: Collection[Key]) -> dict[Key, int]: ...
    def difference(self, change: Change) -> Difference: ...


@dataclass(frozen=True)
class FeedParts:
    """What is a feed's own, each made when it is first needed: most runs find nothing. What a feed does not have is None."""

    publisher: Callable[[], Publisher]
    exporter: Callable[[], Exporter] | None = None
    compactor: Callable[[], Compactor] | None = None
    shadow: Callable[[], Shadow] | None = None
    finding_history: Callable[[], FindingHistory] | None = None


@dataclass(frozen=True)
class Ports(Services):
    """Everything a step acts through. `peer_feed`: another feed by name, and what is its own."""

    gate: Gate
    parts: FeedParts
    peer_feed: Callable[[str], tuple[FeedSpec, FeedParts]]

    def for_peer_feed(self, spec: FeedSpec, feed: str) -> tuple[Ports, FeedSpec]:
        """The ports and the spec for the work of a feed of the group: those given where it is their own."""
        if feed == spec.name:
            return self, spec
        peer, parts = self.peer_feed(feed)
        return dataclasses.replace(self, parts=parts), peer
