"""The five steps going round and round in one warm task, for streams where seconds count."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, get_current_context, task

from dags.wiring.failures import as_task_failure, record_failure
from dags.wiring.params import ingest_params, run_from
from dags.wiring.ports import open_ports
from include.domains import feed_named

if TYPE_CHECKING:
    from include.feed import FeedSpec

DAY = 24 * 60 * 60
BEGINNING = dt.datetime(
    2026, 1, 1, tzinfo=dt.UTC
)  # without one Airflow 3.3.2 gives the second round the date of the first, and never begins it


def follow_params(spec: FeedSpec) -> dict[str, Param]:
    """When a round of following ends, and what a batch may take."""
    return {
        "idle_seconds": Param(
            60,
            type="integer",
            minimum=1,
            maximum=DAY,
            description="End after so many seconds without a new file; unless paused, it begins again.",
        ),
        "seconds": Param(
            3600, type="integer", minimum=10, maximum=DAY, description="End after so many seconds in any case, so that logs stay readable."
        ),
        **ingest_params(spec),
    }


def follow(spec: FeedSpec) -> None:
    """Add the one task that follows a feed to a DAG."""
    _follow.override(task_id="follow", on_failure_callback=partial(record_failure, spec.name))(spec.name)


@task(execution_timeout=dt.timedelta(seconds=DAY + 3600))
def _follow(feed: str) -> dict[str, Any]:
    """Ingest what lands as it lands, until nothing came for a while or the time is up."""
    from include.pipeline.run import Progress, not_delivered
    from include.pipeline.run import follow as follow_files

    context, spec = get_current_context(), feed_named(feed)
    params, progress = context["params"], Progress()
    until = time.monotonic() + params["seconds"]
    with as_task_failure(context), open_ports(spec) as ports:
        run = run_from(spec, context)
        delivered = follow_files(ports, spec, run, progress, idle_seconds=params["idle_seconds"], until=lambda: time.monotonic() >= until)
        failed = not_delivered(ports, spec, progress, delivered)
        published = ", ".join(f"{count} {name}" for name, count in progress.published.items()) or "nothing"
        ports.log(f"{run.run_id}: {progress.registered} registered, {progress.quarantined} quarantined; published {published}")
        if failed is not None:
            raise failed
    return dataclasses.asdict(progress)
