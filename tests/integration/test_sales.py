"""Sales on real S3, PostgreSQL and Spark: every cell that is published is the one of the tests' own evaluation."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.backfill.backfill import reprocess
from include.backfill.comparison import Comparison, Kind, ReplayDiffers
from include.domains import feed_named
from include.storage.parquet import parquet_bytes, parquet_table
from tests import naive_sales as naive
from tests.integration.shop import DAY, Shop

D = Decimal


def fact(
    customer: int = 1, store: int = 1, seller: int = 1, cost: str = "10.00", day: str = "2026-03-01", name: str = "sugar"
) -> naive.Row:
    return {
        "customer_id": customer,
        "store_id": store,
        "product_name": name,
        "sales_date": dt.date.fromisoformat(day),
        "sales_person_id": seller,
        "price": D(cost),
        "quantity": 1,
        "total_cost": D(cost),
    }


def customer(key: int, first: str | None = "Ann", last: str | None = "Lee", **more: Any) -> naive.Row:
    return {"customer_id": key, "first_name": first, "last_name": last, "address": "here", "phone_number": "1", **more}


def test_facts_and_customers_become_the_customers_mart(shop: Shop) -> None:
    shop.land("sales", "a.csv", fact(1, cost="10.10"), fact(1, cost="0.90"), fact(2, cost="5.00"), fact(1, day="2026-02-28"))
    shop.land("customer", "c.csv", customer(1), customer(2, last=None))
    shop.drain()
    march = dt.date(2026, 3, 1)
    assert shop.proven().customers == {
        (1, march): ("Ann Lee", "here", "1", D("11.00")),
        (2, march): ("Ann", "here", "1", D("5.00")),
        (1, dt.date(2026, 2, 1)): ("Ann Lee", "here", "1", D("10.00")),
    }


def store(key: int) -> naive.Row:
    return {"id": key, "address": "road", "store_manager_name": "M"}


def person(key: int, first: str = "Sue", last: str = "Roe", manager: int | None = None) -> naive.Row:
    return {"id": key, "first_name": first, "last_name": last, "manager_id": manager, "is_manager": "N", "address": "x", "pincode": "1"}


def product(key: int, name: str = "sugar", price: str | None = "10.00", updated: str | None = None) -> naive.Row:
    return {"id": key, "name": name, "current_price": price and D(price), "updated_date": updated and instant(updated)}


def instant(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{day}T23:30:00+00:00")


def incentives(found: naive.Published) -> dict[tuple[int, int, str], Decimal]:
    return {key: incentive for key, (_, _, incentive) in found.team.items()}


def test_a_late_and_a_superseded_file_change_the_winner_of_their_month_and_say_so(shop: Shop) -> None:
    day = dt.date(2026, 4, 1)
    shop.land("sales", "1.csv", fact(seller=1, cost="100.50"), fact(seller=2, cost="100.50"), fact(seller=3, cost="99.00"), date=day)
    shop.drain("sales")
    assert incentives(shop.proven()) == {(1, 1, "2026-03"): D("1.01"), (1, 2, "2026-03"): D("1.01"), (1, 3, "2026-03"): D("0.00")}

    shop.land("sales", "late.csv", fact(seller=3, cost="50.00"), fact(seller=3, cost="1.00", day="2026-02-01"), date=dt.date(2026, 3, 2))
    shop.land("sales", "2.csv", fact(seller=2, cost="60.00"), date=day)
    shop.drain("sales")
    late, second = (shop.ledger.queries.file_story(name)["file"]["file_id"] for name in ("late.csv", "2.csv"))
    found = shop.proven()
    assert incentives(found) == {
        (1, 1, "2026-03"): D("0.00"),
        (1, 2, "2026-03"): D("1.61"),
        (1, 3, "2026-03"): D("0.00"),
        (1, 3, "2026-02"): D("0.01"),
    }
    assert [change[2:] for change in found.changes if change.month == "2026-03"][2:] == [
        (1, D("1.01"), D("0.00"), late),
        (2, D("1.01"), D("0.00"), late),
        (3, D("0.00"), D("1.49"), late),
        (2, D("0.00"), D("1.61"), second),
        (3, D("1.49"), D("0.00"), second),
    ]

    shop.land("sales", "2.csv", fact(seller=4, store=2, cost="7.00"), date=day)
    shop.drain("sales")
    found = shop.proven()
    assert incentives(found)[1, 3, "2026-03"] == D("1.49")
    assert incentives(found)[2, 4, "2026-03"] == D("0.07")
    assert [file["state"] for file in shop.ledger.queries.list_files("sales")] == ["published", "published", "superseded", "published"]


def test_dimensions_that_come_after_their_facts_settle_what_was_unknown_before_their_run_returns(shop: Shop) -> None:
    shop.land("sales", "a.csv", fact(1, 1, 1, "10.00"), fact(2, 2, 2, "12.00", "2026-03-20"), fact(1, 1, 2, "10.00", name="salt"))
    shop.drain("sales")
    assert {(column, value) for _, _, column, value in shop.proven().unresolved} == {
        *(("customer_id", "1"), ("customer_id", "2"), ("store_id", "1"), ("store_id", "2")),
        *(("sales_person_id", "1"), ("sales_person_id", "2"), ("product_name", "sugar"), ("product_name", "salt")),
    }
    shop.land("customer", "c.csv", customer(1))
    shop.land("store", "s.csv", store(1), store(2))
    shop.land("sales_team", "t.csv", person(1, manager=2), person(2, manager=1), person(3, manager=3))
    shop.land("product", "p.csv", product(5))
    shop.drain()
    found = shop.proven()
    assert {(column, value) for _, _, column, value in found.unresolved} == {("customer_id", "2"), ("product_name", "salt")}
    assert [(line, product_id) for _, line, product_id, _ in found.warnings] == [(3, 5)]
    assert {row[1:] for row in shop.table("finding", "*")} >= {("1", "is managed in a circle: 1 < 2 < 1")}
    assert shop.table("manager_hierarchy where sales_person_id = 3", "root_id, levels, circular") == [(3, 0, False)]

    shop.land("product", "q.csv", product(5, price="12.00", updated="2026-03-15"), product(4, "salt", None))
    shop.drain("product")
    found = shop.proven()
    assert found.warnings == set()
    assert {(column, value) for _, _, column, value in found.unresolved} == {("customer_id", "2")}

    shop.land("product", "q.csv", product(9, "sugar", "1.00"))
    shop.land("store", "s.csv", store(2))
    shop.drain("product", "store")
    found = shop.proven()
    assert {(column, value) for _, _, column, value in found.unresolved} == {
        *(("customer_id", "2"), ("store_id", "1"), ("product_name", "salt")),
    }
    assert [(line, product_id) for _, line, product_id, _ in found.warnings] == [(3, 5)]
    assert [row[1] for row in shop.table("finding where kind = 'product_name_shared'", "*")] == ["sugar"]
    keys = {key: shop.table(f"dim_{key} order by 1, valid_from", f"id, {key}_key") for key in ("store", "product")}
    assert keys == {"store": [(2, 2)], "product": [(5, 1), (9, 4)]}


def test_a_backup_holds_the_marts_and_a_restored_ledger_catches_up_to_what_was_delivered(shop: Shop, tmp_path: Path) -> None:
    shop.land("sales", "a.csv", fact(1, seller=1, cost="3.00"))
    shop.land("customer", "c.csv", customer(1))
    shop.drain("sales", "customer")
    first = shop.proven()
    shop.sluice("backup", str(tmp_path / "ledger.dump"))
    shop.land("sales", "a.csv", fact(1, seller=2, cost="5.00"))
    shop.land("customer", "c.csv", customer(1, "Bea"))
    shop.drain("sales", "customer")
    second = shop.proven()
    for ports in shop.ports.values():
        ports.ledger.close()  # type: ignore[attr-defined]
    assert "sales_before_" in shop.sluice("restore", str(tmp_path / "ledger.dump"), "--yes")
    assert shop.found().team == first.team
    shop.sluice("reconcile", "sales")
    shop.drain("sales", "customer")
    assert shop.proven() == second


def test_a_date_evaluated_once_more_is_equal_until_what_was_published_is_touched(shop: Shop) -> None:
    shop.land("sales", "a.csv", fact(1, cost="3.00"), fact(2, cost="4.00"))
    shop.land("product", "p.csv", product(5), product(5, price="12.00", updated="2026-03-15"))
    shop.drain("sales", "product")
    shop.land("sales", "a.csv", fact(1, cost="5.00"))
    shop.land("product", "p.csv", product(5, price="3.00"))
    shop.drain("sales", "product")
    for feed in ("sales", "product"):
        assert again(shop, feed).kind is Kind.EQUAL, feed

    (ref,) = shop.ledger.rows("select manifest -> 'objects' -> 'sums' as ref from batch where feed = 'sales' order by batch desc limit 1")
    sums = parquet_table(shop.store.read_bytes(shop.bucket, ref["ref"]["key"]))
    more = pa.array([total + 1 for total in sums["total"].to_pylist()], sums["total"].type)
    changed = sums.set_column(sums.column_names.index("total"), "total", more)
    shop.store.put(shop.bucket, ref["ref"]["key"], parquet_bytes(changed))
    with pytest.raises(ReplayDiffers, match="sums row 1: column total"):
        again(shop, "sales")


def again(shop: Shop, feed: str) -> Comparison:
    return reprocess(shop.ports[feed], feed_named(feed), shop.run(), DAY, DAY, {})
