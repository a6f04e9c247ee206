"""What the feeds of sales published: marts, dimensions and findings in PostgreSQL, Delta tables and finished sets in the lake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tools.certificate.records import Reader, Records, Section, rows_of

_VERSIONS = {
    "dim_customer": ("customer_id", "valid_from"),
    **dict.fromkeys(("dim_store", "dim_product", "dim_sales_team"), ("id", "valid_from")),
}
_MARTS = {
    "customers_data_mart": ("customer_id", "sales_date_month"),
    "sales_team_data_mart": ("store_id", "sales_person_id", "sales_month"),
}
_PUBLISHED = {
    **_MARTS,
    "product_month": ("product_name", "sales_month"),
    "fact_file": ("file_id", "sales_month"),
    "incentive_changes": ("file_id", "store_id", "sales_month", "sales_person_id"),
    "unresolved": ("file_id", "line", "column"),
    "price_difference": ("file_id", "line"),
    **_VERSIONS,
    "finding": ("kind", "subject", "what"),
    "proof": (),
}
_LAKE = {"fact_sales": ("_file_id", "_line"), "dim_date": ("date",), **_VERSIONS}
_EXPORTS = {"sales_partitioned": ("_file_id", "_line"), **_MARTS}
_FOLDER = "lake/sales/"
_FINISHED = f"{_FOLDER}finished.json"
_WRITTEN_BY_REFRESHES = (*_EXPORTS, "marts")
_UPSERTS = "select distinct on (feed) feed, key from sales.dimension_state where name = 'upserts' order by feed, batch desc"


def upserts(records: Records) -> Section:
    """What the next batch of each dimension stands on: every row that was ever accepted, with its surrogate key."""
    return records.by_key((row for newest in records.query(_UPSERTS) for row in records.table(newest["key"])), ("file_id", "line"))


def delta_table(name: str) -> Reader:
    """The rows of a Delta table, by what names a row."""

    def read(records: Records) -> Section:
        files = records.delta_files(f"{_FOLDER}{name}/").items()
        return records.by_key((row for key, partition in files for row in _rows(records, key, partition)), _LAKE[name])

    return read


def finished_set(name: str) -> Reader:
    """The rows of a finished set, by what names a row; every object must be as it was when it was named."""

    def read(records: Records) -> Section:
        refs = finished(records)["objects"].get(name, ())
        found = records.by_key((row for ref in refs for row in _rows(records, ref["key"], _folders(ref["key"]))), _EXPORTS[name])
        there = {stamp.key: (stamp.size, stamp.etag) for stamp in records.objects(f"{_FOLDER}{name}/")}
        for ref in refs:
            if there.get(ref["key"]) != (ref["size"], ref["etag"]):
                found[f"{ref['key']} is {there.get(ref['key'])}"] = (ref["size"], ref["etag"])
        return found

    return read


SECTIONS: dict[str, Reader] = {
    **{f"sales.{name}": rows_of(f"select * from sales.{name}", key, ("changed_at",)) for name, key in _PUBLISHED.items()},
    "upsert": upserts,
    **{f"row of the lake's {name}": delta_table(name) for name in _LAKE},
    **{f"row of the set {name}": finished_set(name) for name in _EXPORTS},
}


def finished(records: Records) -> dict[str, Any]:
    """What the list of finished sets says; nothing before there is one."""
    if not any(stamp.key == _FINISHED for stamp in records.objects(_FINISHED)):
        return {"batch": 0, "delta_version": -1, "objects": {}}
    listed: dict[str, Any] = json.loads(records.read(_FINISHED))
    return listed


def sets_are_current(records: Records) -> bool:
    """Whether the finished sets are of what is published and lies in the lake."""
    (published,) = records.query("select coalesce(max(batch), 0) as batch from batch where state = 'published'")
    newest_commit = len(records.delta_commits(f"{_FOLDER}fact_sales/")) - 1
    listed = finished(records)
    return (published["batch"], newest_commit) == (listed["batch"], listed["delta_version"])


def named_by_the_list(records: Records) -> set[str]:
    """The objects that people find through the list of finished sets."""
    return {ref["key"] for refs in finished(records)["objects"].values() for ref in refs}


def written_by_refreshes(records: Records) -> set[str]:
    """Everything that a refresh wrote beside the list."""
    return {stamp.key for name in _WRITTEN_BY_REFRESHES for stamp in records.objects(f"{_FOLDER}{name}/")}


def _rows(records: Records, key: str, partition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return ({**row, **partition} for row in records.table(key))


def _folders(key: str) -> dict[str, str]:
    """The columns that the folders of a key name."""
    return dict(part.split("=", 1) for part in key.split("/") if "=" in part and not part.startswith("set="))
