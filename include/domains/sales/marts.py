"""The part of a publication of facts that changes the marts: sums first, then, file by file in seq order, the incentives."""

from __future__ import annotations

from include.domains.sales.schema import SUMS
from include.files.batch import Batch, BatchFile
from include.ledger.session import Cursor
from include.ledger.tables import copy_in
from include.storage.parquet import Spooled

_TABLES = """
create temporary table put (seq bigint, customer_id bigint, store_id bigint, sales_person_id bigint, product_name text, sales_month date,
                            rows bigint, total_sales numeric(38, 2)) on commit drop;
create temporary table paid (store_id bigint, sales_month date, sales_person_id bigint, incentive numeric(38, 2)) on commit drop;
"""

_MART = """
merge into sales.{mart} m
using (select {key}, sales_month, sum(rows) as rows, sum(total_sales) as total_sales from put where {key} is not null group by 1, 2) p
on (m.{key}, m.sales_month) = (p.{key}, p.sales_month)
when matched and m.rows + p.rows = 0 then delete
when matched then update set rows = m.rows + p.rows, total_sales = m.total_sales + p.total_sales
when not matched and p.rows <> 0 then
    insert ({key}, sales_month, rows, total_sales) values (p.{key}, p.sales_month, p.rows, p.total_sales)
"""
_MARTS = {"customer_month": "customer_id", "product_month": "product_name"}

_FILES = """
insert into sales.fact_file (file_id, sales_month, seq, rows, total_sales)
select f.file_id, p.sales_month, p.seq, sum(p.rows), sum(p.total_sales)
from put p join unnest(%s::bigint[], %s::bigint[]) as f (seq, file_id) using (seq)
where p.product_name is not null and p.rows > 0 group by 1, 2, 3
"""

_BEFORE = """
insert into paid
select store_id, sales_month, sales_person_id, incentive from sales.seller_month
join (select distinct store_id, sales_month from put where seq = %(seq)s and store_id is not null) t using (store_id, sales_month)
"""

_SELLERS = """
merge into sales.seller_month m
using (select store_id, sales_month, sales_person_id, sum(rows) as rows, sum(total_sales) as total_sales from put
       where seq = %(seq)s and store_id is not null group by 1, 2, 3) p
on (m.store_id, m.sales_month, m.sales_person_id) = (p.store_id, p.sales_month, p.sales_person_id)
when matched and m.rows + p.rows = 0 then delete
when matched then update set rows = m.rows + p.rows, total_sales = m.total_sales + p.total_sales
when not matched and p.rows <> 0 then
    insert (store_id, sales_month, sales_person_id, rows, total_sales)
    values (p.store_id, p.sales_month, p.sales_person_id, p.rows, p.total_sales)
"""

_INCENTIVES = """
with ranked as (
    select store_id, sales_month, sales_person_id, total_sales,
           max(total_sales) over (partition by store_id, sales_month) as highest
    from sales.seller_month
    join (select distinct store_id, sales_month from put where seq = %(seq)s and store_id is not null) t using (store_id, sales_month)
)
update sales.seller_month m set incentive = case when r.total_sales = r.highest then round(r.total_sales / 100, 2) else 0.00 end
from ranked r where (m.store_id, m.sales_month, m.sales_person_id) = (r.store_id, r.sales_month, r.sales_person_id)
"""

_CHANGES = """
insert into sales.incentive_changes (store_id, sales_month, sales_person_id, incentive_before, incentive_after, file_id, changed_at)
select store_id, to_char(sales_month, 'YYYY-MM'), sales_person_id, coalesce(b.incentive, 0), coalesce(a.incentive, 0), %(file_id)s, %(at)s
from paid b
full join (select m.store_id, m.sales_month, m.sales_person_id, m.incentive from sales.seller_month m
           join (select distinct store_id, sales_month from put where seq = %(seq)s and store_id is not null) t
             using (store_id, sales_month)) a
     using (store_id, sales_month, sales_person_id)
where coalesce(a.incentive, 0) <> coalesce(b.incentive, 0)
"""


def publish_sums(cursor: Cursor, batch: Batch, sums: Spooled) -> int:
    """Let a batch count: only the groups that its files touch are looked at. How many incentives changed.

    Args:
        sums: rows of `schema.SUMS`, by file and group.
    """
    cursor.execute(_TABLES)
    columns = [{"month": "sales_month", "total": "total_sales"}.get(name, name) for name in SUMS.names]
    copy_in(cursor, "put", columns, (piece.select(SUMS.names).rename_columns(columns) for piece in sums.pieces()))
    cursor.execute("create index on put (seq)")
    cursor.execute("analyze put")
    for mart, key in _MARTS.items():
        cursor.execute(_MART.format(mart=mart, key=key).encode())
    cursor.execute("delete from sales.fact_file where file_id = any(%s)", ([old.file_id for old in batch.superseded],))
    cursor.execute(_FILES, ([file.seq for file in batch.files], [file.file_id for file in batch.files]))
    changed = sum(_publish_sellers(cursor, batch, file) for file in batch.files)
    cursor.execute("drop table put, paid")
    return changed


def _publish_sellers(cursor: Cursor, batch: Batch, file: BatchFile) -> int:
    """Let one file count for the sellers, and note whose incentive that changed."""
    values = {"seq": file.seq, "file_id": file.file_id, "at": batch.published_at}
    cursor.execute("truncate paid")
    for statement in (_BEFORE, _SELLERS, _INCENTIVES, _CHANGES):
        cursor.execute(statement, values)
    return cursor.rowcount
