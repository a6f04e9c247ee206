"""What the feeds of the star published, held against the ledger: the marts against the facts, dimensions against their objects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from include.domains.sales.lake_auditor import LakeChecks
from include.domains.sales.schema import DIMENSIONS, FACTS_FEED, Dimension
from include.domains.sales.state_auditor import DimensionStateChecks
from include.feed import FeedSpec
from include.ledger.session import LedgerSession
from include.pipeline.services import Services
from include.reconcile.context import Auditor, ReconcileContext
from include.reconcile.finding import Code, Finding
from include.reconcile.inventory import Expected

_RUNBOOK = "docs/runbooks/ledger-and-bucket.md"

# What was published more than once, and where it is not alike. One statement, so one moment.
_SUMS = """
select 'sales.proof' as place,
       format('%%s lines of files in force were accepted; %%s facts are published, %%s are in customer_month, %%s in seller_month, '
              '%%s in product_month; %%s files differ', accepted_rows, published_rows, customers_rows, sellers_rows, products_rows,
              files_that_differ) as what
from sales.proof
where files_that_differ > 0 or not accepted_rows = all (array[published_rows, customers_rows, sellers_rows, products_rows])
union all
select 'sales.proof', format('%%s were sold by the published facts, %%s by customer_month, %%s by seller_month, %%s by product_month',
                             published_total, customers_total, sellers_total, products_total)
from sales.proof where not published_total = all (array[customers_total, sellers_total, products_total])
union all
select format('sales.seller_month of store %%s, %%s', store_id, to_char(sales_month, 'YYYY-MM')),
       format('%%s incentives are not what its totals say', count(*))
from (select *, max(total_sales) over (partition by store_id, sales_month) as highest from sales.seller_month) m
where incentive <> case when total_sales = highest then round(total_sales / 100, 2) else 0.00 end
group by store_id, sales_month
union all
select format('sales.incentive_changes of store %%s, %%s', store_id, sales_month),
       format('for %%s sellers the changes do not add up to the incentive', count(*))
from (select store_id, to_char(sales_month, 'YYYY-MM') as sales_month, sales_person_id, incentive from sales.seller_month) m
full join (select store_id, sales_month, sales_person_id, sum(incentive_after - incentive_before) as incentive
           from sales.incentive_changes group by 1, 2, 3) c using (store_id, sales_month, sales_person_id)
where coalesce(m.incentive, 0) <> coalesce(c.incentive, 0)
group by store_id, sales_month
order by 1, 2 limit 100
"""


def auditor(spec: FeedSpec, services: Services) -> Auditor:
    session, lake = services.ledger.session, LakeChecks(spec, services.ledger.session).lake
    if spec.name == FACTS_FEED:  # facts have no state: what a file put in is read again from its bronze
        facts = FactsChecks(session)
        return Auditor((facts.published, facts.amounts, lake))
    dimension = DimensionChecks(DIMENSIONS[spec.name], session)
    return Auditor((DimensionStateChecks(session).state, dimension.published, lake), dimension.pointers)


@dataclass(frozen=True)
class FactsChecks:
    """The passes of reconciliation that are the sales feed's own."""

    ledger: LedgerSession

    def published(self, _: ReconcileContext) -> Iterator[Finding]:
        """The marts say what the published facts say, and those what the gate accepted."""
        for row in self.ledger.rows(_SUMS, ()):
            yield Finding(Code.COUNTS_DIFFER, row["place"], row["what"], _RUNBOOK)

    def amounts(self, context: ReconcileContext) -> Iterator[Finding]:
        """What each file was published with is what its bronze amounts to, where that was read."""
        for row in self.ledger.rows(
            """select f.file_id, (sum(m.total_sales) * 100)::bigint as cents
               from file f join sales.fact_file m using (file_id)
               where f.feed = %s and f.state = 'published' group by f.file_id order by 1""",
            (context.spec.name,),
        ):
            bronze = context.amounts.of_file(row["file_id"])
            if bronze is not None and bronze != row["cents"]:
                what = f"has {bronze} cents in bronze, and {row['cents']} in sales.fact_file"
                yield Finding(Code.AMOUNTS_DIFFER, f"file {row['file_id']}", what, _RUNBOOK, file_id=row["file_id"])


@dataclass(frozen=True)
class DimensionChecks:
    """The passes of reconciliation that are a dimension's own."""

    dimension: Dimension
    ledger: LedgerSession

    def pointers(self, date: dt.date | None) -> Iterator[Expected]:
        """The objects that hold the dimension after each of its batches, which are of no date."""
        if date is not None:
            return
        for row in self.ledger.rows("select * from sales.dimension_state where feed = %s", (self.dimension.feed,)):
            yield Expected(row["bucket"], row["key"], f"dimension {row['name']}", row["batch"], row["size"], row["etag"], required=False)

    def published(self, context: ReconcileContext) -> Iterator[Finding]:
        """The published table has as many versions as the object that it was written from."""
        table = f"sales.{self.dimension.table}"
        for row in self.ledger.rows(
            f"""select s.batch, s.rows as held, p.rows as published
                from (select batch, rows from sales.dimension_state where feed = %s and name = 'versions' order by batch desc limit 1) s,
                     (select count(*) as rows from {table}) p
                where s.rows <> p.rows""",
            (context.spec.name,),
        ):
            what = f"has {row['published']} versions, and {row['held']} are in the object of batch {row['batch']}"
            yield Finding(Code.COUNTS_DIFFER, table, what, _RUNBOOK)
