"""`sluice sales` as a person and as a program ask it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.command import run_sluice
from tests.integration.shop import Shop
from tests.integration.test_sales import customer, fact, person


def ask(shop: Shop, *words: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(shop.sluice("sales", *words, "--json"))
    return answer


def cells(shop: Shop, *words: str) -> list[list[str]]:
    return [line.split() for line in shop.sluice("sales", *words).splitlines()]


def test_the_marts_are_shown_to_the_cent_for_people_and_for_programs(shop: Shop) -> None:
    none = run_sluice("sales", "team", check=None)
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr == "no sales are published yet; `sluice ingest sales --until-empty` takes what has landed\n"

    shop.land("customer", "c.csv", customer(1))
    shop.land("sales_team", "t.csv", person(1))
    facts = [
        fact(1, 1, 1, "100.50"),
        fact(2, 1, 2, "40.00", name="salt"),
        fact(1, 2, 1, "0.01"),
        fact(1, 1, 1, "75.00", "2026-02-10"),
        fact(2, 1, 1, "300.00", "2025-03-10"),
    ]
    shop.land("sales", "a.csv", *facts)
    shop.drain()

    assert ask(shop, "customers", "--month", "2026-03") == [
        {
            "customer_id": 1,
            "full_name": "Ann Lee",
            "address": "here",
            "phone_number": "1",
            "sales_date_month": "2026-03-01",
            "total_sales": "100.51",
        },
        {
            "customer_id": 2,
            "full_name": None,
            "address": None,
            "phone_number": None,
            "sales_date_month": "2026-03-01",
            "total_sales": "40.00",
        },
    ]
    assert [(row["customer_id"], row["sales_date_month"], row["total_sales"]) for row in ask(shop, "customers")][2:] == [
        (1, "2026-02-01", "75.00"),
        (2, "2025-03-01", "300.00"),
    ]
    assert len(ask(shop, "customers", "--limit", "1")) == 1
    assert cells(shop, "team", "--month", "2026-03") == [
        ["store_id", "sales_person_id", "full_name", "sales_month", "total_sales", "incentive"],
        ["1", "1", "Sue", "Roe", "2026-03", "100.50", "1.01"],
        ["1", "2", "2026-03", "40.00", "0.00"],
        ["2", "1", "Sue", "Roe", "2026-03", "0.01", "0.00"],
    ]
    assert [row["incentive"] for row in ask(shop, "team")] == ["1.01", "0.00", "0.00", "0.75", "3.00"]
    assert ask(shop, "compare", "--month", "2026-03")[0] == {
        "store_id": 1,
        "sales_month": "2026-03",
        "total_sales": "140.50",
        "month_before": "75.00",
        "month_change": "65.50",
        "month_change_percent": "87.33",
        "year_before": "300.00",
        "year_change": "-159.50",
        "year_change_percent": "-53.17",
    }
    named = {by: ask(shop, "compare", "--by", by, "--month", "2026-03") for by in ("product", "customer", "salesperson")}
    assert [(row["product_name"], row["total_sales"], row["month_before"]) for row in named["product"]] == [
        ("sugar", "100.51", "75.00"),
        ("salt", "40.00", None),
    ]
    assert [(row["customer_id"], row["month_change"], row["year_change"]) for row in named["customer"]] == [
        (1, "25.51", None),
        (2, None, "-260.00"),
    ]
    assert [(row["sales_person_id"], row["total_sales"]) for row in named["salesperson"]] == [(1, "100.51"), (2, "40.00")]

    empty = run_sluice("sales", "compare", "--month", "2026-05", check=None)
    assert (empty.returncode, empty.stdout) == (0, "")
    assert empty.stderr == "no sales in 2026-05; what is published was sold from 2025-03 to 2026-03\n"
    assert ask(shop, "compare", "--month", "2026-05") == []


@pytest.mark.parametrize("month", ["2026-13", "2026-3", "March", "2026-03-01", "0000-01"])
def test_what_is_no_month_is_wrong_use(month: str) -> None:
    done = run_sluice("sales", "customers", "--month", month, check=None)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"sluice: --month {month!r} is no month such as 2026-03\n")


def test_several_feeds_are_ingested_one_after_another_by_one_command(shop: Shop) -> None:
    shop.land("customer", "c.csv", customer(1))
    shop.land("sales", "a.csv", fact(1, 1, 1, "100.50"))
    said = shop.sluice("ingest", "customer", "sales", "--until-empty").splitlines()
    assert [line.split(";")[0] for line in said] == [
        "customer: 1 registered, 1 accepted, 0 quarantined, 0 duplicate",
        "sales: 1 registered, 1 accepted, 0 quarantined, 0 duplicate",
    ]
    again = json.loads(shop.sluice("ingest", "customer", "sales", "--json"))
    assert [(one["feed"], one["registered"], one["waiting"]) for one in again] == [("customer", 0, 0), ("sales", 0, 0)]
    refused = run_sluice("ingest", "customer", "sales", "--follow", check=None)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "sluice: --follow goes round one feed; follow each in a process of its own\n"
