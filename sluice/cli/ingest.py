"""`sluice ingest FEED...`: the five steps without Airflow."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.domains import feed_named
from sluice.cli.output import Json, log, print_json
from sluice.cli.thresholds import with_thresholds

if TYPE_CHECKING:
    from include.pipeline.deliver import Delivered
    from include.pipeline.run import Progress

app = typer.Typer()


@app.command()
@functools.partial(with_thresholds, choices=True)
def ingest(
    feeds: Annotated[list[str], typer.Argument(metavar="FEED", help="The feed, such as transactions; of several one after another.")],
    max_files: Annotated[int, typer.Option(min=1, help="Files a batch takes at most; the rest go into the next.")] = 100,
    key_prefix: Annotated[
        str, typer.Option(help="List only below this prefix, whole or from the feed's landing prefix on. Does not change the order.")
    ] = "",
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="Run until nothing new, waiting or undelivered is left; wait for other runs of the feed.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go round while files keep coming: for streams where seconds count.")] = False,
    idle: Annotated[float, typer.Option(min=0, help="With --follow: end after so many seconds without a new file.")] = 60,
    seconds: Annotated[float | None, typer.Option(min=0, help="With --follow: end after so many seconds in any case.")] = None,
    json: Json = False,
    *,
    thresholds: dict[str, Any],
) -> None:
    """Ingest what has landed: discover, gate, process, publish, deliver.

    Without an option one batch is taken. Bad files and rejected rows are a normal end: they are in the ledger with their
    reasons (`sluice files FEED --state quarantined`), and the exit code is 0. What cannot be delivered rests and is tried again by later
    runs; the exit code is 1 where nothing could be delivered, or something has failed for an hour (docs/runbooks/delivery.md).
    """
    from include.errors import UsageError
    from include.pipeline.run import Progress, ingest_once, not_delivered
    from include.pipeline.run import follow as follow_files
    from include.pipeline.run import until_empty as run_until_empty
    from include.run import Run
    from sluice.runtime import command_run_id, now, open_ports, settings

    specs = [feed_named(feed) for feed in feeds]
    if follow and len(specs) > 1:
        raise UsageError("--follow goes round one feed; follow each in a process of its own")
    parameters = {spec.name: spec.parameters_from(thresholds) for spec in specs}
    where = settings()
    summaries, failed = [], None
    for spec in specs:
        run = Run(command_run_id("sluice-ingest"), now(), parameters[spec.name], max_files, spec.max_bytes, key_prefix)
        progress = Progress()
        started = time.monotonic()
        with open_ports(where, spec, log) as ports:
            if follow:
                stop = functools.partial(_over, started, seconds)
                delivered = follow_files(ports, spec, run, progress, idle_seconds=idle, until=stop)
            elif until_empty:
                delivered = run_until_empty(ports, spec, run, progress)
            else:
                delivered = ingest_once(ports, spec, run, progress)
            summaries.append(_summary(spec.name, progress, ports.ledger.files.waiting(spec).files, delivered, time.monotonic() - started))
            failed = not_delivered(ports, spec, progress, delivered) or failed
        if not json:
            print(_sentence(summaries[-1]))
    if json:
        print_json(summaries[0] if len(summaries) == 1 else summaries)
    if failed is not None:
        raise failed


def _over(started: float, seconds: float | None) -> bool:
    return seconds is not None and time.monotonic() - started >= seconds


def _summary(feed: str, progress: Progress, waiting: int, delivered: Delivered, seconds: float) -> dict[str, Any]:
    return {
        "feed": feed,
        "seconds": round(seconds, 3),
        "runs": progress.runs,
        "registered": progress.registered,
        "accepted": progress.accepted,
        "quarantined": progress.quarantined,
        "duplicate": progress.duplicate,
        "published": progress.published,
        "waiting": waiting,
        "not_delivered": [str(one) for one in delivered.undone],
        "step_seconds": {step: round(spent, 3) for step, spent in progress.seconds.items()},
    }


def _sentence(summary: dict[str, Any]) -> str:
    published = ", ".join(f"{count} {name}" for name, count in summary["published"].items()) or "nothing new"
    steps = ", ".join(f"{step} {spent:.1f}" for step, spent in summary["step_seconds"].items())
    undone = f"{len(summary['not_delivered'])} not delivered (first: {summary['not_delivered'][0]}); " if summary["not_delivered"] else ""
    return (
        f"{summary['feed']}: {summary['registered']} registered, {summary['accepted']} accepted, "
        f"{summary['quarantined']} quarantined, "
        f"{summary['duplicate']} duplicate; published {published}; {summary['waiting']} waiting; {undone}"
        f"{summary['seconds']:.1f} s ({steps})"
    )
