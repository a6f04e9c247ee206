"""Facts: sums by file, and what their keys mean. Pure: frames in, frames out; money is decimal throughout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from spark_jobs.io import query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def totals(facts: DataFrame) -> DataFrame:
    """Rows and sums that each file puts in or, where `sign` is negative, takes out, a month each.

    By customer, by seller of a store and by product name; the columns that do not belong to a group's kind are null.
    """
    return query(
        """select seq, customer_id, store_id, sales_person_id, product_name, month,
                  sum(cast(sign as bigint)) as rows,
                  cast(sum(sign * cents) * 0.01 as decimal(38, 2)) as total
           from (select *, cast(total_cost * 100 as bigint) as cents, cast(trunc(sales_date, 'MM') as date) as month from {facts})
           group by grouping sets (
               (seq, sign, customer_id, month), (seq, sign, store_id, sales_person_id, month), (seq, sign, product_name, month))""",
        facts=facts,
    )


def priced(facts: DataFrame, products: DataFrame) -> DataFrame:
    """Each fact with the product that its name means on its day (of `products_by_name`), null where none bears it."""
    return query(
        """select /*+ broadcast(p) */ f.*, p.product_key, p.product_id, p.current_price, p.product_valid_from
           from {facts} f
           left join {products} p on p.product_name = f.product_name
                                 and p.since <= f.sales_date and (p.until is null or f.sales_date < p.until)""",
        facts=facts,
        products=products,
    )


def resolved(facts: DataFrame, customers: DataFrame, stores: DataFrame, sellers: DataFrame, products: DataFrame) -> DataFrame:
    """Each fact with the surrogate keys of what it names on its day, null where nothing of that name is known.

    `customers`, `stores` and `sellers` are versions, `products` are `products_by_name`.
    """
    return query(
        """select f.*, c.surrogate as customer_key, s.surrogate as store_key, t.surrogate as sales_person_key
           from {facts} f
           left join {customers} c on c.key = f.customer_id
           left join {stores} s on s.key = f.store_id
           left join {sellers} t on t.key = f.sales_person_id
                                and t.valid_from <= f.sales_date and (t.valid_to is null or f.sales_date < t.valid_to)""",
        facts=priced(facts, products),
        customers=customers,
        stores=stores,
        sellers=sellers,
    )


def findings(facts: DataFrame, columns: Mapping[str, str]) -> DataFrame:
    """What to tell people of resolved facts: a row per column whose value is unknown, and one without a column where the price differs.

    `columns` names, for each column of facts that is looked at, the surrogate that an unknown value lacks. A product without a price
    has none that a fact's could differ from.
    """
    kinds = [
        f"""if({key} is null, named_struct('column', '{column}', 'value', cast({column} as string)), null)"""
        for column, key in columns.items()
    ]
    kinds.append("if(price <> current_price, named_struct('column', cast(null as string), 'value', cast(null as string)), null)")
    some = " or ".join([*(f"{key} is null" for key in columns.values()), "price <> current_price"])
    return query(
        f"""select file_id, line, found.column as column, found.value as value,
                   if(found.column is null, product_name, null) as product_name,
                   if(found.column is null, product_id, null) as product_id,
                   if(found.column is null, product_valid_from, null) as valid_from,
                   if(found.column is null, price, null) as price,
                   if(found.column is null, current_price, null) as current_price
            from (select *, explode(filter(array({", ".join(kinds)}), one -> one is not null)) as found from {{facts}} where {some})""",
        facts=facts,
    )
