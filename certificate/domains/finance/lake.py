"""The files of finance in the lake as a reader finds them: through `current.json`, in whatever format."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from typing import TYPE_CHECKING, Any

from certificate.delta import live
from certificate.domains.finance.compared import KEYS
from certificate.found import Look, Names, Section, by_key, put, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certificate.history import History

_FOLDER = "lake/finance/"
_CURRENT = re.compile(rf"{_FOLDER}([a-z_]+)/([a-z]+)/current\.json")
_OF_A_BATCH = re.compile(rf"{_FOLDER}[a-z_]+/[a-z]+/v=(\d+)/.+")
_NEWEST = "select batch, published_at from batch where state = 'published' order by batch desc limit 1"
SETS = tuple(name for name in KEYS if name.startswith(("silver", "gold")))


def sets(history: History, names: Names) -> Section:
    """Every set that a `current.json` names, and what lies there that no batch wrote.

    Of a set is told whether it is of the newest batch, and which of its objects are not as they were when they were named.
    """
    del names
    newest, at = next(((row["batch"], row["published_at"].astimezone(dt.UTC).isoformat()) for row in history.rows(_NEWEST)), (0, ""))
    there = {stamp.key: (stamp.size, stamp.etag) for stamp in history.store.objects(history.bucket, _FOLDER)}
    found: Section = {}
    for name, written_as, said in _currents(history):
        put(
            found,
            f"{name} as {written_as}",
            {
                "rows": said["rows"],
                "of the newest batch": (said["batch"], said["published_at"]) == (newest, at),
                "in a folder of its own": all(
                    ref["key"].startswith(f"{_FOLDER}{name}/{written_as}/v={said['batch']}/") for ref in said["objects"]
                ),
                "changed": [ref["key"] for ref in said["objects"] if there.get(ref["key"]) != (ref["size"], ref["etag"])],
            },
        )
    for key, stamp in there.items():
        written_with = _OF_A_BATCH.fullmatch(key)
        if not _CURRENT.fullmatch(key) and (written_with is None or not 1 <= int(written_with[1]) <= newest):
            found[f"{key}, which no batch wrote"] = stamp
    return found


def of_set(name: str) -> Look:
    """The rows of what `current.json` names, by what names a row, in every format there is."""

    def look(history: History, names: Names) -> Section:
        currents = [(written_as, said) for table_, written_as, said in _currents(history) if table_ == name]
        return by_key((row for written_as, said in currents for row in _rows(history, written_as, said)), KEYS[name], names)

    return look


def _currents(history: History) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for stamp in history.store.objects(history.bucket, _FOLDER):
        if match := _CURRENT.fullmatch(stamp.key):
            yield match[1], match[2], json.loads(history.store.read_bytes(history.bucket, stamp.key))


def _rows(history: History, written_as: str, said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows as they are written; a Delta table's are those of the objects that its log adds."""
    keys = live(history, said["folder"]) if written_as == "delta" else [ref["key"] for ref in said["objects"]]
    for key in keys:
        if written_as in {"parquet", "delta"}:
            yield from table(history, key).to_pylist()
            continue
        text = history.store.read_bytes(history.bucket, key).decode()
        yield from csv.DictReader(io.StringIO(text, newline="")) if written_as == "csv" else map(json.loads, text.splitlines())
