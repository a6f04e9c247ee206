"""The lake's rows (DESIGN 6), and which facts have other keys than they had. Pure: frames in, frames out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.feeds.sales.lake import FACTS
from include.feeds.sales.star import PRODUCT, Dimension
from spark_jobs.transforms.query import query
from spark_jobs.transforms.sales_dimensions import products_by_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FULL_NAME = "coalesce(concat(first_name, ' ', last_name), first_name, last_name) as full_name"


def facts(resolved: DataFrame) -> DataFrame:
    """Facts with their keys as the lake has them."""
    return query(
        f"""select {", ".join(FACTS.names)}
            from (select *, year(sales_date) * 10000 + month(sales_date) * 100 + day(sales_date) as date_key,
                         left(cast(sales_date as string), 7) as sales_month
                  from {{resolved}})""",
        resolved=resolved,
    )


def dimension(versions: DataFrame, of: Dimension, *more: str) -> DataFrame:
    """A dimension as the lake has it; `more` are columns beside those of every version."""
    attributes = [name for name, _ in of.attributes]
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
        stretches = query(
            "select product_name as named, since, until, product_key as surrogate from {products}", products=products_by_name(versions)
        )
    else:
        stretches = query("select key as named, valid_from as since, valid_to as until, surrogate from {versions}", versions=versions)
    return query(
        """select named, since, lead(since) over (partition by named order by since) as until, surrogate
           from (select named, since, surrogate from {stretches}
                 union all
                 select e.named, e.until, null from {stretches} e left anti join {stretches} s on s.named = e.named and s.since = e.until
                 where e.until is not null)""",
        stretches=stretches,
    )


def changes(before: DataFrame, after: DataFrame) -> DataFrame:
    """What is named and has another key on some day than before: the first such day, and whether it had any before."""
    return query(
        """with was as (select named, since, surrogate from {before}), now as (select named, since, surrogate from {after}),
                different as (select * from (select * from was except select * from now)
                              union all select * from (select * from now except select * from was))
           select d.named, min(d.since) as first_day, max(w.named is not null) as known
           from different d left join (select distinct named from was) w on w.named = d.named group by d.named""",
        before=before,
        after=after,
    )


def keyed(facts: DataFrame, after: DataFrame, of: Dimension) -> DataFrame:
    """Facts of the lake with the keys of this dimension that they have now."""
    columns = ", ".join(f"a.surrogate as {name}" if name == of.surrogate else f"f.{name}" for name in FACTS.names)
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


def differing_keys(facts: DataFrame, now: DataFrame, of: Dimension) -> DataFrame:
    """How many of the lake's facts have another key of this dimension than the one they should have."""
    return query(
        f"""select count(*) as differing from {{facts}} f
            left join {{now}} a on a.named = f.{of.names} and a.since <= f.sales_date and (a.until is null or f.sales_date < a.until)
            where not a.surrogate <=> f.{of.surrogate}""",
        facts=facts,
        now=now,
    )


def differing_rows(there: DataFrame, should: DataFrame) -> DataFrame:
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
