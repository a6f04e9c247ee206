"""## Sales ingest

Takes the sales files that landed under `landing/sales/`, in order: Great Expectations judges them, Spark adds them up by customer, seller,
product and month, and one PostgreSQL transaction changes the marts in the schema `sales` by what is new.

Runs as soon as something lands, once a minute in any case, and by hand with another limit. A run takes all that waits, up to `max_files`;
what is left over goes at once into the next. Safe to run again at any time: a file counts once, whatever happens. Late files change the
month they are of; a new version of a file takes the place of the old one: docs/runbooks/overwrites.md.

It takes turns with `dimensions_ingest`: a run that finds the other at work waits a moment, then is skipped and says so, and the next minute
comes. Sales of customers, stores, sellers and products that are not known yet count at once, without names, and get them when
`dimensions_ingest` has taken them in.

Bad files are a normal end: they lie under `error/sales/` with their reasons, see docs/runbooks/quarantine.md.
A red run lost nothing, and the next one goes on where it stopped: see docs/runbooks/failed-run.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.ingest import ingest
from dags.wiring.landing import as_it_lands
from dags.wiring.params import ingest_params
from include.domains.sales.feeds import SALES


@dag(
    schedule=as_it_lands(SALES),
    params=ingest_params(SALES),
    tags=["ingest", "feed:sales"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def sales_ingest() -> None:
    ingest(SALES)


sales_ingest()
