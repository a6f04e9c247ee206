"""## Transactions reference

Loads a `CustomerImportance` file: checked by its own suite, aggregated exactly, versioned. It replaces the whole reference for the files
that are registered from now on, and changes nothing for those registered before. Without one PatId1 (UPGRADE) cannot fire.

When it is refused, and how to see what is in force: docs/runbooks/reference.md.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.wiring.defaults import DAG_DEFAULTS
from dags.wiring.sources import load_reference, source_params
from include.domains.transactions.feeds import TRANSACTIONS


@dag(schedule=None, params=source_params(), tags=["reference", "feed:transactions"], doc_md=__doc__, **DAG_DEFAULTS)
def transactions_reference() -> None:
    load_reference(TRANSACTIONS, "importance")


transactions_reference()
