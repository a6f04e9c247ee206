"""## Transactions daily

One run a date: ingests what is missing of it, compares the bucket with the ledger, and sees that everything adds up. By itself it runs
after midnight (UTC) for the day that ended; over past dates through *Trigger → Backfill* or `airflow backfill create`.

Dates that were not ingested are ingested in date order, however many runs are active; dates that were are verified and left alone; a date
without files is a green run that says so. With `reprocess` in the run's conf a date is evaluated once more in shadow, under what was
recorded for it, and compared: the certificate says for each file whether it is as it was published, and nothing is published.

When it is red, and how to read a certificate: docs/runbooks/backfill.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.daily import after_midnight, daily, daily_params
from dags.wiring.defaults import DAG_DEFAULTS
from include.domains.transactions.feeds import TRANSACTIONS


@dag(
    schedule=after_midnight(),
    params=daily_params(TRANSACTIONS),
    tags=["daily", "feed:transactions"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def transactions_daily() -> None:
    daily(TRANSACTIONS)


transactions_daily()
