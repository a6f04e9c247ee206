"""The one task group that every feed's ingest consists of: discover, gate, process, publish, deliver; and `undelivered`, which only fails.

The steps are `include.pipeline`; here is only when each runs and what they hand each other: keys and counts, as JSON.

| where a run ends | gate, process, publish | deliver | the run |
|---|---|---|---|
| nothing new, nothing waiting | skipped | drains the outbox | green |
| another run has the feed, or it is paused | skipped | skipped | green, discover says why |
| a step fails | those after it do not run | does not run | red |
| an item cannot be delivered | | green: it rests, and is in the last line | red where nothing could be, or one has not been for an hour |

Feeds of one DAG have a group of these steps each, one after another: they share a lease, and a run takes its own lease again, so its steps
must not overlap. A feed that is skipped does not hold up those after it. One that fails does: what it left unfinished goes before anything
of its sisters anyway, and the next run begins with it. What cannot be delivered holds up nothing: `undelivered`, on which nothing
depends, has an instance for each item that makes the run red, and none in a good run, which costs no process.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import DownstreamTasksSkipped

from dags.wiring.failures import as_task_failure, record_failure
from dags.wiring.landing import backlog_alias, landing_asset
from dags.wiring.params import by_hand, run_from
from dags.wiring.ports import now, open_ports
from dags.wiring.published import published_alias, published_asset
from include.domains import FEEDS, feed_named
from include.pipeline.delivering import NotDelivered, stuck

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.feed import FeedSpec
    from include.pipeline.deliver import Delivered
    from include.pipeline.ports import Ports
    from include.run import Run

Json = dict[str, Any]

# Gate has nothing to do where a batch is resumed; process and deliver still have, unless discover was skipped too.
UNLESS_ALL_SKIPPED = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS

# Feeds of one group that several DAGs ingest begin with the same minute: one's look for what is new is over in a moment, its work is not.
WHILE_ANOTHER_LOOKS_SECONDS = 5.0

# Instances of `undelivered` at most: a grant that is missing may fail a thousand files.
MOST_FAILURES = 20

# The feed before it may have had nothing to do.
UNLESS_ONE_FAILED = TriggerRule.NONE_FAILED


def ingest(spec: FeedSpec) -> None:
    """Add the five steps of a feed to a DAG."""
    with TaskGroup("ingest", prefix_group_id=False, default_args=_on_failure(spec)):
        _five_steps(spec)


def ingest_in_turn(*specs: FeedSpec) -> None:
    """Add the five steps of feeds that share a lease to a DAG, a group a feed, one after another."""
    before = None
    for spec in specs:
        with TaskGroup(spec.name, default_args=_on_failure(spec)):
            first, last = _five_steps(spec)
        if before is not None:
            before >> first
        before = last


def _on_failure(spec: FeedSpec) -> Json:
    return {"on_failure_callback": partial(record_failure, spec.name)}


def _five_steps(spec: FeedSpec) -> tuple[Any, Any]:
    """The first and the last of them."""
    groups = discover(spec.name)
    found = groups["found"]
    validated = gate.partial(feed=spec.name, found=found).expand(group=groups)
    processed = process(spec.name, found)
    validated >> processed
    published = publish(spec.name, found, processed)
    delivered = deliver.override(outlets=[backlog_alias(spec), published_alias(spec)])(spec.name, found)
    published >> delivered
    of_a_sibling = partial(record_failure, spec.name, releases=False)
    undelivered.override(on_failure_callback=of_a_sibling).partial(feed=spec.name).expand(what=delivered)
    return groups, delivered


@task(trigger_rule=UNLESS_ONE_FAILED, execution_timeout=dt.timedelta(minutes=30))
def discover(feed: str) -> list[Json]:
    """List what arrived, register it in order, and hand on the groups of files for the gate; the rest goes under the key `found`."""
    from include.pipeline import discover as step
    from include.pipeline.run import waiting_for_others

    context = get_current_context()
    with _step(feed) as (ports, spec, run):
        look = partial(step.discover, ports, spec, run)
        found = waiting_for_others(ports, look, None if by_hand(context) else lease_wait_seconds(spec))
    found_json = dataclasses.asdict(found)
    groups: list[Json] = found_json.pop("groups")
    context["ti"].xcom_push("found", found_json)
    if found.empty:
        raise DownstreamTasksSkipped(tasks=sibling_task_ids(context, "gate", "process"))
    return groups


@task(map_index_template="{{ task.op_kwargs['group']['label'] }}", execution_timeout=dt.timedelta(hours=4))
def gate(feed: str, found: Json, group: Json) -> Json:
    """Judge a group of files, each on its own merits."""
    from include.pipeline import gate as step

    with _step(feed) as (ports, spec, run):
        return dataclasses.asdict(step.gate(ports, spec, run, found["token"], group["file_ids"]))


@task(trigger_rule=UNLESS_ALL_SKIPPED, execution_timeout=dt.timedelta(hours=4))
def process(feed: str, found: Json) -> Json:
    """Decide the files in order, fix a batch of the accepted ones, run the feed's Spark job on it."""
    from include.pipeline import process as step

    with _step(feed, found["resumes_feed"]) as (ports, spec, run):
        return dataclasses.asdict(step.process(ports, spec, run, found["token"], found["file_ids"]))


@task(execution_timeout=dt.timedelta(minutes=30))
def publish(feed: str, found: Json, processed: Json) -> Json | None:
    """Make the batch's results visible, all at once."""
    from include.pipeline import publish as step
    from include.pipeline.process import Processed

    with _step(feed, found["resumes_feed"]) as (ports, spec, run):
        published = step.publish(ports, spec, run, found["token"], Processed(**processed))
    return dataclasses.asdict(published) if published else None


@task(trigger_rule=UNLESS_ALL_SKIPPED, execution_timeout=dt.timedelta(hours=1))
def deliver(feed: str, found: Json) -> list[str]:
    """Write the output files, move what was refused; wake the next run at once where files still wait. Hand on what makes the run red."""
    from include.pipeline import deliver as step

    context, processed, published = get_current_context(), None, None
    if found["token"] is not None:
        processed, published = (context["ti"].xcom_pull(task_ids=task_id) for task_id in sibling_task_ids(context, "process", "publish"))
    with _step(feed) as (ports, spec, run):
        delivered = step.deliver(ports, spec, run)
        ports.log(summary(run, found, processed, published, delivered))
    if processed and delivered.waiting:  # a run that did nothing does not call for another
        context["outlet_events"][backlog_alias(spec)].add(landing_asset(spec))
    if delivered.batches:
        context["outlet_events"][published_alias(spec)].add(published_asset(spec.group))
    return [str(one) for one in stuck(delivered.undone, delivered.tried, delivered.done, now())[:MOST_FAILURES]]


@task(execution_timeout=dt.timedelta(minutes=5))
def undelivered(feed: str, what: str) -> None:
    """Fail with what could not be delivered."""
    with as_task_failure(get_current_context()):
        raise NotDelivered(feed_named(feed).group, [what])


def lease_wait_seconds(spec: FeedSpec) -> float:
    """How long a scheduled run waits for another one before it is skipped; a feed without sisters is only ever busy with itself."""
    peer_feeds = [name for name, other in FEEDS.items() if other.group == spec.group and name != spec.name]
    return WHILE_ANOTHER_LOOKS_SECONDS if peer_feeds else 0.0


@contextmanager
def _step(feed: str, resumes_feed: str | None = None) -> Iterator[tuple[Ports, FeedSpec, Run]]:
    """What a step acts through and for whom: for the feed whose batch was left unfinished, where discover found one."""
    context, spec = get_current_context(), feed_named(feed)
    with as_task_failure(context), open_ports(spec) as ports:
        yield *ports.for_peer_feed(spec, resumes_feed or feed), run_from(spec, context)


def sibling_task_ids(context: Context, *steps: str) -> list[str]:
    """The ids of other steps of the same feed: a DAG of several feeds has a group for each."""
    group, dot, _ = context["ti"].task_id.rpartition(".")
    return [f"{group}{dot}{step}" for step in steps]


def summary(run: Run, found: Json, processed: Json | None, published: Json | None, delivered: Delivered) -> str:
    """The last line of a run's log."""
    parts = [f"{found['registered']} registered"]
    if processed:
        parts.append(", ".join(f"{processed[state]} {state}" for state in ("accepted", "quarantined", "duplicate")))
    if published:
        counts = ", ".join(f"{count} {name}" for name, count in published["counts"].items())
        parts.append(f"batch {published['batch']} published: {counts}")
    parts.append(f"{delivered.batches} batches and {delivered.files} files delivered, {delivered.waiting} files waiting")
    if delivered.failed:
        parts.append(delivered.failed)
    return f"{run.run_id}: {'; '.join(parts)}; {(now() - run.started_at).total_seconds():.1f} s"
