"""Journals that do not fit together: what two of them have under one id, and what is said of a file and is another's.

A release before this one could register files of one group while another group's journal was not yet put back, under ids that are there.
What was registered later gets another id, in its journal and in every object that names it. And what such a ledger delivered says of files
whose ids were given twice what happened to both: what does not follow from what was said before is left out.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa

from include.errors import ObjectGone
from include.files import keys
from include.logs import Log
from include.pipeline.journal import entries, groups
from include.storage.object_store import ObjectStore
from include.storage.parquet import parquet_bytes, parquet_table

_FILE_IDS = frozenset({"_file_id", "file_id", "file_ids", "parent", "origin", "duplicate_of", "supersedes"})
_REFERENCE = frozenset({"key", "size", "etag", "rows"})


@dataclass(frozen=True)
class _Claim:
    """What a journal has under an id."""

    identity: tuple[Any, ...]
    at: dt.datetime


Rows = dict[str, list[dict[str, Any]]]
Claims = dict[str, dict[int, _Claim]]
Others = dict[str, dict[int, int]]


def renumber(store: ObjectStore, bucket: str, log: Log) -> int:
    """Let journals fit together; how many files and events have other ids from now on, or are put right. Broken off, it is repeated."""
    files: Claims = {}
    events: Claims = {}
    strange: dict[str, int] = {}
    for group in groups(store, bucket):
        journal = _Journal(store, bucket, group)
        files[group], events[group] = _claims(rows for _, _, rows in journal.entries())
        strange[group] = journal.strange
    other_files = _others(files, _later(files))
    other_events = _others(events, _with_what_followed(events, _later(events)))
    for group, claims in files.items():
        for number, other in sorted(other_files[group].items()):
            feed, seq, key = claims[number].identity
            log(f"{feed} seq {seq}, {key}: file {number} is file {other} from now on, since another feed had {number} before it")
        if other_files[group] or other_events[group] or strange[group]:
            _Renaming(store, bucket, other_files[group], other_events[group]).of_journal(_Journal(store, bucket, group))
            log(
                f"journal of {group}: {len(other_files[group])} files and {len(other_events[group])} events have other ids from now on, "
                f"{strange[group]} events that were another file's, or were missing, are put right"
            )
    return sum(strange.values()) + sum(len(of) for others in (other_files, other_events) for of in others.values())


class _Journal:
    """One group's journal, its entries in order, each with what it can say of its files after what those before it said."""

    def __init__(self, store: ObjectStore, bucket: str, group: str) -> None:
        self.group = group
        self.strange = 0
        self._store = store
        self._bucket = bucket
        self._events: dict[int, dict[int, dict[str, Any]]] = {}
        self._file_of: dict[int, int] = {}

    def entries(self) -> Iterator[tuple[str, dict[str, Any], Rows]]:
        """Key, what it is, and its rows as they should be."""
        for key, entry in entries(self._store, self._bucket, self.group):
            rows = cast("Rows", entry["rows"])
            yield key, dict(entry), rows | {"file_event": self._events_of(rows)}

    def _events_of(self, rows: Rows) -> list[dict[str, Any]]:
        """All that happened to the files of an entry: without what another file has, and with what it should have had."""
        made: list[dict[str, Any]] = []
        for file_id in (file["file_id"] for file in rows["file"]):
            own_events = {event["event_id"]: event for event in rows["file_event"] if event["file_id"] == file_id}
            known = self._events.setdefault(file_id, {})
            for number, event in sorted(own_events.items()):
                if number not in known and self._file_of.get(number, file_id) == file_id and _follows(event, known):
                    known[number] = event
                    self._file_of[number] = file_id
            happened = {number: event for number, event in known.items() if number <= max(own_events, default=0)}
            self.strange += len(own_events.keys() ^ happened.keys())
            made += happened.values()
        return sorted(made, key=lambda event: int(event["event_id"]))


def _follows(event: Mapping[str, Any], known: Mapping[int, Mapping[str, Any]]) -> bool:
    """Whether an event can come after those of a file: no other is a file's move than one from the state that it has."""
    moves = [one["to_state"] for _, one in sorted(known.items()) if one["kind"] == "move"]
    return bool(event["kind"] != "move" or event["from_state"] == (moves[-1] if moves else None))


def _claims(entries: Iterator[Rows]) -> tuple[dict[int, _Claim], dict[int, _Claim]]:
    """What a journal has, by id: files, and events."""
    files: dict[int, _Claim] = {}
    events: dict[int, _Claim] = {}
    for rows in entries:
        here = {row["file_id"]: (row["feed"], row["seq"], row["key"]) for row in rows["file"]}
        files |= {row["file_id"]: _Claim(here[row["file_id"]], _instant(row["registered_at"])) for row in rows["file"]}
        for row in rows["file_event"]:
            at = _instant(row["at"])
            events[row["event_id"]] = _Claim((here[row["file_id"]], at, row["kind"], row["to_state"]), at)
    return files, events


def _instant(entry: str) -> dt.datetime:
    return dt.datetime.fromisoformat(entry)


def _later(claims: Claims) -> dict[str, set[int]]:
    """By group the ids that another group had before it."""
    holders: dict[int, str] = {}
    for group, of in claims.items():
        for number, claim in of.items():
            if number not in holders or claim.at < claims[holders[number]][number].at:
                holders[number] = group
    return {group: {number for number in of if holders[number] != group} for group, of in claims.items()}


def _with_what_followed(events: Claims, later: dict[str, set[int]]) -> dict[str, set[int]]:
    """With the events that happened to the same files afterwards: the events of a file are in the order of their ids."""
    made = {}
    for group, numbers in later.items():
        first: dict[object, int] = {}
        for number in sorted(numbers):
            first.setdefault(events[group][number].identity[0], number)
        made[group] = {number for number, claim in events[group].items() if number >= first.get(claim.identity[0], number + 1)}
    return made


def _others(claims: Claims, given_up: dict[str, set[int]]) -> Others:
    """The id that stands for each of those given up: one that the same has already, of a renaming that was broken off, or a new one."""
    newest = max((number for of in claims.values() for number in of), default=0)
    made: Others = {}
    for group, of in claims.items():
        kept = {claim.identity: number for number, claim in sorted(of.items()) if number not in given_up[group]}
        for number in sorted(given_up[group]):
            if of[number].identity not in kept:
                newest += 1
                kept[of[number].identity] = newest
        made[group] = {number: kept[claim.identity] for number, claim in of.items() if kept[claim.identity] != number}
    return made


class _Renaming:
    """Other ids in the entries of one group's journal, and in the objects that they refer to."""

    def __init__(self, store: ObjectStore, bucket: str, files: Mapping[int, int], events: Mapping[int, int]) -> None:
        self._store = store
        self._bucket = bucket
        self._files = files
        self._events = events
        self._objects: dict[str, dict[str, Any]] = {}

    def of_journal(self, journal: _Journal) -> None:
        """Write the entries anew, each under its name, and what is said to have happened last."""
        met, happened = False, dict[int, int]()
        for key, entry, rows in journal.entries():
            met = met or any(row["file_id"] in self._files for row in rows["file"])
            named = {table: [self._row(table, row, met=met) for row in of] for table, of in rows.items()}
            happened |= {row["event_id"]: row["file_id"] for row in named["file_event"]}
            self._put(key, entry | {"rows": named})
        last = max(happened, default=None)
        event = None if last is None else {"event_id": last, "file_id": happened[last]}
        key = keys.journal_newest(journal.group)
        self._put(key, json.loads(self._store.read_bytes(self._bucket, key)) | {"event": event})

    def _put(self, key: str, entry: object) -> None:
        self._store.put(self._bucket, key, json.dumps(entry, ensure_ascii=False, sort_keys=True).encode())

    def _row(self, table: str, row: Mapping[str, Any], *, met: bool) -> dict[str, Any]:
        """A row of an entry. Before one of these files is met, no object of a batch can name it; those of a file name it alone."""
        rename_objects = {"file": row.get("file_id") in self._files, "batch": met}.get(table, False)
        return {name: self._named(value, name, objects=rename_objects) for name, value in row.items()}

    def _named(self, value: Any, name: str = "", *, objects: bool = False) -> Any:
        if isinstance(value, dict):
            named = {key: self._named(one, key, objects=objects) for key, one in value.items()}
            return self._object(named) if objects and named.keys() >= _REFERENCE else named
        if isinstance(value, list):
            return [self._named(one, name, objects=objects) for one in value]
        if name == "event_id":
            return self._events.get(value, value)
        return self._files.get(value, value) if name in _FILE_IDS else value

    def _object(self, reference: dict[str, Any]) -> dict[str, Any]:
        """A reference to an object, or to one beside it that has the other ids."""
        key = reference["key"]
        if key not in self._objects:
            try:
                body = self._body(key, self._store.read_bytes(self._bucket, key, reference["etag"]))
            except ObjectGone:  # merged into another, and collected
                body = None
            if body is None:
                self._objects[key] = {}
            else:
                written = self._store.put(self._bucket, keys.renumbered(key), body)
                self._objects[key] = {name: getattr(written, name) for name in ("key", "size", "etag")}
        return reference | self._objects[key]

    def _body(self, key: str, body: bytes) -> bytes | None:
        """What an object holds, with the other ids; None where it names none of them."""
        if key.endswith(".parquet"):
            table = parquet_table(body)
            changed = table
            for at, name in enumerate(table.column_names):
                if name in _FILE_IDS:
                    ids = pa.array([self._files.get(one, one) for one in table[name].to_pylist()], table.schema.field(at).type)
                    changed = changed.set_column(at, table.schema.field(at), ids)
            return None if changed.equals(table) else parquet_bytes(changed)
        if key.endswith(".csv"):
            rows = list(csv.reader(io.StringIO(body.decode("latin-1"), newline="")))
            named = [[str(self._files.get(int(row[0]), row[0])) if row[0].isdigit() else row[0], *row[1:]] for row in rows]
            text = io.StringIO(newline="")
            csv.writer(text, lineterminator="\n").writerows(named)
            return None if named == rows else text.getvalue().encode("latin-1")
        entry = json.loads(body)
        named = self._named(entry)
        return None if named == entry else json.dumps(named).encode()
