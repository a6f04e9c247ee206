"""What the feeds of finance published in PostgreSQL: the latest rows, silver and gold now, and whether they were right at every batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certificate.compare import differences
from certificate.domains.finance import known
from certificate.found import Look, Names, Section, by_key, rows_of, table

if TYPE_CHECKING:
    from certificate.history import History

KEYS = {
    "silver": ("company_id", "stock_id", "fund_id"),
    "gold_business_aggregation": ("company_id", "stock_id", "fund_id"),
    "gold_by_company_sector_exchange_day": ("company_id", "sector", "exchange", "day"),
    "company_without_partner": ("company_id", "has"),
}
_OTHERS = {"published_file": ("file_id",), "finding": ("file_id", "column", "what"), "proof": ("feed",)}
TABLES = (*KEYS, *_OTHERS)
LATEST = {"stock": "stock_id", "fund": "fund_id"}
_BATCHES = ("batch", "from_batch", "to_batch")
_NUMBERS = """
select batch, published_at <= lag(published_at) over (order by batch) as too_early from batch where state = 'published' order by batch
"""
_FILES = "select file_id, feed, seq, batch, bronze from file where state = 'published' order by batch, seq"
_AS_OF = "select b.batch, t.* from batch b cross join finance.{}_as_of(b.batch) t where b.state = 'published'"


def of_table(name: str) -> Look:
    """The rows of a view or table, by what names a row."""
    return rows_of(f"select * from finance.{name}", {**KEYS, **_OTHERS}[name], _BATCHES)


def of_latest(name: str) -> Look:
    """The latest row of each id, with the line of the file that says so."""
    return rows_of(f"select * from finance.{name} where to_batch is null", (LATEST[name],), _BATCHES)


def as_of_each_batch(history: History, names: Names) -> Section:
    """By table how it was otherwise, as of a batch, than the files published by then say; and batches published out of order.

    Which files a batch has differs between runs, and so does what is known with it: each run is held against its own files.
    """
    files = [_file(history, row) for row in history.rows(_FILES)]
    numbers = history.rows(_NUMBERS)
    found = {"order": [f"batch {row['batch']} was published before an earlier one" for row in numbers if row["too_early"]]}
    for name, named_by in KEYS.items():
        there: dict[int, list[dict[str, Any]]] = {row["batch"]: [] for row in numbers}
        for row in history.rows(_AS_OF.format(name)):
            there[row.pop("batch")].append(row)
        found[name] = [
            f"as of batch {batch} {difference}"
            for batch, rows in there.items()
            for difference in differences(
                {name: by_key(known.as_of(files, batch)[name], named_by, names)}, {name: by_key(rows, named_by, names)}
            )
        ]
    return dict(found)


def _file(history: History, row: dict[str, Any]) -> known.File:
    accepted = [line for ref in row["bronze"] for line in table(history, ref["key"]).to_pylist()]
    return known.File(row["feed"], row["seq"], row["batch"], accepted)
