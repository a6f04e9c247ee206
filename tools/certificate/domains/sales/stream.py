"""A small stream of sales and of their four dimensions, the same for the same seed: all formats, all kinds of faults, many ties."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tools.certificate.stream import DAY, After, Stream, Wave, as_csv, as_named

FACTS = "sales"
NEXT_DAY = "dt=2026-11-02"
LATE_DAY = "dt=2026-09-03"
CHUNK_ROWS = 5
COLUMNS = {
    "sales": ("customer_id", "store_id", "product_name", "sales_date", "sales_person_id", "price", "quantity", "total_cost"),
    "customer": ("customer_id", "first_name", "last_name", "address", "pincode", "phone_number", "customer_joining_date"),
    "store": ("id", "address", "store_pincode", "store_manager_name", "store_opening_date", "reviews"),
    "product": ("id", "name", "current_price", "old_price", "created_date", "updated_date", "expiry_date"),
    "sales_team": ("id", "first_name", "last_name", "manager_id", "is_manager", "address", "pincode", "joining_date"),
}
_NAMES = ("sugar", "maida", "ghee é")
_PRICES = (Decimal("2.50"), Decimal("10.00"))
_SOLD = (dt.date(2026, 10, 3), dt.date(2026, 10, 31), dt.date(2026, 11, 1))
_LATE = (dt.date(2026, 9, 1), dt.date(2026, 9, 2))
_PARQUET = pa.schema(
    [
        *((name, pa.int64()) for name in ("customer_id", "store_id")),
        ("product_name", pa.string()),
        ("sales_date", pa.date32()),
        ("sales_person_id", pa.int64()),
        ("price", pa.decimal128(12, 2)),
        ("quantity", pa.int64()),
        ("total_cost", pa.decimal128(12, 2)),
    ]
)

Row = Mapping[str, Any]


def sales(seed: int) -> Stream:
    chance = random.Random(f"stream of sales {seed}")

    def facts(count: int = CHUNK_ROWS, days: Sequence[dt.date] = _SOLD) -> list[Row]:
        return [_fact(chance, days) for _ in range(count)]

    def source(*chunks: list[Row]) -> bytes:
        return as_csv(COLUMNS[FACTS], [row for chunk in chunks for row in chunk])

    def landed(feed: str, name: str, rows: Sequence[Row], day: str = DAY) -> tuple[str, bytes]:
        return f"landing/{feed}/{day}/{name}", _body(feed, name, rows)

    tie = [_fact(chance, _SOLD[:1], store_id=3, sales_person_id=seller, price=Decimal("10.00"), quantity=3) for seller in (1, 2)]
    again = [*facts(), *tie]
    quarantined = [_spoilt(row, chance) if place % 3 == 0 else row for place, row in enumerate(facts(9))]
    tolerated = [_spoilt(row, chance) if place == 4 else row for place, row in enumerate(facts(12))]
    without_store = as_csv(COLUMNS[FACTS], facts(3)).replace(b"store_id,", b"shop,", 1)
    zipped, in_parquet = landed(FACTS, "t_zipped.csv.gz", facts()), landed(FACTS, "u.parquet", facts())
    waves = (
        Wave(
            "facts, most of them before their dimensions; all formats; bad files and bad rows",
            After.NOTHING,
            (
                landed(FACTS, "b_tie.csv", again),
                landed(FACTS, "d_lines.jsonl", facts()),
                landed(FACTS, "e_tolerated.csv", tolerated),
                landed(FACTS, "f_condemned.jsonl", quarantined),
                (f"landing/{FACTS}/{DAY}/g_without_store.csv", without_store),
                (f"landing/{FACTS}/{DAY}/h_empty.csv", b""),
                (f"landing/{FACTS}/{DAY}/notes.txt", b"not a file of the feed"),
                zipped,
                in_parquet,
                landed("product", "p_1.csv", [_product(key, name, _PRICES[0]) for key, name in enumerate(_NAMES[:2], 1)]),
                landed("sales_team", "t_1.jsonl", [_person(chance, key, manager) for key, manager in ((1, 3), (2, 3), (3, 3))]),
            ),
            source(facts(), facts(4)),
        ),
        Wave(
            "other bytes under published keys, the same bytes again, late facts of another month, new prices",
            After.FINISHED,
            (
                landed(FACTS, "b_tie.csv", facts(3)),
                landed("product", "p_1.csv", [_product(1, _NAMES[0], _PRICES[1]), _product(3, _NAMES[0], _PRICES[0])]),
                (f"landing/{FACTS}/{DAY}/zz_copy.csv.gz", zipped[1]),
                landed(FACTS, "late.csv", facts(4, _LATE), LATE_DAY),
                landed("product", "p_2.jsonl", [_product(1, _NAMES[0], _PRICES[1], "2026-10-20"), _product(2, "flour", _PRICES[0])]),
                landed(FACTS, "k.csv", facts(), NEXT_DAY),
            ),
        ),
        Wave(
            "keys overwritten that may not be published yet, and a published one while others wait; dimensions of what was unknown",
            After.DECIDED,
            (
                landed(FACTS, "k.csv", facts(3), NEXT_DAY),
                landed("product", "p_2.jsonl", [_product(1, _NAMES[0], _PRICES[1], "2026-10-25")]),
                (in_parquet[0], as_parquet(FACTS, facts(3))),
                landed("sales_team", "t_2.csv", [_person(chance, 1, 2), _person(chance, 4, None)], NEXT_DAY),
                landed("customer", "c_1.csv", [_customer(chance, key) for key in (1, 2, 3)]),
                (f"landing/customer/{DAY}/d_broken.csv", b"customer,first_name\n1,Ann\n"),
                landed("store", "s_1.jsonl.gz", [_store(chance, key) for key in (1, 2)]),
            ),
        ),
        Wave(
            "other bytes under a key that was archived, an early version that comes late, a corrected file, the last chunk",
            After.FINISHED,
            (
                landed("customer", "c_1.csv", [_customer(chance, key) for key in (1, 4)]),
                landed("store", "s_2.csv", [_store(chance, key) for key in (2, 3)], NEXT_DAY),
                landed("product", "p_0.csv", [_product(1, _NAMES[0], _PRICES[1], "2026-10-01")], LATE_DAY),
                landed(FACTS, "g_without_store.csv", facts(3)),
            ),
            source(facts()),
        ),
    )
    return Stream(waves, FACTS, CHUNK_ROWS)


def _fact(chance: random.Random, days: Sequence[dt.date], **columns: Any) -> Row:
    row: dict[str, Any] = {
        "customer_id": chance.randint(1, 5),
        "store_id": chance.randint(1, 3),
        "product_name": chance.choice(_NAMES),
        "sales_date": chance.choice(days),
        "sales_person_id": chance.randint(1, 4),
        "price": chance.choice(_PRICES),
        "quantity": chance.randint(1, 3),
    } | columns
    return {**row, "total_cost": row["price"] * row["quantity"]}


def _spoilt(row: Row, chance: random.Random) -> Row:
    """The row with a fault in it."""
    return {**row, **chance.choice(({"quantity": 0}, {"total_cost": row["total_cost"] + 1}, {"store_id": "first"}))}


def _customer(chance: random.Random, key: int) -> Row:
    joined = chance.choice((None, "2025-05-05"))
    return {"customer_id": key, **_name_and_address(chance), "phone_number": f"0{key}", "customer_joining_date": joined}


def _store(chance: random.Random, key: int) -> Row:
    return {"id": key, "address": "high road", "store_manager_name": chance.choice(("M", "N")), "store_opening_date": "2020-01-01"}


def _product(key: int, name: str, price: Decimal, updated: str | None = None) -> Row:
    return {"id": key, "name": name, "current_price": price, "updated_date": updated and f"{updated}T23:30:00+00:00"}


def _person(chance: random.Random, key: int, manager: int | None) -> Row:
    return {"id": key, **_name_and_address(chance), "manager_id": manager, "is_manager": "N"}


def _name_and_address(chance: random.Random) -> Row:
    return {
        "first_name": chance.choice(("Ann", "Béa")),
        "last_name": chance.choice((None, "Lee")),
        "address": chance.choice(("here", "there")),
    }


def as_lines(feed: str, rows: Sequence[Row]) -> bytes:
    """JSON lines; money as text, and a column more than the contract has."""
    objects = ({name: row.get(name) for name in COLUMNS[feed]} | {"paid_by": "card"} for row in rows)
    return "".join(json.dumps(row, default=str) + "\n" for row in objects).encode()


def as_parquet(feed: str, rows: Sequence[Row]) -> bytes:
    assert feed == FACTS
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], _PARQUET), sink)
    return sink.getvalue()


def _body(feed: str, name: str, rows: Sequence[Row]) -> bytes:
    """Rows as the ending of a name tells."""
    if name.endswith(".parquet"):
        return as_parquet(feed, rows)
    return as_named(name, as_lines(feed, rows) if ".jsonl" in name else as_csv(COLUMNS[feed], rows))
