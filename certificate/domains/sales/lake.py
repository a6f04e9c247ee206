"""The lake of sales as a reader without Spark finds it: Delta's log replayed, and the objects that the list of finished sets names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from certificate.delta import commits, live
from certificate.found import Look, Names, Section, by_key, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certificate.history import History

_FOLDER = "lake/sales/"
_FINISHED = f"{_FOLDER}finished.json"
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


def of_table(name: str) -> Look:
    """The rows of a Delta table, by what names a row."""

    def look(history: History, names: Names) -> Section:
        held = live(history, f"{_FOLDER}{name}/").items()
        return by_key((row for key, partition in held for row in _rows(history, key, partition)), _KEYS[name], names)

    return look


def of_set(name: str) -> Look:
    """The rows of a finished set, by what names a row; every object must be as it was when it was named."""

    def look(history: History, names: Names) -> Section:
        refs = finished(history)["objects"].get(name, ())
        found = by_key((row for ref in refs for row in _rows(history, ref["key"], _folders(ref["key"]))), _KEYS[name], names)
        there = {stamp.key: (stamp.size, stamp.etag) for stamp in history.store.objects(history.bucket, f"{_FOLDER}{name}/")}
        for ref in refs:
            if there.get(ref["key"]) != (ref["size"], ref["etag"]):
                found[f"{ref['key']} is {there.get(ref['key'])}"] = (ref["size"], ref["etag"])
        return found

    return look


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
    return bool(published["batch"] == said["batch"]) and len(commits(history, f"{_FOLDER}fact_sales/")) - 1 == said["delta_version"]


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
