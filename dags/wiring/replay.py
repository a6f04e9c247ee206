"""A quarantined file tried again, from the UI: dry unless it is told to go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    from include.ingestion.ports import Ports


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


def replay(*specs: FeedSpec) -> None:
    """Add the task that replays a file of any of some feeds of a group to a DAG; its failures are told under the first one's name."""
    told, wakes = partial(record_failure, specs[0].name), [more_waits(spec) for spec in specs]
    _replay.override(task_id="replay", on_failure_callback=told, outlets=wakes)([spec.name for spec in specs])


@task(execution_timeout=dt.timedelta(hours=1))
def _replay(feeds: list[str]) -> dict[str, Any]:
    """Show what a replay would do, or do it and wake the ingest of the file's feed."""
    from include.ingestion.repair import replay as replays

    context = get_current_context()
    params = context["params"]
    with explained(context), _file_among(feeds, params["file"]) as (ports, spec, file_id):
        run = run_from(spec, context)
        if not params["go"]:
            planned = replays.plan(ports, spec, file_id, params["fixed"] or "")
            for line in planned.lines():
                ports.say(line)
            ports.say("nothing was done: trigger it again with `go` to do it")
            return planned.as_json()
        made = replays.replay(ports, spec, run, file_id, asked_by(context), params["why"] or "", params["fixed"] or "")
        context["outlet_events"][more_waits(spec)].add(landing_asset(spec))
    return {"file_id": made.file_id, "seq": made.seq, "parent": file_id}


@contextmanager
def _file_among(feeds: Sequence[str], wanted: str) -> Iterator[tuple[Ports, FeedSpec, int]]:
    """The file's id, its feed, and what acts for that one."""
    feed, file_id = file_named(feeds, wanted)
    spec = feed_named(feed)
    with open_ports(spec) as ports:
        yield ports, spec, file_id


def file_named(feeds: Sequence[str], wanted: str) -> tuple[str, int]:
    """The feed and the id of a file of one of some feeds.

    Raises:
        UsageError: there is no such file, or it is another feed's.
    """
    with open_ledger() as ledger:
        row = ledger.file_story(wanted)["file"]
    if row["feed"] not in feeds:
        raise UsageError(f"{row['key']} is a file of {row['feed']}, not of {' or '.join(feeds)}")
    return row["feed"], row["file_id"]
