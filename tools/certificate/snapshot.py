"""What a history came to, apart from times, retries, ids of batches and attempts, and paths; and how two such snapshots differ."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.certificate.records import Names, Reader, Records, Section, Snapshot, put

_FILE = """select feed, seq, file_id, kind, parent, origin, key, version, latest, etag, size, date::text, state::text, reason_code, reason,
                  duplicate_of, supersedes, sha256, lines, accepted, rejected, bronze_digest, touched_values, location::text, location_key,
                  contract_digest, suite_digest, bronze
           from file order by feed, seq"""
_EVENTS = "select file_id, kind, from_state::text, to_state::text, reason from file_event order by event_id"
_NOT_COMPARED = ("file_id", "bronze")
_BY_ITS_CONTENT = dict.fromkeys(("etag", "size", "sha256"), "-")
_LONGEST = 400


def taken(records: Records, sections: Mapping[str, Reader]) -> Snapshot:
    """Everything that must be the same in every run of the same stream, with the sections that a domain adds."""
    files = records.query(_FILE)
    records = dataclasses.replace(records, names=Names({row["file_id"]: (row["feed"], row["seq"]) for row in files}))
    return {
        "file": {f"{row['feed']} seq {row['seq']}": _file(row, records.names) for row in files},
        "event": _events(records),
        "bronze row": _bronze(records, files),
        **{section: read(records) for section, read in sections.items()},
        "object under error/": _objects(records, "error/"),
        "object under archive/": _objects(records, "archive/"),
        "object under landing/": {stamp.key: (stamp.etag, stamp.size) for stamp in records.objects("landing/")},
    }


def _file(row: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """A file's row; corrected rows name their parent by its id, so that their bytes are not the same in every run."""
    named = {name: value for name, value in row.items() if name not in _NOT_COMPARED} | {
        **{name: names.file(row[name]) for name in ("parent", "origin", "duplicate_of")},
        **{name: names.text(row[name]) for name in ("key", "reason", "location_key")},
        "supersedes": [names.file(file_id) for file_id in row["supersedes"] or ()],
    }
    return named | _BY_ITS_CONTENT if row["kind"] == "row_fix" else named


def _events(records: Records) -> Section:
    found: dict[int, list[tuple[str | None, ...]]] = {}
    for row in records.query(_EVENTS):
        event = (row["kind"], row["from_state"], row["to_state"], records.names.text(row["reason"]))
        found.setdefault(row["file_id"], []).append(event)
    return {
        f"{records.names.file(file_id)}, event {place}": event for file_id, events in found.items() for place, event in enumerate(events, 1)
    }


def _bronze(records: Records, files: list[dict[str, Any]]) -> Section:
    """Every accepted row, by file and line."""
    rows: Section = {}
    for file in files:
        name = records.names.file(file["file_id"])
        for row in (row for ref in file["bronze"] for row in records.table(ref["key"])):
            if row.pop("_file_id") != file["file_id"]:
                rows[f"{name}, a row of another file"] = row
            put(rows, f"{name}, line {row['_line']}", row)
    return rows


def _objects(records: Records, prefix: str) -> Section:
    found: Section = {}
    for stamp in records.objects(prefix):
        body = records.read(stamp.key)
        read = next((read for ending, read in _READERS.items() if stamp.key.endswith(ending)), None)
        found[records.names.key(stamp.key)] = hashlib.sha256(body).hexdigest() if read is None else read(body, records.names)
    return found


def _report(body: bytes, names: Names) -> Any:
    """A report, without where it lies and with names for ids."""
    report = json.loads(body)
    report["file_id"] = names.file(report["file_id"])
    report["bucket"] = "-"
    return json.loads(names.text(json.dumps(report)) or "null")


def _rejects(body: bytes, names: Names) -> Any:
    """The rejected rows, by name of their file."""
    lines = list(csv.reader(io.StringIO(body.decode())))
    place = lines[0].index("file_id")
    return [lines[0], *([*line[:place], names.file(int(line[place])), *line[place + 1 :]] for line in lines[1:])]


_READERS: dict[str, Callable[[bytes, Names], Any]] = {"/report.json": _report, "/rejects.csv": _rejects}


@dataclass(frozen=True)
class Difference:
    """One thing that is not as in the undisturbed run."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def differences(expected: Snapshot, found: Snapshot) -> list[Difference]:
    """What is lost, doubled or different, in the order of the sections.

    >>> for one in differences({"event": {"1": "a", "2": "b"}}, {"event": {"1": "c", "3": "b"}}):
    ...     print(one)
    different: event 1 is 'c', undisturbed 'a'
    lost: event 2 ('b')
    doubled: event 3 ('b')
    """
    return [difference for section in expected for difference in _in(section, expected[section], found.get(section, {}))]


def _in(section: str, expected: Section, found: Section) -> Iterator[Difference]:
    for key, value in expected.items():
        if key in found and found[key] != value:
            yield Difference("different", _unlike(f"{section} {key}", found[key], value))
    for key in sorted(expected.keys() - found.keys()):
        yield Difference("lost", _cut(f"{section} {key} ({expected[key]!r})"))
    for key in sorted(found.keys() - expected.keys()):
        yield Difference("doubled", _cut(f"{section} {key} ({found[key]!r})"))


def _unlike(what: str, found: object, expected: object) -> str:
    """Of two mappings only what differs in them."""
    if isinstance(found, dict) and isinstance(expected, dict):
        names = [name for name in expected if found.get(name) != expected[name]] + [name for name in found if name not in expected]
        found, expected = ({name: one.get(name) for name in names} for one in (found, expected))
    return _cut(f"{what} is {found!r}, undisturbed {expected!r}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
