"""What is made of published results for those who do not ask PostgreSQL."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from airflow.sdk import get_current_context, task

from dags.wiring.failures import as_task_failure, record_failure
from dags.wiring.ports import new_id, now, open_ports
from include.domains import feed_named


def refresh_marts(feed: str) -> None:
    """Add the task that refreshes the finished sets of sales to a DAG; its failures are told under a feed's name."""
    _refresh.override(task_id="refresh", on_failure_callback=partial(record_failure, feed))(feed)


@task(execution_timeout=dt.timedelta(hours=4))
def _refresh(feed: str) -> dict[str, Any]:
    """Write what is new of the sets and let people see it, all at once."""
    from include.domains.sales.parquet_export import ParquetExport

    with as_task_failure(get_current_context()), open_ports(feed_named(feed)) as ports:
        made = ParquetExport(ports.ledger.session, ports.store, ports.bucket, ports.job, new_id).refresh(now(), ports.log)
    return {"batch": made.batch, "delta_version": made.delta_version, "months": len(made.months)}
