"""The transforms of sales through Spark: dimensions over days, sums by file, what is unknown, prices that differ."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from include.domains.sales.schema import BEGINNING, DIMENSIONS, Dimension
from spark_jobs.sales import dimensions as sales_dimensions
from spark_jobs.sales import facts as sales_facts
from spark_jobs.sales import lake_rows as sales_lake
from tests import naive_sales as naive
from tests.sales_streams import batches, stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

D = Decimal
DAY = dt.date(2026, 3, 14)
FACT_BRONZE = pa.schema(
    [
        *((name, pa.int64()) for name in ("customer_id", "store_id")),
        ("product_name", pa.string()),
        ("sales_date", pa.date32()),
        ("sales_person_id", pa.int64()),
        ("price", pa.decimal128(12, 2)),
        ("quantity", pa.int64()),
        ("total_cost", pa.decimal128(12, 2)),
        *((name, pa.int64()) for name in ("file_id", "line", "seq", "sign")),
    ]
)


@pytest.fixture(autouse=True)
def _one_partition(spark: SparkSession) -> Iterator[None]:
    """A handful of rows needs no eight tasks a shuffle."""
    usual = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    yield
    spark.conf.set("spark.sql.shuffle.partitions", usual)


def frame(spark: SparkSession, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> DataFrame:
    return spark.createDataFrame(pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema))


def facts_of(spark: SparkSession, files: Sequence[naive.File], earlier: Sequence[naive.File] = ()) -> DataFrame:
    """The facts of a batch, and taken out of it those of the files that it supersedes."""
    rows = [{**row, "file_id": file.file_id, "line": line, "seq": file.seq, "sign": 1} for file, line, row in naive.lines(files)]
    replaces = {file.supersedes: file.seq for file in files}
    gone = [file for file in (*earlier, *files) if file.seq in replaces]
    rows += [{**row, "file_id": file.file_id, "line": line, "seq": replaces[file.seq], "sign": -1} for file, line, row in naive.lines(gone)]
    return frame(spark, rows, FACT_BRONZE)


def bronze_of(spark: SparkSession, dimension: Dimension, files: Sequence[naive.File]) -> DataFrame:
    schema = pa.schema(
        [
            (dimension.key, pa.int64()),
            *dimension.attributes,
            *((name, pa.int64()) for name in ("seq", "_line", "_file_id")),
            ("file_date", pa.date32()),
        ]
    )
    rows = [
        {**row, "seq": file.seq, "_line": line, "_file_id": file.file_id, "file_date": file.date} for file, line, row in naive.lines(files)
    ]
    return frame(spark, rows, schema)


def after(spark: SparkSession, dimension: Dimension, splits: Iterable[Sequence[naive.File]]) -> pa.Table:
    """Every upsert of a dimension after these batches."""
    known = dimension.upserts.empty_table()
    seen: list[naive.File] = []
    for batch in splits:
        seen += batch
        before = spark.createDataFrame(known)
        new = sales_dimensions.numbered(before, sales_dimensions.upserts(bronze_of(spark, dimension, batch), dimension), dimension)
        replaced = [file.file_id for file in seen if file.seq in {one.supersedes for one in batch}]
        known = sales_dimensions.merged(before, new, replaced, dimension).toArrow().cast(dimension.upserts)
    return known


def versions_found(spark: SparkSession, dimension: Dimension, known: pa.Table) -> dict[int, list[naive.Version]]:
    rows = sales_dimensions.versions(spark.createDataFrame(known), dimension).toArrow().cast(dimension.versions).sort_by("valid_from")
    found: dict[int, list[naive.Version]] = defaultdict(list)
    for row in rows.to_pylist():
        found[row["key"]].append(
            naive.Version(row["valid_from"], row["valid_to"], {name: row[name] for name in dimension.attributes.names})
        )
    return dict(found)


def expected_versions(dimension: Dimension, files: Sequence[naive.File]) -> dict[int, list[naive.Version]]:
    found = naive.versions_of(dimension.feed, naive.in_force(files))
    return {
        key: [one._replace(row={name: one.row.get(name) for name in dimension.attributes.names}) for one in versions]
        for key, versions in found.items()
    }


@pytest.mark.parametrize("feed", DIMENSIONS)
@pytest.mark.parametrize("seed", [1, 5])
def test_any_split_of_a_dimension_gives_the_naive_versions_and_the_same_surrogates(spark: SparkSession, feed: str, seed: int) -> None:
    dimension = DIMENSIONS[feed]
    files = [file for file in stream(seed, files=40) if file.feed == feed]
    assert any(file.supersedes for file in files)
    surrogates = []
    for cuts in ([files], batches(files, random.Random(seed))):
        known = after(spark, dimension, cuts)
        assert versions_found(spark, dimension, known) == expected_versions(dimension, files)
        pairs = {(row["key"], row["since"], row["surrogate"]) for row in known.to_pylist()}
        assert len(pairs) == len({pair[2] for pair in pairs}) == len({pair[:2] for pair in pairs})
        assert {pair[2] for pair in pairs} == set(range(1, len(pairs) + 1))
        surrogates.append(pairs)
    assert surrogates[0] == surrogates[1]


def file(feed: str, seq: int, *rows: Mapping[str, Any], date: dt.date = DAY, supersedes: int | None = None) -> naive.File:
    return naive.File(feed, seq, 100 + seq, date, dict(enumerate(rows, start=2)), supersedes)


def test_a_version_that_arrives_late_splits_history_and_keeps_everyones_number(spark: SparkSession) -> None:
    def price(value: str, day: int | None) -> Mapping[str, Any]:
        return {
            "id": 7,
            "name": "sugar",
            "current_price": D(value),
            "updated_date": day and dt.datetime(2026, 3, day, 23, 59, tzinfo=dt.UTC),
        }

    known = after(
        spark, DIMENSIONS["product"], [[file("product", 1, price("1", 10))], [file("product", 2, price("3", 20), price("2", 15))]]
    )
    rows = sales_dimensions.versions(spark.createDataFrame(known), DIMENSIONS["product"]).toArrow().sort_by("valid_from").to_pylist()
    assert [(row["valid_from"], row["valid_to"], row["current_price"], row["surrogate"]) for row in rows] == [
        (BEGINNING, dt.date(2026, 3, 15), D("1.00"), 1),
        (dt.date(2026, 3, 15), dt.date(2026, 3, 20), D("2.00"), 3),
        (dt.date(2026, 3, 20), None, D("3.00"), 2),
    ]


def test_the_number_of_what_only_a_superseded_file_said_is_never_given_again(spark: SparkSession) -> None:
    known = after(
        spark,
        DIMENSIONS["store"],
        [[file("store", 1, {"id": 1}, {"id": 2})], [file("store", 2, {"id": 1}, supersedes=1)], [file("store", 3, {"id": 3}, {"id": 2})]],
    )
    rows = sales_dimensions.versions(spark.createDataFrame(known), DIMENSIONS["store"]).toArrow().to_pylist()
    assert {row["key"]: row["surrogate"] for row in rows} == {1: 1, 2: 2, 3: 3}


def test_several_products_of_one_name_mean_the_lowest_id_while_it_bears_it(spark: SparkSession) -> None:
    def product(key: int, name: str, day: int) -> Mapping[str, Any]:
        return {"id": key, "name": name, "current_price": D(key), "updated_date": dt.datetime(2026, 3, day, tzinfo=dt.UTC)}

    rows = [product(5, "a", 1), product(3, "b", 1), product(3, "a", 10), product(3, "c", 20), product(9, "c", 1)]
    known = after(spark, DIMENSIONS["product"], [[file("product", 1, *rows)]])
    found = sales_dimensions.products_by_name(sales_dimensions.versions(spark.createDataFrame(known), DIMENSIONS["product"])).toArrow()
    assert sorted((row["product_name"], row["since"], row["until"], row["product_id"]) for row in found.to_pylist()) == [
        ("a", BEGINNING, dt.date(2026, 3, 10), 5),
        ("a", dt.date(2026, 3, 10), dt.date(2026, 3, 20), 3),
        ("a", dt.date(2026, 3, 20), None, 5),
        ("b", BEGINNING, dt.date(2026, 3, 10), 3),
        ("c", BEGINNING, dt.date(2026, 3, 20), 9),
        ("c", dt.date(2026, 3, 20), None, 3),
    ]


@pytest.mark.parametrize("seed", range(2))
def test_sums_of_any_split_are_the_naive_ones(spark: SparkSession, seed: int) -> None:
    files = [file for file in stream(seed, files=40) if file.feed == naive.FACTS]
    assert any(file.supersedes for file in files)
    for cuts in ([files], batches(files, random.Random(seed))):
        customers: dict[Any, tuple[int, Decimal]] = defaultdict(lambda: (0, D(0)))
        sellers: dict[Any, tuple[int, Decimal]] = defaultdict(lambda: (0, D(0)))
        products: dict[Any, tuple[int, Decimal]] = defaultdict(lambda: (0, D(0)))
        seen: list[naive.File] = []
        for batch in cuts:
            for row in sales_facts.totals(facts_of(spark, batch, seen)).toArrow().to_pylist():
                if row["customer_id"] is not None:
                    into, key = customers, (row["customer_id"], row["month"])
                elif row["product_name"] is not None:
                    into, key = products, (row["product_name"], row["month"])
                else:
                    into, key = sellers, (row["store_id"], row["sales_person_id"], row["month"].strftime("%Y-%m"))
                into[key] = (into[key][0] + row["rows"], into[key][1] + row["total"])
            seen += batch
        current = naive.in_force(files)
        assert {key: total for key, (rows, total) in customers.items() if rows} == naive.by_customer(current)
        assert {key: total for key, (rows, total) in sellers.items() if rows} == naive.by_seller(current)
        assert {key: found for key, found in products.items() if found[0]} == naive.by_product(current)
        assert all(total == 0 for rows, total in (*customers.values(), *sellers.values()) if rows == 0)


@pytest.mark.parametrize("seed", range(2))
def test_what_is_unknown_and_which_prices_differ_is_found_as_the_naive_evaluation_finds_it(spark: SparkSession, seed: int) -> None:
    files = stream(seed, files=30)
    expected = naive.published(files)
    assert expected.unresolved
    assert expected.warnings
    known = {
        feed: sales_dimensions.versions(
            spark.createDataFrame(after(spark, dimension, [[file for file in files if file.feed == feed]])), dimension
        )
        for feed, dimension in DIMENSIONS.items()
    }
    facts = facts_of(spark, naive.in_force([file for file in files if file.feed == naive.FACTS]))
    found = sales_facts.resolved(
        facts, known["customer"], known["store"], known["sales_team"], sales_dimensions.products_by_name(known["product"])
    )
    columns = {dimension.names: dimension.surrogate for dimension in DIMENSIONS.values()}
    told = sales_facts.findings(found, columns).toArrow().to_pylist()
    unresolved = [(row["file_id"], row["line"], row["column"], row["value"]) for row in told if row["column"] is not None]
    assert sorted(unresolved) == sorted(expected.unresolved)
    warnings = [(row["file_id"], row["line"], row["product_id"], row["valid_from"]) for row in told if row["column"] is None]
    assert sorted(warnings) == sorted(expected.warnings)


def key_on(versions: Sequence[Mapping[str, Any]], of: Dimension, named: Any, day: dt.date) -> int | None:
    """The surrogate that a fact of this day with this name has."""
    bearers = [
        (row["key"], row["surrogate"])
        for row in versions
        if row["name" if of.feed == "product" else "key"] == named
        and row["valid_from"] <= day
        and (row["valid_to"] is None or day < row["valid_to"])
    ]
    return min(bearers)[1] if bearers else None


@pytest.mark.parametrize("feed", DIMENSIONS)
@pytest.mark.parametrize("seed", [7, 8])
def test_which_names_have_another_key_and_from_which_day_is_what_a_look_at_every_day_says(
    spark: SparkSession, feed: str, seed: int
) -> None:
    dimension = DIMENSIONS[feed]
    files = [file for file in stream(seed, files=60) if file.feed == feed]
    versions, meanings = [], []
    for some in (files[: len(files) // 3], files):
        found = sales_dimensions.versions(spark.createDataFrame(after(spark, dimension, [some])), dimension).toArrow()
        versions.append(found.to_pylist())
        meanings.append(sales_lake.meanings(spark.createDataFrame(found), dimension))
    was, now = versions
    days = sorted({day for row in (*was, *now) for day in (row["valid_from"], row["valid_to"]) if day is not None})
    names = {row["name" if feed == "product" else "key"] for row in (*was, *now)}
    for table, meaning in zip(versions, meanings, strict=True):
        told = meaning.toArrow().to_pylist()
        for named in names:
            for day in days:
                held = [row["surrogate"] for row in told if row["named"] == named and row["since"] <= day < (row["until"] or dt.date.max)]
                assert held in ([key_on(table, dimension, named, day)], []), "one stretch a day"
                assert (held or [None]) == [key_on(table, dimension, named, day)]
    expected = set()
    for named in names:
        different = [day for day in days if key_on(was, dimension, named, day) != key_on(now, dimension, named, day)]
        if different:
            expected.add((named, different[0], any(key_on(was, dimension, named, day) is not None for day in days)))
    changed = sales_lake.changes(*meanings).toArrow().to_pylist()
    assert expected
    assert {(row["named"], row["first_day"], row["known"]) for row in changed} == expected
