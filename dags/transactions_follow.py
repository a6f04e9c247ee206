"""## Transactions follow

Ingests transactions as they land, in one warm task that goes round the same five steps: about a second from a file to its detections, where
`transactions_ingest` takes some. For streams such as one chunk a second.

Off until it is unpaused; from then on it follows. When nothing came for `idle_seconds`, or after `seconds`, a round ends and the next one
begins. Pause it and it ends with its round; mark its run as failed to end it at once, nothing is lost.

It and `transactions_ingest` may both be on: the ledger gives each file to one of them. When it is red: docs/runbooks/failed-run.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.follow import BEGINNING, follow, follow_params
from include.domains.transactions.feeds import TRANSACTIONS


@dag(
    schedule="@continuous",
    start_date=BEGINNING,
    params=follow_params(TRANSACTIONS),
    tags=["ingest", "feed:transactions"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def transactions_follow() -> None:
    follow(TRANSACTIONS)


transactions_follow()
