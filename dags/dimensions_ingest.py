"""## Dimensions ingest

Takes the files of customers, stores, products and sellers that landed under `landing/customer/`, `landing/store/`, `landing/product/` and
`landing/sales_team/`, one feed after another by the same five steps. Names in the marts and what was unresolved follow in the same
transaction that publishes them.

Runs as soon as something lands for any of them, once a minute in any case, and by hand with another limit. Products and sellers keep their
history, and a version that comes late is put where it belongs. Files may come before the sales that need them or after.

It takes turns with `sales_ingest`: a feed that finds it at work waits a moment, then is skipped and says so, and the next minute comes.

Bad files are a normal end: they lie under `error/<feed>/` with their reasons, see docs/runbooks/quarantine.md.
A red run lost nothing, and the next one goes on where it stopped: see docs/runbooks/failed-run.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.ingest import ingest_in_turn
from dags.wiring.landing import as_it_lands
from dags.wiring.params import ingest_params
from include.domains.sales.feeds import CUSTOMER, PRODUCT, SALES_TEAM, STORE

DIMENSIONS = (CUSTOMER, STORE, PRODUCT, SALES_TEAM)


@dag(
    schedule=as_it_lands(*DIMENSIONS),
    params=ingest_params(*DIMENSIONS),
    tags=["ingest", *(f"feed:{spec.name}" for spec in DIMENSIONS)],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def dimensions_ingest() -> None:
    ingest_in_turn(*DIMENSIONS)


dimensions_ingest()
