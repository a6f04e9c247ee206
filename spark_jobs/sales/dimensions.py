"""Dimensions: upserts by key become versions, half-open stretches of days. Pure: frames in, frames out.

An upsert holds from its day (`since`) on; of several for one day the highest (seq, line) holds, and a key's first version holds from
the beginning of time. A dimension of type 1 has the beginning of time for every `since`, and so one version a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from include.domains.sales.schema import BEGINNING, Dimension
from spark_jobs import io
from spark_jobs.io import query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_REST = 200  # bytes of a row beside its texts
_BEGINNING = f"date'{BEGINNING.isoformat()}'"


def upserts(bronze: DataFrame, dimension: Dimension) -> DataFrame:
    """Accepted rows in the star's types; bronze also holds `seq` and `file_date`. No surrogate yet."""
    kinds = io.structure(dimension.attributes)
    attributes = ", ".join(f"cast({field.name} as {field.dataType.simpleString()}) as {field.name}" for field in kinds)
    since = _BEGINNING if dimension.since is None else f"coalesce({dimension.since}, {_BEGINNING})"
    return query(
        f"""select {dimension.key} as key, {attributes}, {since} as since, seq, _line as line, _file_id as file_id
            from {{bronze}}""",
        bronze=bronze,
    )


def size(rows: DataFrame, dimension: Dimension) -> int:
    """About how many bytes upserts are once they are read, whether as they lie in bronze or as the dimension keeps them."""
    texts = " + ".join(
        f"coalesce(octet_length({name}), 0)"
        for name in dimension.attributes.names
        if pa.types.is_string(dimension.attributes.field(name).type)
    )
    (counted,) = query(f"select coalesce(sum({_REST} + {texts}), 0L) as bytes from {{rows}}", rows=rows).collect()
    return int(counted["bytes"])


def numbered(known: DataFrame, new: DataFrame, dimension: Dimension) -> DataFrame:
    """New upserts with their surrogate keys: that of their (key, since) where it has one, else the next, in (seq, line) order.

    `known` holds every upsert that ever was, so that a number is never given again.
    """
    of_pairs = query("select key, since, min(surrogate) as surrogate from {known} group by key, since", known=known)
    first = query(
        """select key, since, row_number() over (order by first.seq, first.line) as place
           from (select n.key, n.since, min(struct(n.seq, n.line)) as first from {new} n left anti join {pairs} p
                 on n.key = p.key and n.since = p.since group by n.key, n.since)""",
        new=new,
        pairs=of_pairs,
    )
    names = ", ".join(f"n.{field.name}" for field in dimension.upserts if field.name not in {"surrogate", "superseded"})
    return query(
        f"""select {names}, coalesce(p.surrogate, f.place + h.highest) as surrogate, false as superseded
            from {{new}} n
            left join {{pairs}} p on n.key = p.key and n.since = p.since
            left join {{first}} f on n.key = f.key and n.since = f.since
            cross join (select coalesce(max(surrogate), 0L) as highest from {{known}}) h""",
        new=new,
        pairs=of_pairs,
        first=first,
        known=known,
    )


def merged(known: DataFrame, new: DataFrame, superseded: list[int], dimension: Dimension) -> DataFrame:
    """Everything that was ever accepted, with the files that a later one replaces marked."""
    replaced = f"file_id in ({', '.join(map(str, superseded))})" if superseded else "false"
    names = ", ".join(field.name for field in dimension.upserts if field.name != "superseded")
    return query(
        f"""select {names}, superseded or {replaced} as superseded
            from (select {names}, superseded from {{known}} union all select {names}, superseded from {{new}})""",
        known=known,
        new=new,
    )


def versions(rows: DataFrame, dimension: Dimension) -> DataFrame:
    """What holds, from the upserts in force."""
    attributes = ", ".join(dimension.attributes.names)
    return query(
        f"""with winners as (
                select * from (
                    select *, row_number() over (partition by key, since order by seq desc, line desc) as place
                    from {{rows}} where not superseded)
                where place = 1)
            select key, {attributes},
                   if(row_number() over (partition by key order by since) = 1, {_BEGINNING}, since) as valid_from,
                   lead(since) over (partition by key order by since) as valid_to,
                   seq, line, file_id, surrogate
            from winners""",
        rows=rows,
    )


def products_by_name(products: DataFrame) -> DataFrame:
    """Which product a name means, day by day: stretches that do not overlap; of several ids that bear it the lowest."""
    return query(
        """with bounds as (
               select distinct name, bound
               from (select name, explode(array_compact(array(valid_from, valid_to))) as bound from {products})),
           periods as (
               select name, bound as since, lead(bound) over (partition by name order by bound) as until from bounds),
           bearers as (
               select s.name, s.since, s.until, p.key, p.surrogate, p.current_price, p.valid_from,
                      row_number() over (partition by s.name, s.since order by p.key) as place
               from periods s join {products} p
                 on p.name = s.name and p.valid_from <= s.since and (p.valid_to is null or s.since < p.valid_to))
           select name as product_name, since, until, key as product_id, surrogate as product_key,
                  current_price, valid_from as product_valid_from
           from bearers where place = 1""",
        products=products,
    )
