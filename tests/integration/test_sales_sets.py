"""The finished sets of sales on real S3, PostgreSQL and Spark: all of what is published, all at once, and only what is new is written."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from include.domains.sales.parquet_export import NOTHING, SALES_PARTITIONED, ParquetExport, Snapshots
from include.domains.sales.schema import MARTS
from include.files import keys
from include.files.file import ObjectRef
from include.storage.parquet import parquet_table
from sluice.runtime import new_id, now
from tests import naive_sales as naive
from tests.integration.shop import Shop
from tests.integration.test_sales import customer, fact, person
from tests.integration.test_sales_lake import product
from tests.integration.trade import Killed


@pytest.fixture(autouse=True)
def of_the_lake(shop: Shop) -> None:
    """The sets are made of what lies there."""
    shop.with_lake = True


def sets_of(shop: Shop) -> ParquetExport:
    return ParquetExport(shop.ledger.session, shop.store, shop.bucket, shop.ports["sales"].job, new_id)


def read(shop: Shop, table: str) -> list[dict[str, Any]]:
    """The rows of a set as a reader finds them: by what the one object names, exactly."""
    named = json.loads(shop.store.read_bytes(shop.bucket, keys.snapshots_index("sales")))["objects"][table]
    rows: list[dict[str, Any]] = []
    for ref in named:
        folders = dict(part.split("=") for part in ref["key"].split("/") if "=" in part)
        body = shop.store.read_bytes(shop.bucket, ref["key"], ref["etag"])
        rows += [{**row, **folders} for row in parquet_table(body).to_pylist()]
    return rows


def proven(shop: Shop) -> Snapshots:
    """The sets, once they are what PostgreSQL has published."""
    shop.proven()
    for mart, schema in MARTS.items():
        found = [tuple(row[name] for name in schema.names) for row in read(shop, mart)]
        assert sorted(found, key=repr) == sorted(shop.table(mart, ", ".join(schema.names)), key=repr)
    files = naive.in_force_of(shop.files(), naive.FACTS)
    expected = {(file.file_id, line): row for file, line, row in naive.lines(files)}
    found = {(row["_file_id"], row["_line"]): row for row in read(shop, SALES_PARTITIONED)}
    assert found.keys() == expected.keys()
    assert len(read(shop, SALES_PARTITIONED)) == len(expected)
    for line, row in found.items():
        said = expected[line]
        assert (int(row["store_id"]), row["sales_month"]) == (said["store_id"], f"{said['sales_date']:%Y-%m}")
        assert (row["customer_id"], row["total_cost"], row["sales_date"]) == (said["customer_id"], said["total_cost"], said["sales_date"])
    return sets_of(shop).current()


def test_all_sets_appear_at_once_and_only_changed_months_are_written_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sets_of(shop).current() == NOTHING
    shop.land("sales", "a.csv", fact(1, cost="3.00"), fact(2, 2, cost="4.00"), fact(1, day="2026-02-01"))
    shop.land("customer", "c.csv", customer(1))
    shop.drain("sales", "customer")
    sets_of(shop).refresh(now(), shop.said.append)
    first = proven(shop)
    assert sorted(first.months) == ["2026-02", "2026-03"]

    shop.land("sales", "b.csv", fact(3, day="2026-03-31"))
    shop.land("sales_team", "t.csv", person(1))
    shop.drain("sales", "sales_team")
    with monkeypatch.context() as patch:
        kill_before_the_switch(shop, patch)
        with pytest.raises(Killed):
            sets_of(shop).refresh(now(), shop.said.append)
    assert sets_of(shop).current() == first
    assert len(read(shop, SALES_PARTITIONED)) == 3
    sets_of(shop).refresh(now(), shop.said.append)
    second = proven(shop)
    assert second.batch == 4

    shop.land("sales", "b.csv", fact(4, day="2026-03-30"))
    shop.land("product", "p.csv", product(5, "nothing that is sold"))
    shop.drain("sales", "product")
    third = sets_of(shop).refresh(now() + dt.timedelta(hours=2), shop.said.append)
    assert proven(shop) == third
    assert of_month(third, "2026-02") == of_month(second, "2026-02")
    assert of_month(third, "2026-03").isdisjoint(of_month(second, "2026-03"))
    there = {stamp.key for stamp in shop.store.objects(shop.bucket, "lake/sales/")}
    assert third.keys | second.keys <= there
    assert not {key for key in there if "/set=" in key} - third.keys - second.keys


def test_a_refresh_that_another_one_overtook_does_not_take_the_sets_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.land("sales", "a.csv", fact(1, cost="3.00"))
    shop.drain("sales")
    with monkeypatch.context() as patch:
        overtaken_before_the_marts(shop, patch)
        sets_of(shop).refresh(now(), shop.said.append)
    assert proven(shop).batch == 2
    assert len(read(shop, SALES_PARTITIONED)) == 2


def overtaken_before_the_marts(shop: Shop, patch: pytest.MonkeyPatch) -> None:
    """Facts are published and the sets refreshed by another, once, when a refresh has written its months and no mart yet."""
    put = shop.store.put
    overtaken: list[str] = []

    def put_and_be_overtaken(bucket: str, key: str, *more: Any, **named: Any) -> ObjectRef:
        written = put(bucket, key, *more, **named)
        if key.startswith("lake/sales/marts/") and not overtaken:
            overtaken.append(key)
            shop.land("sales", "b.csv", fact(2, cost="4.00"))
            shop.drain("sales")
            sets_of(shop).refresh(now(), shop.said.append)
        return written

    patch.setattr(shop.store, "put", put_and_be_overtaken)


def of_month(finished: Snapshots, month: str) -> set[str]:
    return {ref["key"] for ref in finished.objects[SALES_PARTITIONED] if ref["sales_month"] == month}


def kill_before_the_switch(shop: Shop, patch: pytest.MonkeyPatch) -> None:
    put = shop.store.put

    def put_all_but_the_switch(bucket: str, key: str, *more: Any, **named: Any) -> ObjectRef:
        if key == keys.snapshots_index("sales"):
            raise Killed
        return put(bucket, key, *more, **named)

    patch.setattr(shop.store, "put", put_all_but_the_switch)
