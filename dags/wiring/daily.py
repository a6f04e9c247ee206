"""What a feed does for one date: ask for it, ingest what is missing, verify, and compare where that is wanted.

`ask` goes before all ingesting: runs that are active at once see in the ledger which dates are asked for, and the first of them registers
what is missing of all of them in date order. So a backfill of many active runs gives the order of one run after another.

Feeds of one DAG take turns, since they share a lease and a run takes its own lease again: each waits until the one before it was verified,
however that ended. Comparing needs no lease, so it holds nobody up, and as a group's last task it makes a run red whose feed is.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import CronPartitionTimetable, Param, TaskGroup, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.wiring.failures import as_task_failure, record_failure
from dags.wiring.params import MOST_FILES, refuse_unknown, run_id
from dags.wiring.ports import open_ports
from dags.wiring.published import published_alias, published_asset
from include.domains import feed_named
from include.errors import UsageError
from include.run import Run

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from include.feed import FeedSpec
    from include.pipeline.ports import Ports

KEY = "%Y-%m-%d"


def after_midnight() -> CronPartitionTimetable:
    """At midnight UTC, for the day that has just ended; the partition is the date."""
    return CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1, key_format=KEY)


def daily_params(*specs: FeedSpec) -> dict[str, Param]:
    """What a run over a date may be told, in the form or in a backfill's run conf."""
    return {
        "date": Param(
            None,
            type=["null", "string"],
            format="date",
            description="For a run by hand: the date. Empty: yesterday (UTC). A backfill's runs have theirs.",
        ),
        "max_files": Param(specs[0].max_files, type="integer", minimum=1, maximum=MOST_FILES, description="Files a batch takes at most."),
        "reprocess": Param(
            False,
            type="boolean",
            description="Evaluate the date once more in shadow and compare it with what was published. Publishes nothing. In the Backfill "
            "form tick `Override parameters on existing runs` too: without it Airflow sends none of these.",
        ),
        **{
            parameter.name: Param(
                None,
                type=["null", "integer"],
                minimum=parameter.minimum,
                maximum=parameter.maximum,
                description=f"{parameter.description}. Empty: as recorded.",
                section="With reprocess: thresholds in place of the recorded ones",
            )
            for spec in specs
            for parameter in spec.parameters
        },
    }


def daily(spec: FeedSpec) -> None:
    """Add the steps of one date to a DAG."""
    _steps(spec, TriggerRule.ALL_SUCCESS)


def daily_in_turn(*specs: FeedSpec) -> None:
    """Add the steps of one date for feeds that share a lease to a DAG, a group a feed."""
    verified = None
    for spec in specs:
        with TaskGroup(spec.name):
            ingested, verifies = _steps(spec, TriggerRule.ALL_SUCCESS if verified is None else TriggerRule.ALL_DONE)
        if verified is not None:
            verified >> ingested
        verified = verifies


def _steps(spec: FeedSpec, ingest_when: TriggerRule) -> tuple[XComArg, XComArg]:
    """The four tasks of a feed; of them those that take the lease first and last."""
    on_failure = partial(record_failure, spec.name)
    requested = ask.override(on_failure_callback=on_failure)(spec.name)
    ingested = ingest.override(on_failure_callback=on_failure, trigger_rule=ingest_when, outlets=[published_alias(spec)])(spec.name)
    verified = verify.override(on_failure_callback=on_failure)(spec.name)
    requested >> ingested >> verified >> reprocess.override(on_failure_callback=on_failure)(spec.name)
    return ingested, verified


@task(execution_timeout=dt.timedelta(minutes=10))
def ask(feed: str) -> str:
    """Note that the date is to be ingested."""
    from include.backfill.history import History

    with _day(feed) as (ports, spec, run, date):
        given_to(spec, get_current_context())
        History(ports.ledger.session).request_date(spec, run, date)
        ports.log(f"{spec.name} dt={date.isoformat()}")
    return date.isoformat()


@task(max_active_tis_per_dag=1, execution_timeout=dt.timedelta(hours=12))
def ingest(feed: str) -> dict[str, Any]:
    """Ingest what is missing of the date, by the same five steps, until nothing of it waits."""
    from include.backfill.backfill import account, ingest_date
    from include.pipeline.run import Progress

    progress = Progress()
    with _day(feed) as (ports, spec, run, date):
        files = ingest_date(ports, spec, run, date, progress)
        if progress.published:
            get_current_context()["outlet_events"][published_alias(spec)].add(published_asset(spec.group))
        published = ", ".join(f"{count} {name}" for name, count in progress.published.items()) or "nothing"
        ports.log(f"{account(spec.name, date, files)}; by this run {progress.registered} registered, published {published}")
    return dataclasses.asdict(progress)


@task(max_active_tis_per_dag=1, execution_timeout=dt.timedelta(hours=4))
def verify(feed: str) -> str:
    """Compare the date's objects with the ledger, make good what can be, and see that every count adds up."""
    from include.backfill.backfill import verify_date
    from include.domains import auditor_of

    with _day(feed) as (ports, spec, run, date):
        verdict = verify_date(ports, auditor_of(spec, ports), spec, run, date)
        ports.log(verdict)
    return verdict


@task(max_active_tis_per_dag=1, execution_timeout=dt.timedelta(hours=12))
def reprocess(feed: str) -> dict[str, Any]:
    """Evaluate the date once more in shadow and compare; leaves a certificate, publishes nothing."""
    from include.backfill.backfill import reprocess as compare_dates
    from include.backfill.comparison import Kind

    context = get_current_context()
    if not context["params"]["reprocess"]:
        raise AirflowSkipException("not asked for: the param reprocess is false")
    with _day(feed) as (ports, spec, run, date):
        comparison = compare_dates(ports, spec, run, date, date, given_to(spec, context))
    return {"verdict": comparison.kind, "files": len(comparison.files)} | {kind.value: comparison.count(kind) for kind in Kind}


@contextmanager
def _day(feed: str) -> Iterator[tuple[Ports, FeedSpec, Run, dt.date]]:
    """What a step acts through, for whom, and for which date."""
    context, spec = get_current_context(), feed_named(feed)
    with as_task_failure(context), open_ports(spec) as ports:
        yield ports, spec, run_for_date(spec, context), date_of(context)


def date_of(context: Context) -> dt.date:
    """The date of a run: its partition, else the one it was given, else the day before.

    Raises:
        UsageError: it was given another date than its partition's.
    """
    dag_run, date_param = context["dag_run"], context["params"]["date"]
    if dag_run.partition_key:
        date = dt.date.fromisoformat(dag_run.partition_key)
        if date_param and dt.date.fromisoformat(date_param) != date:
            raise UsageError(f"{dag_run.dag_id}: the run is for {date}, its param date says {date_param}; leave it empty")
        return date
    if date_param:
        return dt.date.fromisoformat(date_param)
    after: dt.datetime = dag_run.run_after
    return after.astimezone(dt.UTC).date() - dt.timedelta(days=1)


def run_for_date(spec: FeedSpec, context: Context) -> Run:
    """The run as the ledger knows it; what it ingests it ingests by the feed's own thresholds."""
    refuse_unknown(context)
    dag_run = context["dag_run"]
    return Run(
        run_id=run_id(context),
        started_at=dag_run.start_date or dag_run.run_after,
        parameters=spec.parameters_from({}),
        max_files=context["params"]["max_files"],
        max_bytes=spec.max_bytes,
        full=False,
    )


def given_to(spec: FeedSpec, context: Context) -> dict[str, int]:
    """The thresholds that a comparison is to use in place of the recorded ones.

    Raises:
        UsageError: there are some, and nothing is to be compared.
    """
    from include.backfill.backfill import thresholds_changed

    params = context["params"]
    thresholds = {parameter.name: params[parameter.name] for parameter in spec.parameters if params[parameter.name] is not None}
    return thresholds_changed(spec, thresholds, reprocess=params["reprocess"])
