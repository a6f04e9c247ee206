"""The lake of sales on real S3, PostgreSQL and Spark: exactly what is published, once, whatever was killed on the way."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.domains import auditor_of, feed_named
from include.domains.sales.schema import DIM_DATE, DIMENSIONS, FACT_SALES, GROUP
from include.feed import FeedSpec
from include.reconcile.context import Scope
from include.reconcile.reconcile import reconcile
from sluice.runtime import settings
from spark_jobs import session
from spark_jobs.lake import LakeTable
from tests import naive_sales as naive
from tests.integration.shop import FEEDS, Shop
from tests.integration.trade import Killed
from tests.sales_streams import stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from include.files.batch import Batch

D = Decimal
Rows = list[dict[str, Any]]


def fact(customer: int = 1, name: str = "sugar", day: str = "2026-03-01", cost: str = "10.00", seller: int = 1) -> naive.Row:
    return {
        "customer_id": customer,
        "store_id": 1,
        "product_name": name,
        "sales_date": dt.date.fromisoformat(day),
        "sales_person_id": seller,
        "price": D(cost),
        "quantity": 1,
        "total_cost": D(cost),
    }


def product(key: int, name: str = "sugar", price: str = "10.00", updated: str | None = None) -> naive.Row:
    at = updated and dt.datetime.fromisoformat(f"{updated}T00:00:00+00:00")
    return {"id": key, "name": name, "current_price": D(price), "updated_date": at}


def person(key: int, manager: int | None = None, first: str = "Sue") -> naive.Row:
    return {"id": key, "first_name": first, "last_name": "Roe", "manager_id": manager}


class Lake:
    """What a test asks of the lake."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.spark: SparkSession = session.connect(settings().spark)

    def table(self, name: str) -> LakeTable:
        return LakeTable(self.spark, f"s3a://{self._shop.bucket}", GROUP, name)

    def rows(self, name: str) -> Rows:
        return self.table(name).read().toArrow().to_pylist()  # type: ignore[no-any-return]

    def history(self, name: str) -> Rows:
        told = self.spark.sql(f"describe history delta.`{self.table(name).path}`").select("version", "operation", "operationMetrics")
        return sorted((row.asDict() for row in told.collect()), key=lambda row: row["version"])

    def proven(self) -> Rows:
        """The facts, once every table is what the files in force say, row by row."""
        files = self._shop.files()
        versions = {feed: naive.versions_of(feed, naive.in_force_of(files, feed)) for feed in naive.KEYS}
        dimensions = {feed: self._proven_dimension(feed, versions[feed]) for feed in naive.KEYS if versions[feed]}
        found = self.rows(FACT_SALES)
        expected = {(file.file_id, line): row for file, line, row in naive.lines(naive.in_force_of(files, naive.FACTS))}
        assert Counter((row["_file_id"], row["_line"]) for row in found) == Counter(expected.keys())
        for row in found:
            said = expected[row["_file_id"], row["_line"]]
            assert {name: row[name] for name in said} == said
            assert row["sales_month"] == f"{said['sales_date']:%Y-%m}"
            assert row["date_key"] == int(f"{said['sales_date']:%Y%m%d}")
            for feed, dimension in DIMENSIONS.items():
                self._proven_key(feed, row[dimension.surrogate], said, versions[feed], dimensions.get(feed, {}))
        if found:
            dates = [row["date"] for row in self.rows(DIM_DATE)]
            days = set(dates)
            assert len(days) == len(dates)
            assert {row["sales_date"] for row in found} <= days
        return found

    def _proven_dimension(self, feed: str, versions: Mapping[int, Sequence[naive.Version]]) -> dict[int, dict[str, Any]]:
        """Its rows by surrogate key."""
        dimension = DIMENSIONS[feed]
        rows = self.rows(dimension.table)
        assert {(row[dimension.key], row["valid_from"], row["valid_to"]) for row in rows} == {
            (key, one.since, one.until) for key, all_of in versions.items() for one in all_of
        }
        by_key = {row[dimension.surrogate]: row for row in rows}
        assert len(by_key) == len(rows) == sum(map(len, versions.values()))
        for row in rows:
            said = next(one.row for one in versions[row[dimension.key]] if one.since == row["valid_from"])
            assert {name: row[name] for name in dimension.attributes.names} == {name: said.get(name) for name in dimension.attributes.names}
            if "full_name" in row:
                assert row["full_name"] == naive.full_name(said)
        return by_key

    def _proven_key(
        self, feed: str, key: int | None, fact: naive.Row, versions: Mapping[int, Sequence[naive.Version]], by_key: Mapping[int, Any]
    ) -> None:
        """The surrogate key leads to the version that the fact means, and there is none where nothing is known."""
        dimension = DIMENSIONS[feed]
        if feed == "product":
            meant = naive.sold(fact, versions)
            expected = None if meant is None else (meant[0], meant[1].since)
        else:
            named = fact[dimension.names]
            holding = [
                one
                for one in versions.get(named, ())
                if one.since <= fact["sales_date"] and not (one.until and one.until <= fact["sales_date"])
            ]
            expected = (named, holding[0].since) if holding else None
        found = None if key is None else (by_key[key][dimension.key], by_key[key]["valid_from"])
        assert found == expected, (feed, fact)


@pytest.fixture
def lake(shop: Shop) -> Lake:
    shop.with_lake = True
    return Lake(shop)


def test_facts_and_dimensions_lie_in_the_lake_and_late_versions_give_their_facts_other_keys(shop: Shop, lake: Lake) -> None:
    shop.land("sales", "a.csv", fact(), fact(2, "salt", "2026-03-20"), fact(day="2025-12-31"))
    shop.drain("sales")
    assert {row["product_key"] for row in lake.proven()} == {None}
    assert {row["date"].year for row in lake.rows(DIM_DATE)} == {2025, 2026}
    shop.land("product", "p.csv", product(5), product(5, price="12.00", updated="2026-02-01"), product(6, "salt"))
    shop.land("customer", "c.csv", {"customer_id": 1, "first_name": "Ann", "last_name": None})
    shop.land("sales_team", "t.csv", person(1, 2), person(2, 3), person(3, 3))
    shop.drain()
    assert {row["_line"]: row["product_key"] for row in lake.proven()} == {2: 2, 3: 3, 4: 1}
    assert {row["id"]: (row["manager_path"], row["top_manager_id"], row["manager_levels"]) for row in lake.rows("dim_sales_team")} == {
        1: ([1, 2, 3], 3, 2),
        2: ([2, 3], 3, 1),
        3: ([3], 3, 0),
    }
    shop.land("product", "late.csv", product(5, price="11.00", updated="2026-02-15"), product(5, price="1.00", updated="2026-12-01"))
    shop.drain("product")
    assert {row["_line"]: row["product_key"] for row in lake.proven()} == {2: 4, 3: 3, 4: 1}
    assert int(lake.history(FACT_SALES)[-1]["operationMetrics"]["numOutputRows"]) == 2  # its month's; not those of 2025-12
    shop.land("product", "p.csv", product(7, "salt"))
    shop.drain("product")
    assert {row["_line"]: row["product_key"] for row in lake.proven()} == {2: 4, 3: 6, 4: 4}


def test_a_superseded_file_is_taken_out_and_what_was_killed_or_repeated_is_there_once(
    shop: Shop, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths = kill_after_each_write(shop, monkeypatch)
    shop.land("sales", "a.csv", fact(), fact(), fact(2, "salt"))
    shop.land("sales", "b.csv", fact(3))
    drain_through_deaths(shop, "sales")
    assert len(lake.proven()) == 4
    shop.land("product", "p.csv", product(5), product(6, "salt"))
    drain_through_deaths(shop, "product")
    lake.proven()
    shop.land("sales", "a.csv", fact(4), fact(5, day="2026-02-01"))
    drain_through_deaths(shop, "sales")
    assert sorted(row["customer_id"] for row in lake.proven()) == [3, 4, 5]
    shop.land("product", "p.csv", product(6, "salt"))
    drain_through_deaths(shop, "product")
    assert {row["product_key"] for row in lake.proven()} == {None}
    of_facts, of_products = ("fact_sales", "ledger"), ("dim_product", "fact_sales", "ledger")
    assert deaths == ["dim_date", *of_facts, *of_products, *of_facts, *of_products]
    history = {table: len(lake.history(table)) for table in (FACT_SALES, DIM_DATE, "dim_product")}
    assert history == {FACT_SALES: 5, DIM_DATE: 2, "dim_product": 2}

    shop.ledger.rows("update batch set delivered_at = null where group_name = 'sales' returning batch")
    drain_through_deaths(shop, "sales")
    assert {row["product_key"] for row in lake.proven()} == {None}
    assert {table: len(lake.history(table)) for table in history} == history


def kill_after_each_write(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Die once after each commit to a table, and once before the ledger hears of a batch; the list says where that was."""
    deaths: list[str] = []
    died: set[tuple[str, str]] = set()
    write, told = LakeTable._write, shop.ledger.outbox.batch_delivered

    def die_after(self: LakeTable, rows: DataFrame, batch: int, **how: str) -> None:
        write(self, rows, batch, **how)
        die_once(self.name, str(batch))

    def die_before(spec: FeedSpec, token: int, batch: Batch) -> None:
        die_once("ledger", str(batch.number))
        told(spec, token, batch)

    def die_once(place: str, batch: str) -> None:
        if (place, batch) not in died:
            died.add((place, batch))
            deaths.append(place)
            raise Killed

    monkeypatch.setattr(LakeTable, "_write", die_after)
    for ports in shop.ports.values():
        monkeypatch.setattr(ports.ledger.outbox, "batch_delivered", die_before)
    return deaths


def drain_through_deaths(shop: Shop, feed: str) -> None:
    while True:
        try:
            return shop.drain(feed)
        except Killed:
            continue


def test_a_stream_of_all_five_feeds_in_whatever_batches_gives_the_naive_evaluations_cells_and_lake(shop: Shop, lake: Lake) -> None:
    shop.live_through(stream(116), random.Random(116))
    found = shop.proven()
    assert found.unresolved
    assert found.warnings
    assert found.changes
    assert any(row["product_key"] for row in lake.proven())
    batches = Counter(row["feed"] for row in shop.ledger.rows("select feed from batch where state = 'published'"))
    assert batches.keys() == set(FEEDS)
    assert min(batches["sales"], batches["product"]) > 1
    assert {file.feed for file in shop.files() if file.supersedes} > {"sales"}


def test_reconcile_says_what_of_the_lake_is_not_as_published_and_rebuild_makes_it_good(shop: Shop, lake: Lake) -> None:
    shop.land("sales", "a.csv", fact(), fact(2, "salt"))
    shop.land("product", "p.csv", product(5))
    shop.land("sales_team", "t.csv", person(1))
    shop.drain("sales", "product", "sales_team")
    shop.land("product", "p.csv", product(5, "salt"))
    shop.land("sales", "a.csv", fact(3, "salt"))
    shop.drain("product", "sales")
    assert [findings(shop, feed) for feed in ("sales", "product", "sales_team")] == [[], [], []]
    there = {stamp.key for stamp in shop.store.objects(shop.bucket, "")}
    assert not [one for feed in ("sales", "product") for one in said(shop, feed, Scope(collect=True, grace_seconds=0)) if "delet" in one]
    assert {stamp.key for stamp in shop.store.objects(shop.bucket, "")} == there

    lake.spark.sql(f"update delta.`{lake.table(FACT_SALES).path}` set total_cost = 0.01, product_key = 77").collect()
    lake.spark.sql(f"delete from delta.`{lake.table('dim_product').path}`").collect()
    for stamp in shop.store.objects(shop.bucket, "lake/sales/dim_sales_team/_delta_log/"):
        shop.store.delete(shop.bucket, stamp.key)
    where = f"s3://{shop.bucket}/lake/sales"
    assert findings(shop, "sales") == [
        ("lake_differs", f"{where}/fact_sales/", "1 rows are not as published (product_key)"),
        ("lake_differs", f"{where}/fact_sales/", "has 1 facts of 2026-03 for 0.01, published are 1 for 10.00"),
    ]
    assert findings(shop, "product") == [("lake_differs", f"{where}/dim_product/", "1 rows are not as published (dim_product)")]
    assert findings(shop, "sales_team") == [("lake_missing", f"{where}/dim_sales_team/", "is not there")]
    assert "5 batches delivered" in shop.sluice("sales", "rebuild", "--yes")
    assert [findings(shop, feed) for feed in ("sales", "product", "sales_team")] == [[], [], []]
    assert [row["customer_id"] for row in lake.proven()] == [3]


def test_a_session_of_our_own_writes_the_same_lake(shop: Shop, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.land("sales", "a.csv", fact(), fact(2, "salt"))
    with monkeypatch.context() as patch:
        patch.setenv("SPARK_REMOTE", "local[2]")
        shop.sluice("ingest", "sales")
    assert len(lake.proven()) == 2


def said(shop: Shop, feed: str, scope: Scope) -> list[str]:
    return [
        str(one)
        for one in reconcile(shop.ports[feed], auditor_of(feed_named(feed), shop.ports[feed]), feed_named(feed), shop.run(), scope).findings
    ]


def findings(shop: Shop, feed: str) -> list[tuple[str, str, str]]:
    found = reconcile(
        shop.ports[feed], auditor_of(feed_named(feed), shop.ports[feed]), feed_named(feed), shop.run(), Scope(verify=True)
    ).findings
    return [(one.code.value, one.where, one.what) for one in found if one.fails]
