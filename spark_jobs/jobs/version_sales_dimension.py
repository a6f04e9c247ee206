"""The job of a sales dimension: upserts become versions, and the facts that this touches are looked at once more."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from include.feeds.sales import star
from include.feeds.sales.job import DimensionRequest, PublishedFacts
from include.ingestion.errors import EnvironmentFailure
from spark_jobs import io
from spark_jobs.attempt import leave_manifest, put_table
from spark_jobs.jobs.sum_sales_facts import of_each_file, versions, write_unusual
from spark_jobs.transforms import sales_dimensions, sales_facts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from include.ingestion.ports import ObjectStore

_NAMES = pa.schema([("name", pa.string())])


def run(spark: SparkSession, request: DimensionRequest, store: ObjectStore, base: str | None = None) -> dict[str, Any]:
    """Evaluate a batch and leave the results under its attempt; returns the manifest, which is written last.

    `base` is where Spark finds the request's keys: its bucket through S3A, unless told otherwise.

    Raises:
        EnvironmentFailure: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    base = base or f"s3a://{request.bucket}"
    dimension = star.DIMENSIONS[request.feed]
    upserts = merged(spark, request, base, dimension)
    files = per_file(request, upserts)
    objects = {"upserts": put_table(store, request, "upserts", upserts)}
    rows = io.read_objects(spark, io.structure(dimension.upserts), base, [objects["upserts"]["key"]])
    now = sales_dimensions.versions(rows, dimension).toArrow().cast(dimension.versions)
    now = now.sort_by([("key", "ascending"), ("valid_from", "ascending")])
    objects["versions"] = put_table(store, request, "versions", now)
    moved = pa.array([file.file_id for file in request.files] + list(request.superseded), pa.int64())
    touched = pc.unique(upserts.filter(pc.is_in(upserts["file_id"], moved))["key"])
    versioned = time.perf_counter()
    found, again = _looked_at_again(spark, request, base, touched, now, objects["versions"]["key"])
    tables = {"touched": pa.table({"key": touched}).sort_by("key"), "changed": now.filter(pc.is_in(now["key"], touched))}
    if found is None:
        tables["unusual"] = star.UNUSUAL.empty_table()
    else:
        objects["unusual"] = write_unusual(store, request, base, found)
    objects |= {name: put_table(store, request, name, table) for name, table in tables.items()}
    seconds = {"versions": versioned - started, "facts": time.perf_counter() - versioned}
    return leave_manifest(store, request, objects, files, seconds, again=again)


def merged(spark: SparkSession, request: DimensionRequest, base: str, dimension: star.Dimension) -> pa.Table:
    """Every row that was ever accepted, in seq and line order."""
    schema = io.structure(dimension.upserts)
    known = spark.createDataFrame([], schema) if request.upserts is None else io.read_objects(spark, schema, base, [request.upserts])
    fields = [field for field in dimension.versions if field.name in dict(dimension.attributes)]
    of_a_row = [pa.field(dimension.key, pa.int64()), *fields, pa.field("_file_id", pa.int64()), pa.field("_line", pa.int64())]
    bronze = io.read_objects(spark, io.structure(pa.schema(of_a_row)), base, [key for file in request.files for key in file.objects])
    seqs = of_each_file({file.file_id: f"{file.seq}L" for file in request.files})
    dates = of_each_file({file.file_id: f"date'{file.date.isoformat()}'" for file in request.files})
    new = sales_dimensions.upserts(bronze.selectExpr("*", f"{seqs} as seq", f"{dates} as file_date"), dimension)
    found = sales_dimensions.merged(known, sales_dimensions.numbered(known, new, dimension), list(request.superseded), dimension)
    return found.toArrow().cast(dimension.upserts).sort_by([("seq", "ascending"), ("line", "ascending")])


def per_file(request: DimensionRequest, upserts: pa.Table) -> list[dict[str, Any]]:
    """Rows of each file, in seq order, compared with what the request counts.

    Raises:
        EnvironmentFailure: they differ, so bronze is not what the gate wrote.
    """
    counted = upserts.group_by("file_id").aggregate([([], "count_all")]).to_pylist()
    rows = {row["file_id"]: row["count_all"] for row in counted}
    for file in request.files:
        if rows.get(file.file_id, 0) != file.rows:
            found = rows.get(file.file_id, 0)
            what = f"bronze of file {file.file_id} (seq {file.seq}) holds {found} rows where its gate counted {file.rows}"
            raise EnvironmentFailure("Spark", what, "docs/runbooks/stuck-batch.md")
    return [{"file_id": file.file_id, "seq": file.seq, "rows": file.rows} for file in request.files]


def _looked_at_again(
    spark: SparkSession, request: DimensionRequest, base: str, touched: pa.Array, now: pa.Table, now_key: str
) -> tuple[DataFrame | None, dict[str, Any]]:
    """What is unusual in the facts that this batch may have given another meaning, and which facts these are.

    Of most dimensions those are the facts with a key that is no longer known: a superseded file alone had said it. What a newly known key
    settles needs no look at the facts. Of products it is the facts with a name that means another version, on some day, than before.
    """
    if request.feed == star.PRODUCT.feed:
        return _priced_again(spark, request, base, touched, now, now_key)
    known = now["key"].combine_chunks()
    lost = touched.filter(pc.invert(pc.is_in(touched, known)))
    if request.versions is None or not request.superseded or not len(lost) or not request.facts:
        return None, {}
    column = star.DIMENSIONS[request.feed].names
    facts = _facts(spark, base, request.facts, [column, "_file_id", "_line"])
    keys = spark.createDataFrame(pa.table({column: lost}))
    told = {"file_id": "_file_id", "line": "_line", "column": f"'{column}'", "value": f"cast({column} as string)"}
    nothing = {field.name: f"cast(null as {field.dataType.simpleString()})" for field in io.structure(star.UNUSUAL)}
    found = facts.join(keys, on=column, how="left_semi")
    return found.selectExpr(*(f"{value} as {name}" for name, value in {**nothing, **told}.items())), {}


def _priced_again(
    spark: SparkSession, request: DimensionRequest, base: str, touched: pa.Array, now: pa.Table, now_key: str
) -> tuple[DataFrame | None, dict[str, Any]]:
    before = versions(spark, base, request.feed, request.versions)
    keys = spark.createDataFrame(pa.table({"key": touched}))
    then = before.join(keys, on="key", how="left_semi").select("name").distinct().toArrow()["name"].to_pylist()
    names = sorted({*then, *now.filter(pc.is_in(now["key"], touched))["name"].to_pylist()})
    asked = spark.createDataFrame(pa.table({"name": names}, schema=_NAMES))
    after = versions(spark, base, request.feed, now_key)
    timelines = [
        sales_dimensions.products_by_name(one.join(asked, on="name", how="left_semi").select(*one.columns)) for one in (before, after)
    ]
    changed = changed_names(*(timeline.toArrow().to_pylist() for timeline in timelines))
    found = None
    files = files_to_look_at(request.facts, changed, known_before=set(then))
    if files:
        columns = ["product_name", "sales_date", "price", "_file_id", "_line"]
        facts = _facts(spark, base, files, columns).selectExpr(*columns[:3], "_file_id as file_id", "_line as line")
        named = spark.createDataFrame(pa.table({"product_name": sorted(changed)}))
        concerned = facts.join(named, on="product_name", how="left_semi").select(*facts.columns)
        found = sales_facts.unusual(sales_facts.priced(concerned, timelines[1]), {"product_name": "product_key"})
    return found, {"product_names": sorted(changed), "file_ids": [file.file_id for file in files]}


def changed_names(before: Iterable[dict[str, Any]], after: Iterable[dict[str, Any]]) -> dict[str, dt.date]:
    """The names that mean another version on some day than before, each with the first such day."""
    stretches: list[dict[str, dict[dt.date, Any]]] = [{}, {}]
    for place, rows in enumerate((before, after)):
        for row in rows:
            meaning = (row["until"], row["product_id"], row["product_key"], row["current_price"], row["product_valid_from"])
            stretches[place].setdefault(row["product_name"], {})[row["since"]] = meaning
    then, now = stretches
    changed = {}
    for name in then.keys() | now.keys():
        old, new = then.get(name, {}), now.get(name, {})
        days = [day for day in old.keys() | new.keys() if old.get(day) != new.get(day)]
        if days:
            changed[name] = min(days)
    return changed


def files_to_look_at(facts: Sequence[PublishedFacts], changed: dict[str, dt.date], known_before: set[str]) -> list[PublishedFacts]:
    """The files that may hold facts of these names on days that changed: those of a name that is new are among the unresolved ones."""
    days = [day for name, day in changed.items() if name in known_before]
    first = min(days).replace(day=1) if days else None
    return [file for file in facts if (changed and file.unknown_products) or (first is not None and file.last_month >= first)]


def _facts(spark: SparkSession, base: str, files: Sequence[PublishedFacts], columns: list[str]) -> DataFrame:
    schema = pa.schema([star.BRONZE.field(name) for name in columns])
    return io.read_objects(spark, io.structure(schema), base, [key for file in files for key in file.objects])
