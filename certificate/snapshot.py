"""What a history came to, apart from times, retries, ids of batches and attempts, and paths: sections of keys and values."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from certificate.history import History

Section = dict[str, Any]
Snapshot = dict[str, Section]

_FILE = """select seq, file_id, key, version, latest, etag, size, date::text, state::text, reason_code, reason, duplicate_of, sha256, lines,
                  accepted, rejected, bronze_digest, touched, location::text, location_key, contract_digest, suite_digest, bronze
           from file order by seq"""
_NOT_COMPARED = ("file_id", "bronze", "duplicate_of", "reason", "location_key")
_BY_ID = re.compile(r"\bfile (\d+)\b")
_IN_KEY = re.compile(r"\.(\d+)(?=/|$)")


class _Names:
    """Says `#seq` where texts and keys name a file by its id: a registration that was rolled back takes ids with it."""

    def __init__(self, seqs: Mapping[int, int]) -> None:
        self._seqs = seqs

    def seq(self, file_id: int | None) -> int | str | None:
        return None if file_id is None else self._seqs.get(file_id, f"of file {file_id}, which the ledger does not know")

    def text(self, said: str | None) -> str | None:
        return None if said is None else _BY_ID.sub(self._named, self.key(said))

    def key(self, key: str) -> str:
        """A key under error/ or archive/ with the seq in place of the id."""
        return _IN_KEY.sub(lambda match: f".#{self._seqs[int(match[1])]}" if int(match[1]) in self._seqs else match[0], key)

    def _named(self, match: re.Match[str]) -> str:
        return f"file #{self._seqs[int(match[1])]}" if int(match[1]) in self._seqs else match[0]


def taken(history: History) -> Snapshot:
    """Everything that must be the same in every run of the same stream."""
    files = history.rows(_FILE)
    names = _Names({row["file_id"]: row["seq"] for row in files})
    return {
        "file": {f"seq {row['seq']}": _file(row, names) for row in files},
        "event": _events(history, names),
        "bronze row": _bronze(history, files),
        "state row": _state(history),
        "merged state": _merged(history),
        "detection": _detections(history),
        "row of a detection file": _detection_files(history),
        "merchant_transaction_counts": {
            row["merchant_id"]: row["total_transactions"] for row in history.rows("select * from merchant_transaction_counts")
        },
        "object under error/": _objects(history, "error/", names),
        "object under archive/": _objects(history, "archive/", names),
        "object under landing/": {
            stamp.key: (stamp.etag, stamp.size) for stamp in history.store.objects(history.bucket, f"landing/{history.feed}/")
        },
    }


def _file(row: Mapping[str, Any], names: _Names) -> dict[str, Any]:
    said = {name: value for name, value in row.items() if name not in _NOT_COMPARED}
    return said | {
        "duplicate_of": names.seq(row["duplicate_of"]),
        "reason": names.text(row["reason"]),
        "location_key": names.text(row["location_key"]),
    }


def _events(history: History, names: _Names) -> Section:
    found: dict[int, list[tuple[str | None, ...]]] = {}
    for row in history.rows("select file_id, kind, from_state::text, to_state::text, reason from file_event order by event_id"):
        event = (row["kind"], row["from_state"], row["to_state"], names.text(row["reason"]))
        found.setdefault(row["file_id"], []).append(event)
    return {f"seq {names.seq(file_id)}, event {place}": event for file_id, events in found.items() for place, event in enumerate(events, 1)}


def _bronze(history: History, files: list[dict[str, Any]]) -> Section:
    """Every accepted row, by file and line."""
    rows: Section = {}
    for file in files:
        for ref in file["bronze"]:
            for row in _table(history, ref["key"]).to_pylist():
                if row.pop("_file_id") != file["file_id"]:
                    rows[f"seq {file['seq']}, a row of another file"] = row
                key = f"seq {file['seq']}, line {row['_line']}"
                rows[key if key not in rows else f"{key}, again"] = row
    return rows


def _state(history: History) -> Section:
    """Every partial aggregate: what level 0 of the state says, by file, merchant and customer."""
    rows: Section = {}
    for part in history.rows("select key from state_object where level = 0 order by first_seq"):
        for row in _table(history, part["key"]).to_pylist():
            key = f"seq {row['seq']}, {row['merchant']}, {row['customer']}"
            rows[key if key not in rows else f"{key}, again"] = (row["n"], row["cents"], row["gender"])
    return rows


def _merged(history: History) -> Section:
    """What the objects that a batch would read add up to, merged ones among them, by merchant and customer."""
    total: dict[str, list[Any]] = {}
    for part in history.rows("select key, level from state_object where not covered order by first_seq"):
        for row in _table(history, part["key"]).sort_by("seq" if part["level"] == 0 else "first_seq").to_pylist():
            held = total.setdefault(f"{row['merchant']}, {row['customer']}", [0, 0, row["gender"]])
            held[0] += row["n"]
            held[1] += row["cents"]
    return {key: tuple(held) for key, held in total.items()}


def _detections(history: History) -> Section:
    found = history.rows("select number, seq, pattern_id, action_type, customer_name, merchant_id from detection order by number")
    return {f"number {row.pop('number')}": row for row in found}


def _detection_files(history: History) -> Section:
    """The rows of all detection files, one after another, apart from their two times; each must be where its name says."""
    rows: Section = {}
    listed = sorted(history.store.objects(history.bucket, "detections/"), key=lambda stamp: stamp.key.rsplit("/", 1)[-1])
    for stamp in listed:
        numbers = re.findall(r"\d{8}", stamp.key.rsplit("/", 1)[-1])
        first, last = map(int, numbers)
        lines = list(csv.reader(io.StringIO(history.store.read_bytes(history.bucket, stamp.key).decode())))
        if (
            lines[0] != ["YStartTime", "detectionTime", "patternId", "ActionType", "customerName", "MerchantId"]
            or len(lines) != last - first + 2
        ):
            rows[f"{stamp.key}: header or number of rows"] = (lines[0], len(lines))
        for number, line in enumerate(lines[1:], first):
            key = f"number {number}"
            rows[key if key not in rows else f"{key}, again in {stamp.key}"] = tuple(line[2:])
    return rows


def _objects(history: History, prefix: str, names: _Names) -> Section:
    found: Section = {}
    for stamp in history.store.objects(history.bucket, prefix):
        body = history.store.read_bytes(history.bucket, stamp.key)
        said = next((say for ending, say in _READERS.items() if stamp.key.endswith(ending)), None)
        found[names.key(stamp.key)] = hashlib.sha256(body).hexdigest() if said is None else said(body, names)
    return found


def _report(body: bytes, names: _Names) -> Any:
    """A report, without where it lies and with seqs for ids."""
    report = json.loads(body)
    report["file_id"] = names.seq(report["file_id"])
    report["bucket"] = "-"
    return json.loads(names.text(json.dumps(report)) or "null")


def _rejects(body: bytes, names: _Names) -> Any:
    """The rejected rows, by seq."""
    lines = list(csv.reader(io.StringIO(body.decode())))
    place = lines[0].index("file_id")
    return [lines[0], *([*line[:place], names.seq(int(line[place])), *line[place + 1 :]] for line in lines[1:])]


_READERS: dict[str, Callable[[bytes, _Names], Any]] = {"/report.json": _report, "/rejects.csv": _rejects}


def _table(history: History, key: str) -> pa.Table:
    return pq.read_table(io.BytesIO(history.store.read_bytes(history.bucket, key)))
