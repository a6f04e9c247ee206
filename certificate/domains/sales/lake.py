"""The lake of sales as a reader without Spark finds it: Delta's log replayed, and the objects that the list of finished sets names."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from certificate.found import Names, Section, put, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from certificate.history import History

_FOLDER = "lake/sales/"
_FINISHED = f"{_FOLDER}finished.json"
_COMMIT = re.compile(r".*/_delta_log/(\d{20})\.json")
_KEYS = {
    "fact_sales": ("_file_id", "_line"),
    "dim_date": ("date",),
    "dim_customer": ("customer_id", "valid_from"),
    **dict.fromkeys(("dim_store", "dim_product", "dim_sales_team"), ("id", "valid_from")),
    "sales_partitioned": ("_file_id", "_line"),
    "customers_data_mart": ("customer_id", "sales_date_month"),
    "sales_team_data_mart": ("store_id", "sales_person_id", "sales_month"),
}
TABLES = tuple(name for name in _KEYS if name.startswith(("fact_", "dim_")))
SETS = tuple(name for name in _KEYS if name not in TABLES)
_WRITTEN_BY_REFRESHES = (*SETS, "marts")


def of_table(name: str) -> Callable[[History, Names], Section]:
    """The rows of a Delta table, by what names a row."""

    def look(history: History, names: Names) -> Section:
        return _by_key(name, names, (row for key, said in live(history, name).items() for row in _rows(history, key, said)))

    return look


def of_set(name: str) -> Callable[[History, Names], Section]:
    """The rows of a finished set, by what names a row; every object must be as it was when it was named."""

    def look(history: History, names: Names) -> Section:
        refs = finished(history)["objects"].get(name, ())
        found = _by_key(name, names, (row for ref in refs for row in _rows(history, ref["key"], _folders(ref["key"]))))
        there = {stamp.key: (stamp.size, stamp.etag) for stamp in history.store.objects(history.bucket, f"{_FOLDER}{name}/")}
        for ref in refs:
            if there.get(ref["key"]) != (ref["size"], ref["etag"]):
                found[f"{ref['key']} is {there.get(ref['key'])}"] = (ref["size"], ref["etag"])
        return found

    return look


def live(history: History, name: str) -> dict[str, dict[str, str | None]]:
    """The data files of a table's newest version, with the values of the columns it is partitioned by."""
    found: dict[str, dict[str, str | None]] = {}
    for key in commits(history, name):
        for line in history.store.read_bytes(history.bucket, key).decode().splitlines():
            action = json.loads(line)
            if "add" in action:
                assert not action["add"].get("deletionVector"), f"{key}: rows are taken out by deletion vectors, which are not read here"
                found[f"{_FOLDER}{name}/{unquote(action['add']['path'])}"] = action["add"]["partitionValues"]
            elif "remove" in action:
                found.pop(f"{_FOLDER}{name}/{unquote(action['remove']['path'])}", None)
    return found


def commits(history: History, name: str) -> list[str]:
    """The objects of a table's log, oldest first; none may be missing."""
    listed = sorted(
        stamp.key for stamp in history.store.objects(history.bucket, f"{_FOLDER}{name}/_delta_log/") if _COMMIT.fullmatch(stamp.key)
    )
    for version, key in enumerate(listed):
        assert f"{version:020d}.json" in key, f"{name} has no commit {version}, but {listed[-1]}"
    return listed


def finished(history: History) -> dict[str, Any]:
    """What the list of finished sets says; nothing before there is one."""
    if not any(stamp.key == _FINISHED for stamp in history.store.objects(history.bucket, _FINISHED)):
        return {"batch": 0, "delta_version": -1, "objects": {}}
    said: dict[str, Any] = json.loads(history.store.read_bytes(history.bucket, _FINISHED))
    return said


def sets_are_current(history: History) -> bool:
    """Whether the finished sets are of what is published and lies in the lake."""
    (published,) = history.rows("select coalesce(max(batch), 0) as batch from batch where state = 'published'")
    said = finished(history)
    return bool(published["batch"] == said["batch"]) and len(commits(history, "fact_sales")) - 1 == said["delta_version"]


def named_by_the_list(history: History) -> set[str]:
    """The objects that people find through the list of finished sets."""
    return {ref["key"] for refs in finished(history)["objects"].values() for ref in refs}


def written_by_refreshes(history: History) -> set[str]:
    """Everything that a refresh wrote beside the list."""
    folders = [f"{_FOLDER}{name}/" for name in _WRITTEN_BY_REFRESHES]
    return {stamp.key for folder in folders for stamp in history.store.objects(history.bucket, folder)}


def _rows(history: History, key: str, partition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in table(history, key).to_pylist():
        yield {**row, **partition}


def _folders(key: str) -> dict[str, str]:
    """The columns that the folders of a key name."""
    return dict(part.split("=", 1) for part in key.split("/") if "=" in part and not part.startswith("set="))


def _by_key(name: str, names: Names, rows: Iterator[dict[str, Any]]) -> Section:
    found: Section = {}
    for row in rows:
        said = {**row, "_file_id": names.file(row["_file_id"])} if "_file_id" in row else row
        put(found, ", ".join(str(said[column]) for column in _KEYS[name]), said)
    return found
