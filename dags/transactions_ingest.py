"""## Transactions ingest

Takes the card transaction files that landed under `landing/transactions/`, in order: Great Expectations judges them, Spark looks for the
three patterns after each of them, PostgreSQL remembers, the detections go to `detections/transactions/`.

Runs as soon as something lands, once a minute in any case, and by hand with other limits or thresholds. A run takes all that waits, up to
`max_files`; what is left over goes at once into the next. Safe to run again at any time: a file counts once, whatever happens.

Bad files are a normal end: they lie under `error/transactions/` with their reasons, see docs/runbooks/quarantine.md.
A red run lost nothing, and the next one goes on where it stopped: see docs/runbooks/failed-run.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.ingest import ingest
from dags.wiring.landing import as_it_lands
from dags.wiring.params import ingest_params
from include.domains.transactions.feeds import TRANSACTIONS


@dag(
    schedule=as_it_lands(TRANSACTIONS),
    params=ingest_params(TRANSACTIONS),
    tags=["ingest", "feed:transactions"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def transactions_ingest() -> None:
    ingest(TRANSACTIONS)


transactions_ingest()
