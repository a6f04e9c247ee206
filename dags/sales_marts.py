"""## Sales marts

Refreshes what is made of published sales for readers of plain Parquet: `lake/sales/sales_partitioned/` (the facts by month and store),
`lake/sales/customers_data_mart/` and `lake/sales/sales_team_data_mart/`. `lake/sales/finished.json` names the objects of all three; it is
replaced at the end by one write, so they appear at once, and who reads what it names never sees half of a set: docs/runbooks/lake.md.

Runs when `sales_ingest` or `dimensions_ingest` has published and delivered something, and by hand. Only months in which something changed
are written; what was readable before stays so for an hour. Safe to run again at any time.

A red run changed nothing that people read; the next one goes on: docs/runbooks/lake.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.marts import refresh_marts
from dags.wiring.published import published_asset
from include.domains.sales.feeds import SALES


@dag(schedule=published_asset(SALES.group), tags=["lake", "feed:sales"], doc_md=__doc__, **DAG_DEFAULTS)
def sales_marts() -> None:
    refresh_marts(SALES.name)


sales_marts()
