"""## Data Docs

Builds Great Expectations' Data Docs, a page for each of the newest files of every feed, from what the gate has recorded; ingest does not
wait for it. The pages lie in the bucket under `data_docs/<feed>/`; the task's log says how to open them.

What a page says of a refused file, and what to do then: docs/runbooks/quarantine.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.data_docs import EVERY_TEN_MINUTES, data_docs_params
from dags.wiring.data_docs import data_docs as pages_of
from dags.wiring.defaults import DAG_DEFAULTS
from include.domains import FEEDS


@dag(schedule=EVERY_TEN_MINUTES, params=data_docs_params(), tags=["quality"], doc_md=__doc__, **DAG_DEFAULTS)
def data_docs() -> None:
    for spec in FEEDS.values():
        pages_of(spec)


data_docs()
