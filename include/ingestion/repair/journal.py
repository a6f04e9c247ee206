"""The journal: what the ledger decided and published, kept beside the data, so that a ledger restored from a backup catches up exactly.

Deliver writes an entry before anything that leaves the house: whoever saw an output file, its numbers are in the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from include.ingestion import keys
from include.ingestion.errors import JournalIncomplete, LedgerBehind, ObjectGone
from include.ingestion.feed import FeedSpec
from include.ingestion.ports import Ports
from include.ingestion.run import Run

FORMAT = 1


@dataclass(frozen=True)
class Position:
    """How far a feed has come: its newest decided seq, and how often its group has published."""

    seq: int
    state_version: int

    def behind(self, other: Position) -> bool:
        return self.seq < other.seq or self.state_version < other.state_version

    def with_(self, other: Position) -> Position:
        return Position(max(self.seq, other.seq), max(self.state_version, other.state_version))


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
    body = json.dumps({"format": FORMAT, "feed": spec.name, "rows": rows}, ensure_ascii=False, sort_keys=True).encode()
    ports.store.put(ports.bucket, keys.journal_entry(spec.name, ports.clock(), ports.new_id()), body)
    reached = ports.ledger.delivered_position(spec).with_(_reached(rows))
    ports.store.put(ports.bucket, keys.journal_newest(spec.name), json.dumps(asdict(reached)).encode())


def _reached(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Position:
    seqs = [row["seq"] for row in rows["file"]]
    return Position(max(seqs, default=0), max((row["state_version"] or 0 for row in rows["batch"]), default=0))


def newest(ports: Ports, spec: FeedSpec) -> Position | None:
    """How far the journal goes, or None where nothing was ever delivered."""
    try:
        return Position(**json.loads(ports.store.read_bytes(ports.bucket, keys.journal_newest(spec.name))))
    except ObjectGone:
        return None


def refuse_if_behind(ports: Ports, spec: FeedSpec) -> None:
    """Let nothing be ingested into a ledger that knows less than was delivered: it would give the same numbers twice.

    Raises:
        LedgerBehind: the ledger was restored from an older backup, or is another one than wrote to this bucket.
    """
    there, here = newest(ports, spec), ports.ledger.position(spec)
    if there is not None and here.behind(there):
        raise LedgerBehind(spec.name, ports.bucket, there.seq, here.seq)


def catch_up(ports: Ports, spec: FeedSpec, run: Run) -> CaughtUp | None:
    """Put back what the journal has and the ledger lacks, batch after batch as it was published; None where nothing is lacking.

    Raises:
        FeedBusy, FeedPaused: as a run of the feed would.
        JournalIncomplete: an entry is missing; what came before it was put back.
    """
    there = newest(ports, spec)
    if there is None or not ports.ledger.position(spec).behind(there):
        return None
    ports.say(f"the ledger of {spec.name} is behind what was delivered (seq {there.seq}): the journal is put back")
    token = ports.ledger.take_lease(spec, run)
    done: list[Added] = []
    try:
        with ports.ledger.kept_lease(spec, token):
            done.extend(ports.ledger.put_back(spec, token, run, rows, ports.results) for rows in _entries(ports, spec))
    finally:
        ports.ledger.let_go(spec, token)
    ports.ledger.outdate_leases(spec, max((added.lease_token for added in done), default=0))
    here = ports.ledger.position(spec)
    if here.behind(there):
        raise JournalIncomplete(spec.name, f"its entries end at seq {here.seq}, what was delivered goes on to seq {there.seq}")
    caught = CaughtUp(len(done), len({file for added in done for file in added.files}), sum(len(added.batches) for added in done))
    ports.say(f"put back from {caught.entries} journal entries: {caught.files} files, {caught.batches} published batches")
    return caught


def _entries(ports: Ports, spec: FeedSpec) -> Iterator[Mapping[str, Any]]:
    """The rows of every entry, in the order in which they were written."""
    newest_key = keys.journal_newest(spec.name)
    for key in sorted(stamp.key for stamp in ports.store.objects(ports.bucket, keys.journal(spec.name)) if stamp.key != newest_key):
        said = json.loads(ports.store.read_bytes(ports.bucket, key))
        if said["format"] != FORMAT:
            raise JournalIncomplete(spec.name, f"s3://{ports.bucket}/{key} has format {said['format']!r}, this release reads {FORMAT}")
        yield said["rows"]
