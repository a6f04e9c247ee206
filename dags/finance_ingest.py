"""## Finance ingest

Takes the files of stocks and mutual funds that landed under `landing/stocks/` and `landing/mutual_funds/`, one feed after the other by the
same five steps: Great Expectations judges them, Spark picks the latest row of each id, and one PostgreSQL transaction changes silver and
gold in the schema `finance`. Then both lie as files below `lake/finance/`, in the format that `output_format` says.

Runs as soon as something lands for either, once a minute in any case, and by hand with another limit or format. Safe to run again at any
time: a file counts once, whatever happens, and of several rows of an id the latest holds, whatever came first. Companies that have stocks
and no mutual fund, or the other way round, wait: `finance.company_without_partner` lists them.

Bad files are a normal end: they lie under `error/<feed>/` with their reasons, see docs/runbooks/quarantine.md.
A red run lost nothing, and the next one goes on where it stopped: see docs/runbooks/failed-run.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.ingest import ingest_in_turn
from dags.wiring.landing import as_it_lands
from dags.wiring.params import ingest_params
from include.domains.finance.feeds import MUTUAL_FUNDS, STOCKS

BOTH = (STOCKS, MUTUAL_FUNDS)


@dag(
    schedule=as_it_lands(*BOTH),
    params=ingest_params(*BOTH),
    tags=["ingest", *(f"feed:{spec.name}" for spec in BOTH)],
    doc_md=__doc__,
    **DAG_DEFAULTS,
)
def finance_ingest() -> None:
    ingest_in_turn(*BOTH)


finance_ingest()
