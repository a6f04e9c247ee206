"""## Finance daily

One run a date, for stocks and then for mutual funds: ingests what is missing of it, compares the bucket with the ledger, and sees that
everything adds up. By itself it runs after midnight (UTC) for the day that ended; over past dates through *Trigger → Backfill* or
`airflow backfill create`.

Dates that were not ingested are ingested in date order, however many runs are active; dates that were are verified and left alone; a date
without files is a green run that says so. A feed that fails does not keep the other from its turn, and makes the run red.

With `reprocess` in the run's conf a date is evaluated once more in shadow and compared: the certificate says for each file whether it is as
it was published, and nothing is published.

When it is red, and how to read a certificate: docs/runbooks/backfill.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.daily import after_midnight, daily_in_turn, daily_params
from dags.wiring.defaults import DAG_DEFAULTS
from include.domains.finance.feeds import MUTUAL_FUNDS, STOCKS

BOTH = (STOCKS, MUTUAL_FUNDS)


@dag(
    schedule=after_midnight(),
    params=daily_params(*BOTH),
    tags=["daily", *(f"feed:{spec.name}" for spec in BOTH)],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def finance_daily() -> None:
    daily_in_turn(*BOTH)


finance_daily()
