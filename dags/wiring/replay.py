"""A quarantined file tried again, from the UI: dry unless it is told to go."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, get_current_context, task

from dags.wiring.failures import explained, record_failure
from dags.wiring.landing import landing_asset, more_waits
from dags.wiring.params import asked_by, run_from
from dags.wiring.ports import open_ledger, open_ports
from include.feeds import feed_named
from include.ingestion.errors import UsageError

if TYPE_CHECKING:
    from include.ingestion.feed import FeedSpec


def replay_params() -> dict[str, Param]:
    """Which file, with what in its place, why, and whether it is meant."""
    return {
        "file": Param(
            type="string",
            minLength=1,
            maxLength=1024,
            description="The quarantined file: its id, its key, or the end of its key, such as chunk_7.csv.",
        ),
        "fixed": Param(
            None,
            type=["null", "string"],
            maxLength=2048,
            description="A corrected file to stand in for it: s3://bucket/key, or a path on the worker. Empty: its own bytes.",
        ),
        "why": Param(None, type=["null", "string"], maxLength=1000, description="Why, for those who read the ledger later."),
        "go": Param(False, type="boolean", description="Do it. Off: only the plan is shown, in the log of the task."),
    }


def replay(spec: FeedSpec) -> None:
    """Add the task that replays a file to a DAG."""
    _replay.override(task_id="replay", on_failure_callback=partial(record_failure, spec.name), outlets=[more_waits(spec)])(spec.name)


@task(execution_timeout=dt.timedelta(hours=1))
def _replay(feed: str) -> dict[str, Any]:
    """Show what a replay would do, or do it and wake the feed's ingest."""
    from include.ingestion.repair import replay as replays

    context, spec = get_current_context(), feed_named(feed)
    params = context["params"]
    with explained(context), open_ports(spec) as ports:
        run = run_from(spec, context)
        file_id = file_named(feed, params["file"])
        if not params["go"]:
            planned = replays.plan(ports, spec, file_id, params["fixed"] or "")
            for line in planned.lines():
                ports.say(line)
            ports.say("nothing was done: trigger it again with `go` to do it")
            return planned.as_json()
        made = replays.replay(ports, spec, run, file_id, asked_by(context), params["why"] or "", params["fixed"] or "")
        context["outlet_events"][more_waits(spec)].add(landing_asset(spec))
    return {"file_id": made.file_id, "seq": made.seq, "parent": file_id}


def file_named(feed: str, wanted: str) -> int:
    """The id of a feed's file.

    Raises:
        UsageError: there is no such file, or it is another feed's.
    """
    with open_ledger() as ledger:
        row = ledger.file_story(wanted)["file"]
    if row["feed"] != feed:
        raise UsageError(f"{row['key']} is a file of {row['feed']}, not of {feed}")
    found: int = row["file_id"]
    return found
