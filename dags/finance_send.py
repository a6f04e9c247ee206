"""## Finance send

Brings silver, gold and the aggregates of finance to another database: PostgreSQL, MySQL, MariaDB or another that SQLAlchemy knows. An
Airflow connection says which, `sluice_finance_target` unless the run names another: no address or password is typed into a form or a log.

Runs when `finance_ingest` or `finance_daily` has published and delivered something, and by hand. Airflow forgets what is published while
this DAG is paused: trigger it once after unpausing it, or let the next publication bring everything. Only companies in which something
changed since the batch that the target is as of are written, each table in one transaction with its row in `sluice_delivery` there: safe
to run again at any time.

A target that does not answer makes the run red after its retries, and is as it was; the next run brings it all: docs/runbooks/finance.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.published import published_asset
from dags.wiring.send import send_params, send_tables
from include.domains.finance.feeds import MUTUAL_FUNDS, STOCKS

BOTH = (STOCKS, MUTUAL_FUNDS)


@dag(
    schedule=published_asset(STOCKS.group),
    params=send_params(),
    tags=["delivery", *(f"feed:{spec.name}" for spec in BOTH)],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def finance_send() -> None:
    send_tables(STOCKS.name)


finance_send()
