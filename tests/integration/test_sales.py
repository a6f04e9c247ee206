"""Sales on real S3, PostgreSQL and Spark: every cell that is published is the one of the tests' own evaluation."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from tests import naive_sales as naive
from tests.integration.shop import Shop

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
