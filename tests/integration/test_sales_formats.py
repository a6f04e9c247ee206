"""The same rows in every form that files may have: the same marts, and the same rows in the lake."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.domains import feed_named
from include.domains.sales.schema import FACT_SALES
from tests import naive_sales as naive
from tests.integration.shop import DAY, Shop, as_csv
from tests.integration.test_sales import product
from tests.integration.test_sales_lake import Lake, lake

__all__ = ["lake"]  # a fixture

Rows = Sequence[naive.Row]
D = Decimal
TYPES = {
    **dict.fromkeys(("customer_id", "store_id", "sales_person_id", "quantity", "id", "manager_id"), pa.int64()),
    **dict.fromkeys(("price", "total_cost", "current_price", "old_price"), pa.decimal128(12, 2)),
    "sales_date": pa.date32(),
    **dict.fromkeys(("created_date", "updated_date", "expiry_date"), pa.timestamp("ms", "UTC")),
}
# The forms of a file, and the `_line` of its first row.
FORMS: Mapping[str, tuple[Callable[[str, Rows], bytes], int]] = {
    "a.csv": (as_csv, 2),
    "b.csv.gz": (lambda feed, rows: gzip.compress(as_csv(feed, rows)), 2),
    "c.jsonl": (lambda feed, rows: as_lines(feed, rows, texts=False), 1),
    "d.jsonl.gz": (lambda feed, rows: gzip.compress(as_lines(feed, rows, texts=False)), 1),
    "e.ndjson": (lambda feed, rows: as_lines(feed, rows, texts=True), 1),
    "f.ndjson.gz": (lambda feed, rows: gzip.compress(as_lines(feed, rows, texts=True)), 1),
    "g.json": (lambda feed, rows: b"[\n" + as_lines(feed, rows, texts=False).rstrip().replace(b"\n", b",\n") + b"]\n", 1),
    "h.json.gz": (lambda feed, rows: gzip.compress(b"[" + as_lines(feed, rows, texts=True).rstrip().replace(b"\n", b",") + b"]"), 1),
    "i.json": (lambda feed, rows: b"\n" + as_lines(feed, rows, texts=False), 2),
    "j.parquet": (lambda feed, rows: as_parquet(feed, rows, texts=False), 1),
    "k.parquet": (lambda feed, rows: as_parquet(feed, rows, texts=True), 1),
}


def told(value: Any, *, texts: bool) -> str:
    """A value as JSON: numbers as such or as text, as people who distrust floats write them."""
    if isinstance(value, int | Decimal) and not texts:
        return str(value)
    return json.dumps(value if value is None else value.isoformat() if isinstance(value, dt.date) else str(value))


def named(feed: str, row: naive.Row) -> dict[str, Any]:
    """A row with every column of its feed."""
    return {column.name: row.get(column.name) for column in feed_named(feed).contract.columns}


def as_lines(feed: str, rows: Rows, *, texts: bool) -> bytes:
    whole = (named(feed, row).items() for row in rows)
    lines = ("{" + ", ".join(f"{json.dumps(name)}: {told(value, texts=texts)}" for name, value in row) + "}\n" for row in whole)
    return "".join(lines).encode()


def as_parquet(feed: str, rows: Rows, *, texts: bool) -> bytes:
    """Typed columns, or all of them text."""
    said = [named(feed, row) for row in rows]
    if texts:
        said = [{name: None if value is None else str(value) for name, value in row.items()} for row in said]
    body = io.BytesIO()
    schema = pa.schema([(name, pa.string() if texts else TYPES.get(name, pa.string())) for name in named(feed, {})])
    pq.write_table(pa.Table.from_pylist(said, schema), body, compression="snappy")
    return body.getvalue()


def land(shop: Shop, feed: str, name: str, *rows: naive.Row) -> str:
    """Put rows in the form that the name says."""
    make, first_line = FORMS[name]
    key = f"landing/{feed}/dt={DAY.isoformat()}/{name}"
    shop.store.put(shop.bucket, key, make(feed, rows))
    shop.landed[key].append(dict(enumerate(rows, start=first_line)))
    return key


def fact(customer: int, name: str, quantity: int, price: str, day: str) -> naive.Row:
    return {
        "customer_id": customer,
        "store_id": 1,
        "product_name": name,
        "sales_date": dt.date.fromisoformat(day),
        "sales_person_id": customer + 10,
        "price": D(price),
        "quantity": quantity,
        "total_cost": D(price) * quantity,
    }


def test_the_same_rows_in_every_form_give_the_same_marts_and_the_same_rows_in_the_lake(shop: Shop, lake: Lake) -> None:
    land(
        shop, "customer", "g.json", {"customer_id": 1, "first_name": "Zoë", "last_name": None, "address": 'a "b", c', "phone_number": "01"}
    )
    land(shop, "product", "j.parquet", product(5, "été"), product(5, "été", "12.00", "2026-03-15"))
    land(shop, "store", "f.ndjson.gz", {"id": 1, "address": "road", "store_manager_name": "M"})
    land(shop, "sales_team", "h.json.gz", {"id": 11, "first_name": "Sue", "last_name": "Roe", "manager_id": None})
    rows = (
        fact(1, "été", 3, "10.00", "2026-03-14"),
        fact(1, "été", 1, "12.00", "2026-03-15"),
        fact(2, "été", 2, "0.07", "2026-02-28"),
        fact(2, 'nobody\'s, "own"', 1, "999999999.99", "2026-03-31"),
    )
    landed = {name: land(shop, "sales", name, *rows) for name in FORMS}
    shop.drain("customer", "product", "store", "sales_team", "sales")
    assert {file["state"] for feed in ("sales", *naive.KEYS) for file in shop.ledger.queries.list_files(feed)} == {"published"}
    found = shop.proven()
    assert found.customers[1, dt.date(2026, 3, 1)] == ("Zoë", 'a "b", c', "01", len(FORMS) * D("42.00"))
    assert len(found.warnings) == len(FORMS)
    assert len(found.unresolved) == len(FORMS) * 5

    install: dict[str, set[tuple[Any, ...]]] = {}
    for row in shop.ledger.rows("select f.key, m.sales_month, m.rows, m.total_sales from sales.fact_file m join file f using (file_id)"):
        install.setdefault(row.pop("key"), set()).add(tuple(row.values()))
    first = landed["a.csv"]
    assert install[first] == {(dt.date(2026, 2, 1), 1, D("0.14")), (dt.date(2026, 3, 1), 3, D("1000000041.99"))}
    assert install == dict.fromkeys(landed.values(), install[first])

    keys = {row["file_id"]: row["key"] for row in shop.ledger.rows("select file_id, key from file where feed = 'sales'")}
    of_file: dict[str, list[dict[str, Any]]] = {key: [] for key in landed.values()}
    for row in sorted(lake.proven(), key=lambda row: row["_line"]):
        of_file[keys[row.pop("_file_id")]].append({name: value for name, value in row.items() if name != "_line"})
    assert {row["additional_column"] for row in of_file[first]} == {None}
    assert of_file == dict.fromkeys(landed.values(), of_file[first])
    assert len(lake.rows(FACT_SALES)) == len(rows) * len(FORMS)
