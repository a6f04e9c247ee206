"""What sales published beside what its tables point at: nothing that is needed is collected, nothing that differs goes unsaid."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from include.domains import auditor_of, feed_named
from include.errors import EnvironmentFailure
from include.ledger.files import object_refs
from include.pipeline.ports import Ports
from include.reconcile.context import Scope
from include.reconcile.reconcile import Reconciled, reconcile
from tests.integration.shop import DAY, FEEDS, Landed, Shop
from tests.integration.snapshots import Begin
from tests.integration.test_sales import customer, fact, person, product, store
from tools.certificate.domains.sales.domain import SALES
from tools.certificate.records import Records
from tools.certificate.upkeep import missing, unreferred

COLLECT = Scope(collect=True, grace_seconds=0)
READ = Scope(verify=True)


def as_records(shop: Shop) -> Records:
    """A shop as the certificate looks at what is left in a bucket."""
    return Records(shop.store, shop.bucket, shop.ledger.rows)


def check(shop: Shop, feed: str, scope: Scope = READ) -> Reconciled:
    ports: Ports = shop.ports[feed]
    return reconcile(ports, auditor_of(feed_named(feed), ports), feed_named(feed), shop.run(), scope)


def said(found: Reconciled) -> list[tuple[str, str, str]]:
    return [(one.code.value, one.where, one.what) for one in found.findings if one.severity == "difference"]


def change(shop: Shop, statement: str, values: Sequence[Any] = ()) -> None:
    with shop.ledger.transaction() as cursor:
        cursor.execute(statement.encode(), values)
        assert cursor.rowcount > 0


@pytest.fixture
def trading(begin: Begin) -> Iterator[Shop]:
    """A shop with every dimension, in two batches of products, and facts of two months; in the lake too."""
    with begin(Shop, traded) as (shop, landed):
        shop.with_lake, shop.landed = True, landed
        yield shop


def traded(shop: Shop) -> Landed:
    shop.with_lake = True
    shop.land("customer", "c.csv", customer(1), customer(2))
    shop.land("store", "s.csv", store(1), store(2))
    shop.land("sales_team", "t.csv", person(1), person(2))
    shop.land("product", "p.csv", product(5))
    shop.land("sales", "a.csv", fact(1, 1, 1, "10.00"), fact(2, 1, 2, "12.50"), fact(2, 2, 2, "7.00", "2026-02-01"))
    shop.drain()
    shop.land("product", "q.csv", product(5, price="12.50", updated="2026-03-15"))
    shop.drain("product")
    return shop.landed


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
    assert unreferred(as_records(shop), SALES.pointers) == []
    assert missing(as_records(shop), SALES.pointers) == []

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


@pytest.fixture
def listing(begin: Begin) -> Iterator[Shop]:
    """A shop with products alone, in two batches; in the lake too."""
    with begin(Shop, listed) as (shop, landed):
        shop.with_lake, shop.landed = True, landed
        yield shop


def listed(shop: Shop) -> Landed:
    shop.with_lake = True
    shop.land("product", "p.csv", product(5), product(6, "salt"))
    shop.drain("product")
    shop.land("product", "q.csv", product(5, price="12.50", updated="2026-03-15"))
    shop.drain("product")
    return shop.landed


def state_of_products(shop: Shop) -> list[dict[str, Any]]:
    """The objects that hold the products after each of their batches, and the bytes that they held when this was asked."""
    rows = shop.ledger.rows("select name, batch, key from sales.dimension_state where feed = 'product' order by batch, name")
    return [row | {"body": shop.store.read_bytes(shop.bucket, row["key"])} for row in rows]


def test_lost_and_damaged_objects_of_a_dimension_are_made_again_with_the_recorded_bytes_and_its_feed_goes_on(listing: Shop) -> None:
    shop = listing
    old, _, _, newest = before = state_of_products(shop)
    assert (old["name"], newest["name"]) == ("upserts", "versions")
    shop.store.delete(shop.bucket, old["key"])
    shop.store.put(shop.bucket, newest["key"], newest["body"] + b"more")
    found = check(shop, "product", Scope())
    assert [(one.code.value, one.where, one.repaired) for one in found.findings if one.severity == "difference"] == [
        ("state_missing", f"s3://{shop.bucket}/{old['key']}", True),
        ("state_differs", f"s3://{shop.bucket}/{newest['key']}", True),
    ]
    assert f"upserts of product after batch {old['batch']}, is not there" in [one.what for one in found.findings]
    assert state_of_products(shop) == before
    assert [*shop.store.objects(shop.bucket, "shadow/")] == []
    assert said(check(shop, "product", Scope(date=DAY))) == []
    shop.land("product", "r.csv", product(5, price="10.00", updated="2026-03-20"))
    shop.drain("product")
    shop.proven()


def test_a_lost_object_of_a_dimension_is_named_by_the_batches_that_read_it_and_condemns_no_file(listing: Shop) -> None:
    shop = listing
    newest = state_of_products(shop)[-1]
    shop.store.delete(shop.bucket, newest["key"])
    shop.land("product", "r.csv", product(5, price="10.00", updated="2026-03-20"))
    shop.land("sales", "a.csv", fact())
    for feed in ("product", "product", "product", "product", "sales"):
        with pytest.raises(EnvironmentFailure, match=rf"{newest['key']}, which batch \d+ reads, is gone.*`sluice reconcile product --all`"):
            shop.drain(feed)
    assert [one.repaired for one in check(shop, "product", Scope()).findings if one.severity == "difference"] == [True]
    shop.drain("product", "sales")
    shop.proven()


def test_an_object_of_a_dimension_that_cannot_be_made_again_is_a_finding_that_says_why(listing: Shop) -> None:
    shop = listing
    _, first, upserts, newest = state_of_products(shop)
    (bronze,) = shop.ledger.rows("select file_id, bronze from file where feed = 'product' and batch = %s", (newest["batch"],))

    def why() -> list[str]:
        """Why what is looked at with the newest date's objects cannot be made again."""
        found = [one for one in check(shop, "product", Scope(date=DAY)).findings if one.where.endswith(newest["key"])]
        assert [(one.code.value, one.repaired) for one in found] == [("state_missing", False)]
        assert found[0].next_step.startswith("put the object back from a copy of the bucket")
        return [one.what.removeprefix(f"versions of product after batch {newest['batch']}, is not there, and ") for one in found]

    shop.store.delete(shop.bucket, newest["key"])
    shop.store.put(shop.bucket, first["key"], b"torn")
    assert why() == [f"cannot be made again: versions after batch {first['batch']}, which it is made of, is lost too"]
    shop.store.put(shop.bucket, first["key"], first["body"])

    change(shop, "update file set bronze_digest = 'another' where file_id = %s", (bronze["file_id"],))
    assert why() == [f"cannot be made again: bronze of file {bronze['file_id']} is not what was recorded"]
    change(shop, "update file set bronze_digest = %s where file_id = %s", (digest(shop, bronze), bronze["file_id"]))

    recorded = "update batch set manifest = jsonb_set(manifest, '{objects,versions,sha256}', to_jsonb(%s::text)) where batch = %s"
    change(shop, recorded, ("another", newest["batch"]))
    assert why() == ["cannot be made again: the job makes other bytes of the same rows now"]
    change(shop, recorded, (hashlib.sha256(newest["body"]).hexdigest(), newest["batch"]))

    found = check(shop, "product", Scope(date=DAY))
    assert [(one.code.value, one.repaired) for one in found.findings if one.severity == "difference"] == [("state_missing", True)]
    assert state_of_products(shop)[2:] == [upserts, newest]


def digest(shop: Shop, file: Mapping[str, Any]) -> str:
    again = shop.ports["product"].gate.reread(feed_named("product"), file["file_id"], object_refs(file["bronze"]))
    assert again.digest is not None
    return again.digest


def test_a_table_of_a_dimension_that_is_not_what_was_published_is_named(listing: Shop) -> None:
    shop = listing
    newest = state_of_products(shop)[-1]
    change(shop, "delete from sales.dim_product where valid_to is null")
    assert said(check(shop, "product", Scope(date=DAY))) == [
        ("counts_differ", "sales.dim_product", f"has 1 versions, and 3 are in the object of batch {newest['batch']}")
    ]
