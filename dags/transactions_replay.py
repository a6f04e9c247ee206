"""## Transactions replay

Tries a quarantined file of card transactions again, as it is or with a corrected file in its place. Dry unless `go` is set: the log of
*replay* then shows the plan, what would be accepted and what refused and why, and nothing is done.

With `go` the bytes get a row and the next place in the order, as if they had arrived now, and `transactions_ingest` is woken to take
them. Both files keep their history, with who asked and why. Step by step: docs/runbooks/replay.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.replay import replay, replay_params
from include.domains.transactions.feeds import TRANSACTIONS


@dag(schedule=None, params=replay_params(), tags=["quarantine", "feed:transactions"], doc_md=__doc__, **DAG_DEFAULTS)
def transactions_replay() -> None:
    replay(TRANSACTIONS)


transactions_replay()
