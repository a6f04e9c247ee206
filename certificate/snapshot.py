"""What a history came to, apart from times, retries, ids of batches and attempts, and paths: sections of keys and values."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from certificate.found import Names, Section, Snapshot, put, table
from certificate.history import History

_FILE = """select feed, seq, file_id, kind, parent, origin, key, version, latest, etag, size, date::text, state::text, reason_code, reason,
                  duplicate_of, supersedes, sha256, lines, accepted, rejected, bronze_digest, touched, location::text, location_key,
                  contract_digest, suite_digest, bronze
           from file order by feed, seq"""
_NOT_COMPARED = ("file_id", "bronze")
_BY_ITS_CONTENT = dict.fromkeys(("etag", "size", "sha256"), "-")


def taken(history: History) -> Snapshot:
    """Everything that must be the same in every run of the same stream."""
    files = history.rows(_FILE)
    names = Names({row["file_id"]: (row["feed"], row["seq"]) for row in files})
    return {
        "file": {f"{row['feed']} seq {row['seq']}": _file(row, names) for row in files},
        "event": _events(history, names),
        "bronze row": _bronze(history, files, names),
        **{section: look(history, names) for section, look in history.domain.looks.items()},
        "object under error/": _objects(history, "error/", names),
        "object under archive/": _objects(history, "archive/", names),
        "object under landing/": {stamp.key: (stamp.etag, stamp.size) for stamp in history.store.objects(history.bucket, "landing/")},
    }


def _file(row: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """A file's row; corrected rows name their parent by its id, so that their bytes are not the same in every run."""
    said = {name: value for name, value in row.items() if name not in _NOT_COMPARED} | {
        **{name: names.file(row[name]) for name in ("parent", "origin", "duplicate_of")},
        **{name: names.text(row[name]) for name in ("key", "reason", "location_key")},
        "supersedes": [names.file(file_id) for file_id in row["supersedes"] or ()],
    }
    return said | _BY_ITS_CONTENT if row["kind"] == "row_fix" else said


def _events(history: History, names: Names) -> Section:
    found: dict[int, list[tuple[str | None, ...]]] = {}
    for row in history.rows("select file_id, kind, from_state::text, to_state::text, reason from file_event order by event_id"):
        event = (row["kind"], row["from_state"], row["to_state"], names.text(row["reason"]))
        found.setdefault(row["file_id"], []).append(event)
    return {f"{names.file(file_id)}, event {place}": event for file_id, events in found.items() for place, event in enumerate(events, 1)}


def _bronze(history: History, files: list[dict[str, Any]], names: Names) -> Section:
    """Every accepted row, by file and line."""
    rows: Section = {}
    for file in files:
        name = names.file(file["file_id"])
        for ref in file["bronze"]:
            for row in table(history, ref["key"]).to_pylist():
                if row.pop("_file_id") != file["file_id"]:
                    rows[f"{name}, a row of another file"] = row
                put(rows, f"{name}, line {row['_line']}", row)
    return rows


def _objects(history: History, prefix: str, names: Names) -> Section:
    found: Section = {}
    for stamp in history.store.objects(history.bucket, prefix):
        body = history.store.read_bytes(history.bucket, stamp.key)
        said = next((say for ending, say in _READERS.items() if stamp.key.endswith(ending)), None)
        found[names.key(stamp.key)] = hashlib.sha256(body).hexdigest() if said is None else said(body, names)
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
