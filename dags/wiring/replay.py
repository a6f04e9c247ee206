"""A quarantined file tried again, from the UI: dry unless it is told to go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, get_current_context, task

from dags.wiring.failures import as_task_failure, record_failure
from dags.wiring.inputs import NO_SECRET, input_policy
from dags.wiring.landing import backlog_alias, landing_asset
from dags.wiring.params import requested_by, run_from
from dags.wiring.ports import open_ledger, open_ports
from include.domains import feed_named
from include.errors import UsageError

if TYPE_CHECKING:
    from include.feed import FeedSpec
    from include.pipeline.ports import Ports


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
            description="A corrected file to stand in for it: s3://bucket/key where files of the feed arrive or below its fixes/, or a "
            "path below the worker's folder SLUICE_INPUT_FOLDER. Empty: its own bytes.",
            **NO_SECRET,
        ),
        "why": Param(None, type=["null", "string"], maxLength=1000, description="Why, for those who read the ledger later."),
        "go": Param(False, type="boolean", description="Do it. Off: only the plan is shown, in the log of the task."),
    }


def replay(*specs: FeedSpec) -> None:
    """Add the task that replays a file of any of some feeds of a group to a DAG; its failures are told under the first one's name."""
    on_failure, wakes = partial(record_failure, specs[0].name), [backlog_alias(spec) for spec in specs]
    _replay.override(task_id="replay", on_failure_callback=on_failure, outlets=wakes)([spec.name for spec in specs])


@task(execution_timeout=dt.timedelta(hours=1))
def _replay(feeds: list[str]) -> dict[str, Any]:
    """Show what a replay would do, or do it and wake the ingest of the file's feed."""
    from include.replay import replay as replays

    context = get_current_context()
    params = context["params"]
    with as_task_failure(context), _file_among(feeds, params["file"]) as (ports, spec, file_id):
        run = run_from(spec, context)
        inputs = input_policy(spec, ports.ledger.sources.active(spec), ports.bucket)
        if not params["go"]:
            planned = replays.plan(ports, spec, file_id, params["fixed"] or "", inputs)
            for line in planned.lines():
                ports.log(line)
            ports.log("nothing was done: trigger it again with `go` to do it")
            return planned.as_json()
        made = replays.replay(ports, spec, run, file_id, requested_by(context), params["why"] or "", params["fixed"] or "", inputs)
        context["outlet_events"][backlog_alias(spec)].add(landing_asset(spec))
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
        row = ledger.queries.file_story(wanted)["file"]
    if row["feed"] not in feeds:
        raise UsageError(f"{row['key']} is a file of {row['feed']}, not of {' or '.join(feeds)}")
    return row["feed"], row["file_id"]
