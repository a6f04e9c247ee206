"""A feed's limits and thresholds as the form that Airflow shows when a run is triggered by hand, and a run read from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from include.errors import UsageError
from include.run import Run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.feed import FeedSpec

MOST_FILES = 10_000
BY_HAND = ("manual", "backfill")


def threshold_params(*specs: FeedSpec) -> dict[str, Param]:
    """The feeds' thresholds, each with its limits and what it means."""
    return {
        parameter.name: Param(
            parameter.default,
            type="integer",
            minimum=parameter.minimum,
            maximum=parameter.maximum,
            description=parameter.description,
            section="Thresholds of the batches that this run opens",
        )
        for spec in specs
        for parameter in spec.parameters
    }


def choice_params(*specs: FeedSpec) -> dict[str, Param]:
    """The feeds' choices."""
    return {
        choice.name: Param(
            choice.default,
            type="string",
            enum=list(choice.among),
            description=choice.description,
            section="Thresholds of the batches that this run opens",
        )
        for spec in specs
        for choice in spec.choices
    }


def ingest_params(*specs: FeedSpec) -> dict[str, Param]:
    """What a run by hand may change. Scheduled runs take the defaults."""
    below = f"landing/{specs[0].name}/" if len(specs) == 1 else "the landing folder of each feed"
    return {
        "max_files": Param(
            specs[0].max_files,
            type="integer",
            minimum=1,
            maximum=MOST_FILES,
            description="Files this run's batch takes at most; the rest go at once into the next run.",
        ),
        "key_prefix": Param(
            None,  # an empty text would be a required one to the form, which then has no button to press
            type=["null", "string"],
            maxLength=1024,
            description=f"List only below this prefix, whole or from {below} on. It limits what is found, never the order.",
        ),
        **threshold_params(*specs),
        **choice_params(*specs),
    }


def run_from(spec: FeedSpec, context: Context) -> Run:
    """The run that a task belongs to: the same in all its tasks.

    Raises:
        UsageError: a parameter that the DAG does not have, which Airflow lets pass.
    """
    refuse_unknown(context)
    dag_run, params = context["dag_run"], context["params"]
    return Run(
        run_id=run_id(context),
        started_at=dag_run.start_date or dag_run.run_after,
        parameters=spec.parameters_from(thresholds(spec, params)),
        max_files=params.get("max_files", spec.max_files),
        max_bytes=spec.max_bytes,
        key_prefix=params.get("key_prefix") or "",
        full=by_hand(context),
    )


def refuse_unknown(context: Context) -> None:
    """See that the run was given nothing that the DAG does not know.

    Raises:
        UsageError: it was.
    """
    dag_run = context["dag_run"]
    unknown = sorted(set(dag_run.conf or {}) - set(context["dag"].params))
    if unknown:
        raise UsageError(f"{dag_run.dag_id} has no parameter {', '.join(unknown)}; it has {', '.join(context['dag'].params)}")


def run_id(context: Context) -> str:
    """How the ledger names an Airflow run, so that a person can find it in the UI."""
    return f"airflow:{context['dag_run'].dag_id}:{context['dag_run'].run_id}"


def requested_by(context: Context) -> str:
    """Who triggered the run."""
    name: str = context["dag_run"].triggering_user_name or "airflow"
    return name


def by_hand(context: Context) -> bool:
    """Whether a person asked for this run: triggered or as part of a backfill, in the UI, with the command or through the REST API."""
    kind: str = context["dag_run"].run_type.value
    return kind in BY_HAND


def thresholds(spec: FeedSpec, params: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: params[one.name] for one in spec.adjustable if one.name in params}
