"""The job of a sales dimension: upserts become versions, and the facts that this touches are looked at once more."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from include.domains.sales import schema as star
from include.domains.sales.request import DimensionManifest, DimensionObjects, DimensionRequest, LookedAtAgain, PublishedFacts
from spark_jobs import io
from spark_jobs.attempt import JobRun, counted_files, objects_of, of_each_file, seq_of_each_file
from spark_jobs.sales import dimensions as sales_dimensions
from spark_jobs.sales import facts as sales_facts
from spark_jobs.sales.sum_facts import versions, write_findings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from include.storage.parquet import Spooled

_NAMES = pa.schema([("name", pa.string())])


def run(job: JobRun[DimensionRequest]) -> DimensionManifest:
    """Evaluate a batch and leave the results under its attempt.

    Raises:
        JobFailed: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    request, dimension = job.request, star.DIMENSIONS[job.request.feed]
    found_upserts, size = merged(job, dimension)
    upserts, rows = job.put_rows("upserts", found_upserts, dimension.upserts, ("seq", "line"), size)
    named = pa.concat_tables([rows.nothing.select(["file_id", "key"]), *rows.pieces(["file_id", "key"])])
    counted = named.group_by("file_id").aggregate([([], "count_all")]).to_pylist()
    files = counted_files(request.files, {row["file_id"]: row["count_all"] for row in counted})
    held = sales_dimensions.versions(job.read(dimension.upserts, [upserts.key]), dimension)
    in_force, now = job.put_rows("versions", held, dimension.versions, ("key", "valid_from"), size)
    moved = pa.array([file.file_id for file in request.files] + list(request.superseded), pa.int64())
    touched_keys = pc.unique(named.filter(pc.is_in(named["file_id"], moved))["key"])
    versioned = time.perf_counter()
    found, again = _looked_at_again(job, touched_keys, now, in_force.key)
    changed = (piece.filter(pc.is_in(piece["key"], touched_keys)) for piece in now.pieces())
    objects = DimensionObjects(
        upserts=upserts,
        versions=in_force,
        changed=job.put_pieces("changed", dimension.versions, changed)[0],
        touched_keys=job.put_table("touched", pa.table({"key": touched_keys}).sort_by("key")),
        findings=write_findings(job, found),
    )
    head = job.head({"versions": versioned - started, "facts": time.perf_counter() - versioned})
    return job.leave(DimensionManifest(**head, objects=objects, files=files, again=again))


def merged(job: JobRun[DimensionRequest], dimension: star.Dimension) -> tuple[DataFrame, int]:
    """Every row that was ever accepted, and about how many bytes they are."""
    request = job.request
    known = job.read(dimension.upserts, [request.upserts])
    bronze = job.read(dimension.bronze, objects_of(request.files))
    dates = of_each_file({file.file_id: f"date'{file.date.isoformat()}'" for file in request.files})
    new = sales_dimensions.upserts(bronze.selectExpr("*", f"{seq_of_each_file(request.files)} as seq", f"{dates} as file_date"), dimension)
    found = sales_dimensions.merged(known, sales_dimensions.numbered(known, new, dimension), list(request.superseded), dimension)
    return found, sales_dimensions.size(known, dimension) + sales_dimensions.size(bronze, dimension)


def _looked_at_again(
    job: JobRun[DimensionRequest], touched_keys: pa.Array, now: Spooled, now_key: str
) -> tuple[DataFrame | None, LookedAtAgain]:
    """What is unusual in the facts that this batch may have given another meaning, and which facts these are.

    Of most dimensions those are the facts with a key that is no longer known: a superseded file alone had said it. What a newly known key
    settles needs no look at the facts. Of products it is the facts with a name that means another version, on some day, than before.
    """
    request = job.request
    if request.feed == star.PRODUCT.feed:
        return _priced_again(job, touched_keys, now, now_key)
    known = pa.concat_arrays([pa.array([], pa.int64()), *(piece["key"].combine_chunks() for piece in now.pieces(["key"]))])
    lost = touched_keys.filter(pc.invert(pc.is_in(touched_keys, known)))
    if request.versions is None or not request.superseded or not len(lost) or not request.facts:
        return None, LookedAtAgain()
    column = star.DIMENSIONS[request.feed].names
    facts = _facts(job, request.facts, [column, "_file_id", "_line"])
    keys = job.spark.createDataFrame(pa.table({column: lost}))
    known_values = {"file_id": "_file_id", "line": "_line", "column": f"'{column}'", "value": f"cast({column} as string)"}
    nothing = {field.name: f"cast(null as {field.dataType.simpleString()})" for field in io.structure(star.FACT_FINDINGS)}
    found = facts.join(keys, on=column, how="left_semi")
    return found.selectExpr(*(f"{value} as {name}" for name, value in {**nothing, **known_values}.items())), LookedAtAgain()


def _priced_again(
    job: JobRun[DimensionRequest], touched_keys: pa.Array, now: Spooled, now_key: str
) -> tuple[DataFrame | None, LookedAtAgain]:
    request, spark = job.request, job.spark
    before = versions(job, request.feed, request.versions)
    keys = spark.createDataFrame(pa.table({"key": touched_keys}))
    then = before.join(keys, on="key", how="left_semi").select("name").distinct().toArrow()["name"].to_pylist()
    pieces = now.pieces(["key", "name"])
    names = sorted({*then, *(name for piece in pieces for name in piece.filter(pc.is_in(piece["key"], touched_keys))["name"].to_pylist())})
    concerned_names = spark.createDataFrame(pa.table({"name": names}, schema=_NAMES))
    after = versions(job, request.feed, now_key)
    timelines = [
        sales_dimensions.products_by_name(one.join(concerned_names, on="name", how="left_semi").select(*one.columns))
        for one in (before, after)
    ]
    meant, means = (timeline.toArrow().to_pylist() for timeline in timelines)
    changed = changed_names(meant, means)
    found = None
    files = files_to_look_at(request.facts, changed, known_before={row["product_name"] for row in meant})
    if files:
        columns = ["product_name", "sales_date", "price", "_file_id", "_line"]
        facts = _facts(job, files, columns).selectExpr(*columns[:3], "_file_id as file_id", "_line as line")
        named = spark.createDataFrame(pa.table({"product_name": sorted(changed)}))
        concerned = facts.join(named, on="product_name", how="left_semi").select(*facts.columns)
        found = sales_facts.findings(sales_facts.priced(concerned, timelines[1]), {"product_name": "product_key"})
    return found, LookedAtAgain(tuple(sorted(changed)), tuple(file.file_id for file in files))


def changed_names(before: Iterable[dict[str, Any]], after: Iterable[dict[str, Any]]) -> dict[str, dt.date]:
    """The names that mean another version on some day than before, each with the first such day."""
    periods: list[dict[str, dict[dt.date, Any]]] = [{}, {}]
    for place, rows in enumerate((before, after)):
        for row in rows:
            meaning = (row["until"], row["product_id"], row["product_key"], row["current_price"], row["product_valid_from"])
            periods[place].setdefault(row["product_name"], {})[row["since"]] = meaning
    then, now = periods
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


def _facts(job: JobRun[DimensionRequest], files: Sequence[PublishedFacts], columns: list[str]) -> DataFrame:
    schema = pa.schema([star.BRONZE.field(name) for name in columns])
    return job.read(schema, [key for file in files for key in file.objects])
