"""The journal: what the ledger decided and published, kept beside the data, so that a ledger restored from a backup catches up exactly.

Deliver writes an entry before anything that leaves the house: whoever saw an output file, its numbers are in the journal.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from include.errors import AlreadyThere, JournalIncomplete, LedgerBehind, LedgerMixed, ObjectGone
from include.feed import FeedSpec
from include.files import keys
from include.files.journal import Added, Entry, Event, Position, Rows, _number, newest_ids
from include.pipeline.ports import Ports
from include.run import Run
from include.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from include.ledger import Ledger
    from include.ledger.batches import Publish
    from include.pipeline.message import Json


FORMAT = 1


@dataclass(frozen=True)
class CaughtUp:
    """What was put back into a ledger that was behind."""

    entries: int
    files: int
    batches: int


def write_journal(ports: Ports, spec: FeedSpec, batches: Sequence[int], files: Sequence[int]) -> None:
    """Keep the rows of what is about to be delivered, then say how far the journal goes. Written twice, it says the same twice."""
    rows = ports.ledger.journal.rows_of(spec, batches, files)
    body = json.dumps({"format": FORMAT, "group": spec.group, "rows": rows}, ensure_ascii=False, sort_keys=True).encode()
    ports.store.put(ports.bucket, keys.journal_entry(spec.group, ports.clock(), ports.new_id()), body)
    _record_position(ports, spec.group, _reached(rows))


def _record_position(ports: Ports, group: str, reached: Position) -> None:
    """Let the journal be said to go as far as this, and never less far than it was said to."""
    key = keys.journal_newest(group)
    while True:
        entry, etag = newest(ports, group)
        if entry is not None and not entry.behind(reached):
            return
        farthest = json.dumps(asdict(reached if entry is None else entry.with_(reached)), sort_keys=True).encode()
        with contextlib.suppress(AlreadyThere, ObjectGone):  # another run said how far it came in between
            if entry is None:
                ports.store.put(ports.bucket, key, farthest, if_absent=True)
            else:
                ports.store.replace(ports.bucket, key, farthest, etag=etag)
            return


def _reached(rows: Rows) -> Position:
    seqs: dict[str, int] = {}
    for row in rows["file"]:
        seqs[row["feed"]] = max(row["seq"], seqs.get(row["feed"], 0))
    events = [Event(row["event_id"], row["file_id"]) for row in rows["file_event"]]
    return Position(seqs, max((row["state_version"] or 0 for row in rows["batch"]), default=0), max(events, key=_number, default=None))


def newest(ports: Ports, group: str) -> tuple[Position | None, str]:
    """How far a journal goes, None where nothing was ever delivered, and the etag of the object that says so."""
    key = keys.journal_newest(group)
    while (there := ports.store.head(ports.bucket, key)) is not None:
        with contextlib.suppress(ObjectGone):  # it went on in between
            return _position(group, ports.store.read_bytes(ports.bucket, key, there.etag)), there.etag
    return None, ""


def _position(group: str, body: bytes) -> Position:
    entry = json.loads(body)
    event = entry.get("event")
    # A release whose groups had one feed each, of the same name, kept its seq alone; one before this, no event.
    return Position(entry["seqs"] if "seqs" in entry else {group: entry["seq"]}, entry["state_version"], event and Event(**event))


def refuse_if_behind(ports: Ports, spec: FeedSpec) -> None:
    """Let nothing be written into a ledger that lacks anything that was delivered: it would give the same numbers twice.

    Ids of files and events are shared by all feeds, so no group goes on before all of them are there.

    Raises:
        LedgerBehind: the ledger was restored from an older backup, or is another one than wrote to this bucket.
    """
    refuse_behind(ports.store, ports.ledger, ports.bucket, spec)


def refuse_behind(store: ObjectStore, ledger: Ledger, bucket: str, spec: FeedSpec) -> None:
    """`refuse_if_behind`, where there are no ports."""
    for group, (here, there) in sorted(_behind(store, ledger, bucket).items(), key=lambda one: one[0] != spec.group):
        feed = (here.lagging(there) or [spec.name if group == spec.group else min(here.seqs)])[0]
        raise LedgerBehind(feed, bucket, there.seqs.get(feed, 0), here.seqs.get(feed, 0))


def _behind(store: ObjectStore, ledger: Ledger, bucket: str) -> dict[str, tuple[Position, Position]]:
    """The groups of which the ledger lacks something that was delivered: how far it has come with them, and how far their journals go."""
    found = ledger.journal.positions()
    journalled: dict[str, Position] = {}
    for group in found:
        with contextlib.suppress(ObjectGone):  # nothing of it was ever delivered
            journalled[group] = _position(group, store.read_bytes(bucket, keys.journal_newest(group)))
    known = ledger.journal.known_events([there.event for there in journalled.values() if there.event is not None])
    here = {group: replace(found[group], event=there.event if there.event in known else None) for group, there in journalled.items()}
    return {group: (here[group], there) for group, there in journalled.items() if here[group].behind(there)}


def catch_up(ports: Ports, spec: FeedSpec, run: Run) -> list[CaughtUp]:
    """Put back what the journals of all groups have and the ledger lacks, batch after batch as it was published; what each group lacked.

    Pauses do not hold it up: nothing is ingested, and nothing of any group can be before it is done.

    Raises:
        FeedBusy: a run holds the lease of a group that lacks something.
        JournalIncomplete: an entry is missing; what came before it was put back.
        LedgerMixed: the ledger gave ids that a journal has to something else.
    """
    behind = _behind(ports.store, ports.ledger, ports.bucket)
    if behind:
        _reserve_ids_of_unknown(ports)
    caught = [_restore(ports, _member(ports, spec, here), run, there) for here, there in behind.values()]
    lacking = ports.ledger.journal.missing_seq()
    if lacking is not None:
        feed, seq = lacking
        raise LedgerMixed(feed, f"no file has seq {seq} of {feed}, which was given to one")
    return caught


def _member(ports: Ports, spec: FeedSpec, here: Position) -> FeedSpec:
    """A feed of a group, which stands for it: the one that was asked for where it is one."""
    return spec if spec.name in here.seqs else ports.peer_feed(min(here.seqs))[0]


def _restore(ports: Ports, spec: FeedSpec, run: Run, there: Position) -> CaughtUp:
    """Put back one group's journal."""
    ports.log(f"the ledger of {spec.group} is behind what was delivered ({there}): the journal is put back")
    token = ports.ledger.leases.acquire(spec, run, paused_too=True)
    done: list[Added] = []

    def prepare(feed: str, manifest: Json) -> Publish:
        return ports.peer_feed(feed)[1].publisher().prepare(manifest)

    try:
        with ports.ledger.leases.held(spec, token):
            journal = entries(ports.store, ports.bucket, spec.group)
            done.extend(ports.ledger.journal.restore(spec, token, run, entry["rows"], prepare) for _, entry in journal)
    finally:
        ports.ledger.leases.release(spec, token)
    ports.ledger.journal.invalidate_leases(spec, max((added.lease_token for added in done), default=0))
    if spec.group in (still := _behind(ports.store, ports.ledger, ports.bucket)):
        raise JournalIncomplete(spec.name, f"its entries end at {still[spec.group][0]}, what was delivered goes on to {there}")
    caught = CaughtUp(len(done), len({file for added in done for file in added.files}), sum(len(added.batches) for added in done))
    ports.log(f"{spec.group}: put back from {caught.entries} journal entries: {caught.files} files, {caught.batches} published batches")
    return caught


def _reserve_ids_of_unknown(ports: Ports) -> None:
    """Let no id be given that is in the journal of a group that this ledger does not have: another release may bring it back."""
    known = ports.ledger.journal.positions()
    newest_of = Counter[str]()
    for group in groups(ports.store, ports.bucket):
        for _, entry in () if group in known else entries(ports.store, ports.bucket, group):
            newest_of |= Counter(newest_ids(entry["rows"]))
    ports.ledger.journal.reserve_ids(newest_of)


def groups(store: ObjectStore, bucket: str) -> list[str]:
    """The groups that have a journal, whether this ledger has them or not."""
    return sorted(keys.base_name(folder.rstrip("/")) for folder in store.folders(bucket, keys.journals())[0])


def entries(store: ObjectStore, bucket: str, group: str) -> Iterator[tuple[str, Entry]]:
    """Every entry of a journal with its key, in the order in which they were written.

    Raises:
        JournalIncomplete: an entry is of a format that this release does not read.
    """
    newest_key = keys.journal_newest(group)
    for key in sorted(stamp.key for stamp in store.objects(bucket, keys.journal(group)) if stamp.key != newest_key):
        entry: Entry = json.loads(store.read_bytes(bucket, key))
        if entry["format"] != FORMAT:
            raise JournalIncomplete(group, f"s3://{bucket}/{key} has format {entry['format']!r}, this release reads {FORMAT}")
        yield key, entry
