"""The journal: what the ledger decided and published, kept beside the data, so that a ledger restored from a backup catches up exactly.

Deliver writes an entry before anything that leaves the house: whoever saw an output file, its numbers are in the journal.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from include.ingestion import keys
from include.ingestion.errors import AlreadyThere, JournalIncomplete, LedgerBehind, ObjectGone
from include.ingestion.feed import FeedSpec
from include.ingestion.group import for_feed
from include.ingestion.ports import Ports, Results
from include.ingestion.run import Run

FORMAT = 1


@dataclass(frozen=True)
class Position:
    """How far a group has come: the newest seq of each of its feeds, and how often it has published."""

    seqs: Mapping[str, int]
    state_version: int

    def behind(self, other: Position) -> bool:
        return self.state_version < other.state_version or bool(self.lagging(other))

    def lagging(self, other: Position) -> list[str]:
        """The feeds that have not come as far as there."""
        return sorted(feed for feed, seq in other.seqs.items() if self.seqs.get(feed, 0) < seq)

    def with_(self, other: Position) -> Position:
        feeds = self.seqs.keys() | other.seqs.keys()
        return Position(
            {feed: max(self.seqs.get(feed, 0), other.seqs.get(feed, 0)) for feed in feeds}, max(self.state_version, other.state_version)
        )

    def __str__(self) -> str:
        return ", ".join(f"{feed} seq {seq}" for feed, seq in sorted(self.seqs.items())) + f", state {self.state_version}"


@dataclass(frozen=True)
class Added:
    """The files and batches that one entry put back, and the newest lease when it was written."""

    files: frozenset[int]
    batches: frozenset[int]
    lease_token: int


@dataclass(frozen=True)
class CaughtUp:
    """What was put back into a ledger that was behind."""

    entries: int
    files: int
    batches: int


def write_journal(ports: Ports, spec: FeedSpec, batches: Sequence[int], files: Sequence[int]) -> None:
    """Keep the rows of what is about to be delivered, then say how far the journal goes. Written twice, it says the same twice."""
    rows = ports.ledger.journal_rows(spec, batches, files)
    body = json.dumps({"format": FORMAT, "group": spec.group, "rows": rows}, ensure_ascii=False, sort_keys=True).encode()
    ports.store.put(ports.bucket, keys.journal_entry(spec.group, ports.clock(), ports.new_id()), body)
    _say_how_far(ports, spec, _reached(rows))


def _say_how_far(ports: Ports, spec: FeedSpec, reached: Position) -> None:
    """Let the journal be said to go as far as this, and never less far than it was said to."""
    key = keys.journal_newest(spec.group)
    while True:
        said, etag = _newest(ports, spec)
        if said is not None and not said.behind(reached):
            return
        farthest = json.dumps(asdict(reached if said is None else said.with_(reached)), sort_keys=True).encode()
        with contextlib.suppress(AlreadyThere, ObjectGone):  # another run said how far it came in between
            if said is None:
                ports.store.put(ports.bucket, key, farthest, if_absent=True)
            else:
                ports.store.replace(ports.bucket, key, farthest, etag=etag)
            return


def _reached(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Position:
    seqs: dict[str, int] = {}
    for row in rows["file"]:
        seqs[row["feed"]] = max(row["seq"], seqs.get(row["feed"], 0))
    return Position(seqs, max((row["state_version"] or 0 for row in rows["batch"]), default=0))


def newest(ports: Ports, spec: FeedSpec) -> Position | None:
    """How far the journal goes, or None where nothing was ever delivered."""
    return _newest(ports, spec)[0]


def _newest(ports: Ports, spec: FeedSpec) -> tuple[Position | None, str]:
    """How far the journal goes, and the etag of the object that says so."""
    key = keys.journal_newest(spec.group)
    while (there := ports.store.head(ports.bucket, key)) is not None:
        with contextlib.suppress(ObjectGone):  # it went on in between
            said = json.loads(ports.store.read_bytes(ports.bucket, key, there.etag))
            # A release whose groups had one feed each kept its seq alone.
            return Position(said["seqs"] if "seqs" in said else {spec.name: said["seq"]}, said["state_version"]), there.etag
    return None, ""


def refuse_if_behind(ports: Ports, spec: FeedSpec) -> None:
    """Let nothing be ingested into a ledger that knows less than was delivered: it would give the same numbers twice.

    Raises:
        LedgerBehind: the ledger was restored from an older backup, or is another one than wrote to this bucket.
    """
    there, here = newest(ports, spec), ports.ledger.position(spec)
    if there is not None and here.behind(there):
        feed = (here.lagging(there) or [spec.name])[0]
        raise LedgerBehind(feed, ports.bucket, there.seqs.get(feed, 0), here.seqs.get(feed, 0))


def catch_up(ports: Ports, spec: FeedSpec, run: Run) -> CaughtUp | None:
    """Put back what the journal has and the ledger lacks, batch after batch as it was published; None where nothing is lacking.

    Raises:
        FeedBusy, FeedPaused: as a run of the feed would.
        JournalIncomplete: an entry is missing; what came before it was put back.
    """
    there = newest(ports, spec)
    if there is None or not ports.ledger.position(spec).behind(there):
        return None
    ports.say(f"the ledger of {spec.group} is behind what was delivered ({there}): the journal is put back")
    token = ports.ledger.take_lease(spec, run)
    done: list[Added] = []

    def results_of(feed: str) -> Results:
        return for_feed(ports, spec, feed)[0].results

    try:
        with ports.ledger.kept_lease(spec, token):
            done.extend(ports.ledger.put_back(spec, token, run, rows, results_of) for rows in _entries(ports, spec))
    finally:
        ports.ledger.let_go(spec, token)
    ports.ledger.outdate_leases(spec, max((added.lease_token for added in done), default=0))
    here = ports.ledger.position(spec)
    if here.behind(there):
        raise JournalIncomplete(spec.name, f"its entries end at {here}, what was delivered goes on to {there}")
    caught = CaughtUp(len(done), len({file for added in done for file in added.files}), sum(len(added.batches) for added in done))
    ports.say(f"put back from {caught.entries} journal entries: {caught.files} files, {caught.batches} published batches")
    return caught


def _entries(ports: Ports, spec: FeedSpec) -> Iterator[Mapping[str, Any]]:
    """The rows of every entry, in the order in which they were written."""
    newest_key = keys.journal_newest(spec.group)
    for key in sorted(stamp.key for stamp in ports.store.objects(ports.bucket, keys.journal(spec.group)) if stamp.key != newest_key):
        said = json.loads(ports.store.read_bytes(ports.bucket, key))
        if said["format"] != FORMAT:
            raise JournalIncomplete(spec.name, f"s3://{ports.bucket}/{key} has format {said['format']!r}, this release reads {FORMAT}")
        yield said["rows"]
