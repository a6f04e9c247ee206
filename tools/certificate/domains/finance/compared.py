"""What the feeds of finance published: the latest rows, silver and gold, whether they were right at every batch, the files in the lake."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from tools.certificate.domains.finance import known
from tools.certificate.records import Reader, Records, Section, put, rows_of
from tools.certificate.snapshot import differences

_OF_A_BATCH = {
    "silver": ("company_id", "stock_id", "fund_id"),
    "gold_business_aggregation": ("company_id", "stock_id", "fund_id"),
    "gold_by_company_sector_exchange_day": ("company_id", "sector", "exchange", "day"),
    "company_without_partner": ("company_id", "has"),
}
_PUBLISHED = {**_OF_A_BATCH, "published_file": ("file_id",), "finding": ("file_id", "column", "what"), "proof": ("feed",)}
_LATEST = {"stock": ("stock_id",), "fund": ("fund_id",)}
_BATCHES = ("batch", "from_batch", "to_batch")
_NUMBERS = """
select batch, published_at <= lag(published_at) over (order by batch) as too_early from batch where state = 'published' order by batch
"""
_FILES = "select file_id, feed, seq, batch, bronze from file where state = 'published' order by batch, seq"
_AS_OF = "select b.batch, t.* from batch b cross join finance.{}_as_of(b.batch) t where b.state = 'published'"
_NEWEST = "select batch, published_at from batch where state = 'published' order by batch desc limit 1"
_FOLDER = "lake/finance/"
_CURRENT = re.compile(rf"{_FOLDER}([a-z_]+)/([a-z]+)/current\.json")
_VERSIONED = re.compile(rf"{_FOLDER}[a-z_]+/[a-z]+/v=(\d+)/.+")


def as_of_each_batch(records: Records) -> Section:
    """By table how it was otherwise, as of a batch, than the files published by then say; and batches published out of order.

    Which files a batch has differs between runs, and so does what is known with it: each run is held against its own files.
    """
    files = [_file(records, row) for row in records.query(_FILES)]
    numbers = records.query(_NUMBERS)
    found = {"order": [f"batch {row['batch']} was published before an earlier one" for row in numbers if row["too_early"]]}
    for name, named_by in _OF_A_BATCH.items():
        there: dict[int, list[dict[str, Any]]] = {row["batch"]: [] for row in numbers}
        for row in records.query(_AS_OF.format(name)):
            there[row.pop("batch")].append(row)
        found[name] = [
            f"as of batch {batch} {difference}"
            for batch, rows in there.items()
            for difference in differences(
                {name: records.by_key(known.as_of(files, batch)[name], named_by)}, {name: records.by_key(rows, named_by)}
            )
        ]
    return dict(found)


def _file(records: Records, row: dict[str, Any]) -> known.File:
    return known.File(row["feed"], row["seq"], row["batch"], [line for ref in row["bronze"] for line in records.table(ref["key"])])


def current_sets(records: Records) -> Section:
    """Every set that a `current.json` names, and what lies there that no batch wrote.

    Of a set: whether it is of the newest batch, and which of its objects are not as they were when they were named.
    """
    newest, at = next(((row["batch"], row["published_at"].astimezone(dt.UTC).isoformat()) for row in records.query(_NEWEST)), (0, ""))
    there = {stamp.key: (stamp.size, stamp.etag) for stamp in records.objects(_FOLDER)}
    found: Section = {}
    for name, written_as, current in _currents(records):
        own_folder = f"{_FOLDER}{name}/{written_as}/v={current['batch']}/"
        checked = {
            "rows": current["rows"],
            "of the newest batch": (current["batch"], current["published_at"]) == (newest, at),
            "in a folder of its own": all(ref["key"].startswith(own_folder) for ref in current["objects"]),
            "changed": [ref["key"] for ref in current["objects"] if there.get(ref["key"]) != (ref["size"], ref["etag"])],
        }
        put(found, f"{name} as {written_as}", checked)
    for key, stamp in there.items():
        version = _VERSIONED.fullmatch(key)
        if not _CURRENT.fullmatch(key) and (version is None or not 1 <= int(version[1]) <= newest):
            found[f"{key}, which no batch wrote"] = stamp
    return found


def finished_set(name: str) -> Reader:
    """The rows of what `current.json` names, by what names a row, in every format there is."""

    def read(records: Records) -> Section:
        currents = [(written_as, current) for table, written_as, current in _currents(records) if table == name]
        return records.by_key((row for one in currents for row in _rows(records, *one)), _OF_A_BATCH[name])

    return read


SECTIONS: dict[str, Reader] = {
    **{f"finance.{name}": rows_of(f"select * from finance.{name}", key, _BATCHES) for name, key in _PUBLISHED.items()},
    **{f"latest {name}": rows_of(f"select * from finance.{name} where to_batch is null", key, _BATCHES) for name, key in _LATEST.items()},
    "as of each batch": as_of_each_batch,
    "finished set": current_sets,
    **{f"row of the finished set {name}": finished_set(name) for name in _OF_A_BATCH if name.startswith(("silver", "gold"))},
}


def _currents(records: Records) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for stamp in records.objects(_FOLDER):
        if match := _CURRENT.fullmatch(stamp.key):
            yield match[1], match[2], json.loads(records.read(stamp.key))


def _rows(records: Records, written_as: str, current: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows as they are written; a Delta table's are those of the objects that its log adds."""
    for key in records.delta_files(current["folder"]) if written_as == "delta" else [ref["key"] for ref in current["objects"]]:
        if written_as in {"parquet", "delta"}:
            yield from records.table(key)
            continue
        text = records.read(key).decode()
        yield from csv.DictReader(io.StringIO(text, newline="")) if written_as == "csv" else map(json.loads, text.splitlines())
