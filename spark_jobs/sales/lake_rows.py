"""The lake's rows, and which facts have other keys than they had. Pure: frames in, frames out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.domains.sales.schema import LAKE_FACTS, PRODUCT, Dimension
from spark_jobs.io import query
from spark_jobs.sales.dimensions import products_by_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FULL_NAME = "coalesce(concat(first_name, ' ', last_name), first_name, last_name) as full_name"


def facts(resolved: DataFrame) -> DataFrame:
    """Facts with their keys as the lake has them."""
    return query(
        f"""select {", ".join(LAKE_FACTS.names)}
            from (select *, year(sales_date) * 10000 + month(sales_date) * 100 + day(sales_date) as date_key,
                         left(cast(sales_date as string), 7) as sales_month
                  from {{resolved}})""",
        resolved=resolved,
    )


def dimension(versions: DataFrame, of: Dimension, *more: str) -> DataFrame:
    """A dimension as the lake has it; `more` are columns beside those of every version."""
    attributes = of.attributes.names
    full_name = [_FULL_NAME] if "first_name" in attributes else []
    columns = [*attributes, *full_name, *more, "valid_from", "valid_to", "file_id as _file_id", "line as _line"]
    return query(f"select surrogate as {of.surrogate}, key as {of.key}, {', '.join(columns)} from {{versions}}", versions=versions)


def dates(spark: SparkSession, years: list[int]) -> DataFrame:
    """Every day of these years."""
    return spark.sql(
        f"""select cast(date_format(date, 'yyyyMMdd') as int) as date_key, date, year(date) as year, quarter(date) as quarter,
                   month(date) as month, day(date) as day, weekday(date) + 1 as day_of_week, date_format(date, 'EEEE') as day_name,
                   weekday(date) >= 5 as is_weekend, date_format(date, 'yyyy-MM') as sales_month
            from (select explode(sequence(make_date(year, 1, 1), make_date(year, 12, 31))) as date
                  from (select explode(array({", ".join(map(str, years))})) as year))"""
    )


def meanings(versions: DataFrame, of: Dimension) -> DataFrame:
    """Which surrogate key what facts name has on which days: `named`, `since`, `until`, `surrogate`; a stretch without one has null."""
    if of is PRODUCT:
        periods = query(
            "select product_name as named, since, until, product_key as surrogate from {products}", products=products_by_name(versions)
        )
    else:
        periods = query("select key as named, valid_from as since, valid_to as until, surrogate from {versions}", versions=versions)
    return query(
        """select named, inline(array_compact(array(
                      named_struct('since', since, 'until', until, 'surrogate', surrogate),
                      if(until is not null and not until <=> next,
                         named_struct('since', until, 'until', next, 'surrogate', cast(null as bigint)), null))))
           from (select *, lead(since) over (partition by named order by since) as next from {periods})""",
        periods=periods,
    )


def changes(before: DataFrame, after: DataFrame) -> DataFrame:
    """What is named and has another key on some day than before: the first such day, and whether it had any before."""
    return query(
        """with sides as (
               select named, since, surrogate, true as was from {before} union all select named, since, surrogate, false from {after}),
           days as (
               select named, since, max(was) as was, max(not was) as now,
                      max(if(was, surrogate, null)) as before, max(if(was, null, surrogate)) as after
               from sides group by named, since)
           select named, min(if(was and now and before <=> after, null, since)) as first_day, max(was) as known
           from days group by named having first_day is not null""",
        before=before,
        after=after,
    )


def keyed(facts: DataFrame, after: DataFrame, of: Dimension) -> DataFrame:
    """Facts of the lake with the keys of this dimension that they have now."""
    columns = ", ".join(f"a.surrogate as {name}" if name == of.surrogate else f"f.{name}" for name in LAKE_FACTS.names)
    return query(
        f"""select {columns} from {{facts}} f
            left join {{after}} a on a.named = f.{of.names} and a.since <= f.sales_date and (a.until is null or f.sales_date < a.until)""",
        facts=facts,
        after=after,
    )


def sums(facts: DataFrame) -> DataFrame:
    """What the lake's facts of each file and month amount to."""
    return query(
        """select _file_id, sales_month, count(*) as rows, cast(sum(total_cost) as decimal(38, 2)) as total
           from {facts} group by _file_id, sales_month""",
        facts=facts,
    )


def changed_keys(facts: DataFrame, now: DataFrame, of: Dimension) -> DataFrame:
    """How many of the lake's facts have another key of this dimension than the one they should have."""
    return query(
        f"""select count(*) as differing from {{facts}} f
            left join {{now}} a on a.named = f.{of.names} and a.since <= f.sales_date and (a.until is null or f.sales_date < a.until)
            where not a.surrogate <=> f.{of.surrogate}""",
        facts=facts,
        now=now,
    )


def changed_rows(there: DataFrame, should: DataFrame) -> DataFrame:
    """How many rows are in one of two frames of the same columns, and not in the other."""
    return query(
        """select count(*) as differing from (
               select * from (select * from {there} except all select * from {should})
               union all
               select * from (select * from {should} except all select * from {there}))""",
        there=there,
        should=should,
    )


def out_of_date(facts: DataFrame, changed: DataFrame, after: DataFrame, of: Dimension) -> DataFrame:
    """The files and months of the lake's facts that have another key of this dimension now than the one in them."""
    return query(
        f"""select distinct f._file_id, f.sales_month from {{facts}} f
            left semi join {{changed}} c on c.named = f.{of.names} and c.first_day <= f.sales_date
            left join {{after}} a on a.named = f.{of.names} and a.since <= f.sales_date and (a.until is null or f.sales_date < a.until)
            where not a.surrogate <=> f.{of.surrogate}""",
        facts=facts,
        changed=changed,
        after=after,
    )
