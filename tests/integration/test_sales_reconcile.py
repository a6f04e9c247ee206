"""What sales published beside what its tables point at: nothing that is needed is collected, nothing that differs goes unsaid."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from certificate.domain import Domain
from certificate.domains.sales.domain import SALES
from certificate.history import History
from certificate.leftovers import missing, unreferred
from include.feeds import feed_named
from include.ingestion.ports import Ports
from include.ingestion.reconcile.look import Scope
from include.ingestion.reconcile.reconcile import Reconciled, reconcile
from tests.integration.shop import DAY, FEEDS, Shop
from tests.integration.test_sales import customer, fact, person, product, store

COLLECT = Scope(collect=True, grace_seconds=0)
READ = Scope(verify=True)


@dataclass
class AsHistory:
    """A shop as the certificate looks at what is left in a bucket."""

    shop: Shop
    domain: Domain = SALES

    def __post_init__(self) -> None:
        self.store, self.bucket, self.rows = self.shop.store, self.shop.bucket, self.shop.ledger.rows


def check(shop: Shop, feed: str, scope: Scope = READ) -> Reconciled:
    ports: Ports = shop.ports[feed]
    return reconcile(ports, feed_named(feed), shop.run(), scope)


def said(found: Reconciled) -> list[tuple[str, str, str]]:
    return [(one.code.value, one.where, one.what) for one in found.findings if one.severity == "difference"]


def change(shop: Shop, statement: str, values: Sequence[Any] = ()) -> None:
    with shop.ledger.transaction() as cursor:
        cursor.execute(statement.encode(), values)
        assert cursor.rowcount > 0


@pytest.fixture
def trading(shop: Shop) -> Shop:
    """A shop with every dimension, in two batches of products, and facts of two months."""
    shop.land("customer", "c.csv", customer(1), customer(2))
    shop.land("store", "s.csv", store(1), store(2))
    shop.land("sales_team", "t.csv", person(1), person(2))
    shop.land("product", "p.csv", product(5))
    shop.land("sales", "a.csv", fact(1, 1, 1, "10.00"), fact(2, 1, 2, "12.50"), fact(2, 2, 2, "7.00", "2026-02-01"))
    shop.drain()
    shop.land("product", "q.csv", product(5, price="12.50", updated="2026-03-15"))
    shop.drain("product")
    return shop


def test_what_dimensions_and_facts_point_at_is_never_collected_and_all_feeds_go_on(trading: Shop) -> None:
    shop = trading
    needed = {row["key"] for row in shop.ledger.rows("select key from sales.dimension_state")}
    assert len(needed) == 2 * 5
    dead = [f"state/{feed}/batch=00000001/attempt=99/versions.parquet" for feed in FEEDS]
    for key in dead:
        shop.store.put(shop.bucket, key, b"left behind")
    before = {stamp.key for stamp in shop.store.objects(shop.bucket, "")}
    for feed in FEEDS:
        collected = check(shop, feed, COLLECT)
        assert [(one.code.value, one.where) for one in collected.findings] == [
            ("collected", f"s3://{shop.bucket}/state/{feed}/batch=00000001/attempt=99/versions.parquet")
        ]
    after = {stamp.key for stamp in shop.store.objects(shop.bucket, "")}
    assert before - after == set(dead)
    assert needed <= after
    assert unreferred(cast("History", AsHistory(shop))) == []
    assert missing(cast("History", AsHistory(shop))) == []

    shop.land("customer", "c.csv", customer(2, "Bea"), customer(3))
    shop.land("product", "r.csv", product(6, "salt", "1.00"))
    shop.land("sales_team", "t.csv", person(1, "Zoe"), date=dt.date(2026, 4, 2))
    shop.land("sales", "b.csv", fact(3, 2, 1, "99.00"), fact(1, 1, 1, "1.00", name="salt"))
    shop.land("sales", "a.csv", fact(2, 1, 2, "3.00"))
    shop.drain()
    found = shop.proven()
    assert found.customers[3, dt.date(2026, 3, 1)][0] == "Ann Lee"
    for feed in FEEDS:
        assert said(check(shop, feed)) == [], feed


def test_objects_that_only_the_results_of_a_feed_point_at_are_never_collected(trading: Shop) -> None:
    """As if the batches' manifests did not name them: the feed's own pointers are enough, asked before and while it deletes."""
    shop = trading
    change(shop, "update batch set manifest = manifest - 'objects' where feed = 'product' and state = 'published'")
    needed = {row["key"] for row in shop.ledger.rows("select key from sales.dimension_state where feed = 'product'")}
    check(shop, "product", COLLECT)
    there = {stamp.key for stamp in shop.store.objects(shop.bucket, "state/product/")}
    assert {key for key in there if key.endswith(".parquet")} == needed
    shop.land("product", "r.csv", product(5, price="10.00", updated="2026-03-20"))
    shop.drain("product")
    shop.proven()


def test_marts_that_do_not_say_what_the_facts_say_are_named_and_fail(trading: Shop) -> None:
    shop = trading
    assert said(check(shop, "sales")) == []
    assert "sales: bucket and ledger agree" in shop.sluice("reconcile", "sales", "--all")
    change(shop, "update sales.customer_month set total_sales = total_sales + 0.01 where customer_id = 1")
    (finding,) = said(check(shop, "sales", Scope()))
    assert finding == (
        "counts_differ",
        "sales.proof",
        "29.50 were sold by the published facts, 29.51 by customer_month, 29.50 by seller_month, 29.50 by product_month",
    )
    assert [row["what"] for row in shop.ledger.rows("select what from failure where step = 'reconcile' and feed = 'sales'")] == [
        f"counts_differ: sales.proof: {finding[2]}; docs/runbooks/ledger-and-bucket.md"
    ]
    with pytest.raises(AssertionError, match=r"sales: 1 differences are left \(1 counts_differ\)"):
        shop.sluice("reconcile", "sales", "--all")

    change(shop, "update sales.customer_month set total_sales = total_sales - 0.01, rows = rows + 1 where customer_id = 1")
    rows = (
        "3 lines of files in force were accepted; 3 facts are published, 4 are in customer_month, 3 in seller_month, "
        "3 in product_month; 0 files differ"
    )
    assert said(check(shop, "sales", Scope())) == [("counts_differ", "sales.proof", rows)]

    change(shop, "update sales.customer_month set rows = rows - 1 where customer_id = 1")
    change(shop, "update sales.seller_month set incentive = 0.14 where sales_person_id = 2 and store_id = 1")
    assert said(check(shop, "sales")) == [
        ("counts_differ", "sales.incentive_changes of store 1, 2026-03", "for 1 sellers the changes do not add up to the incentive"),
        ("counts_differ", "sales.seller_month of store 1, 2026-03", "1 incentives are not what its totals say"),
    ]


def test_facts_published_with_other_money_than_their_bronze_are_named(trading: Shop) -> None:
    shop = trading
    (row,) = shop.ledger.rows("select file_id from file where feed = 'sales'")
    for table in ("fact_file", "customer_month", "product_month"):
        change(shop, f"update sales.{table} set total_sales = total_sales + 1 where sales_month = '2026-02-01'")
    change(shop, "update sales.seller_month set total_sales = total_sales + 1, incentive = 0.08 where sales_month = '2026-02-01'")
    change(shop, "update sales.incentive_changes set incentive_after = 0.08 where sales_month = '2026-02'")
    assert said(check(shop, "sales", Scope())) == []
    assert said(check(shop, "sales", Scope(date=DAY))) == [
        ("amounts_differ", f"file {row['file_id']}", "has 2950 cents in bronze, and 3050 in sales.fact_file")
    ]


def test_a_dimension_whose_objects_or_table_are_not_what_was_published_is_named(trading: Shop) -> None:
    shop = trading
    rows = shop.ledger.rows("select name, batch, key, size, etag from sales.dimension_state where feed = 'product' order by batch, name")
    old, newest = rows[0], rows[-1]
    assert (old["name"], newest["name"]) == ("upserts", "versions")
    body = shop.store.read_bytes(shop.bucket, newest["key"])
    shop.store.delete(shop.bucket, old["key"])
    shop.store.put(shop.bucket, newest["key"], body + b"more")
    lost = ("state_missing", f"s3://{shop.bucket}/{old['key']}", f"upserts of product after batch {old['batch']}, is not there")
    listed = said(check(shop, "product", Scope()))
    assert listed[0] == lost
    assert listed[1][:2] == ("state_differs", f"s3://{shop.bucket}/{newest['key']}")
    assert f"has {len(body) + 4} bytes" in listed[1][2]
    assert [code for code, _, _ in said(check(shop, "product", Scope(date=DAY)))] == ["state_differs"]

    shop.store.put(shop.bucket, newest["key"], body)
    change(shop, "delete from sales.dim_product where valid_to is null")
    assert said(check(shop, "product", Scope(date=DAY))) == [
        ("counts_differ", "sales.dim_product", f"has 1 versions, and 2 are in the object of batch {newest['batch']}")
    ]
