"""`sluice ingest FEED`: the five steps without Airflow."""

from __future__ import annotations

import functools
import time
from typing import Annotated, Any

import typer

from include.feeds import feed_named
from sluice.cli.output import Json, print_json, say
from sluice.cli.thresholds import with_thresholds

app = typer.Typer()


@app.command()
@functools.partial(with_thresholds, choices=True)
def ingest(
    feed: Annotated[str, typer.Argument(help="The feed, such as transactions.")],
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
    reasons (`sluice files FEED --state quarantined`), and the exit code is 0.
    """
    from include.ingestion.ingest import Progress, ingest_once
    from include.ingestion.ingest import follow as follow_files
    from include.ingestion.ingest import until_empty as run_until_empty
    from include.ingestion.run import Run
    from sluice.runtime import command_run_id, now, open_ports, settings

    spec = feed_named(feed)
    parameters = spec.parameters_from(thresholds)
    run = Run(command_run_id("sluice-ingest"), now(), parameters, max_files, spec.max_bytes, key_prefix)
    progress = Progress()
    started = time.monotonic()
    with open_ports(settings(), spec, say) as ports:
        if follow:
            follow_files(
                ports, spec, run, progress, idle_seconds=idle, until=lambda: seconds is not None and time.monotonic() - started >= seconds
            )
        elif until_empty:
            run_until_empty(ports, spec, run, progress)
        else:
            ingest_once(ports, spec, run, progress)
        waiting = ports.ledger.waiting(spec)
    summary = {
        "feed": spec.name,
        "seconds": round(time.monotonic() - started, 3),
        "runs": progress.runs,
        "registered": progress.registered,
        "accepted": progress.accepted,
        "quarantined": progress.quarantined,
        "duplicate": progress.duplicate,
        "published": progress.published,
        "waiting": waiting.files,
        "step_seconds": {step: round(spent, 3) for step, spent in progress.seconds.items()},
    }
    if json:
        print_json(summary)
        return
    published = ", ".join(f"{count} {name}" for name, count in progress.published.items()) or "nothing new"
    steps = ", ".join(f"{step} {spent:.1f}" for step, spent in progress.seconds.items())
    print(
        f"{spec.name}: {progress.registered} registered, {progress.accepted} accepted, {progress.quarantined} quarantined, "
        f"{progress.duplicate} duplicate; published {published}; {waiting.files} waiting; {summary['seconds']:.1f} s ({steps})"
    )
