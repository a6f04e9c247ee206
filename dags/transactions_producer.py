"""## Transactions producer

Mechanism X: cuts a file of card transactions into chunks and lands them as `landing/transactions/dt=<today>/chunk_<n>.csv`, one a second.
Trigger it with the `source`; unpause `transactions_ingest` to have the chunks ingested.

It goes on where the last run of that source stopped, also after a crash: no row is skipped or doubled, no key is used twice.
What its errors mean and what to do: docs/runbooks/producer.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.sources import produce, producer_params
from include.domains.transactions.feeds import TRANSACTIONS


@dag(schedule=None, params=producer_params(TRANSACTIONS), tags=["produce", "feed:transactions"], doc_md=__doc__, **DAG_DEFAULTS)
def transactions_producer() -> None:
    produce(TRANSACTIONS)


transactions_producer()
