"""## Sales replay

Tries a quarantined file of sales, customers, stores, products or sellers again, as it is or with a corrected file in its place. Dry
unless `go` is set: the log of *replay* then shows the plan, what would be accepted and what refused and why, which files in force it would
take the place of, and nothing is done.

With `go` the bytes get a row and the next place in the order, as if they had arrived now, and `sales_ingest` or `dimensions_ingest` is
woken to take them. Both files keep their history, with who asked and why. Step by step: docs/runbooks/replay.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.replay import replay, replay_params
from include.domains.sales.feeds import CUSTOMER, PRODUCT, SALES, SALES_TEAM, STORE

REPLAYED = (SALES, CUSTOMER, STORE, PRODUCT, SALES_TEAM)


@dag(
    schedule=None,
    params=replay_params(),
    tags=["quarantine", *(f"feed:{spec.name}" for spec in REPLAYED)],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def sales_replay() -> None:
    replay(*REPLAYED)


sales_replay()
