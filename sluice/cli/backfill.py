"""`sluice backfill FEED`: past dates without Airflow: ingest what is missing, verify, compare."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Annotated

import typer

from include.backfill.history import History
from include.domains import auditor_of, feed_named
from sluice.cli.output import Json, log, print_json
from sluice.cli.thresholds import with_thresholds

app = typer.Typer()


@app.command()
@partial(with_thresholds, otherwise="with --reprocess: as recorded")
def backfill(
    feed: Annotated[str, typer.Argument(help="The feed, such as transactions.")],
    first: Annotated[dt.datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first date.")],
    last: Annotated[dt.datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last date, itself included.")],
    reprocess: Annotated[
        bool, typer.Option("--reprocess", help="Evaluate the dates once more in shadow and compare; publishes nothing of it.")
    ] = False,
    max_files: Annotated[int, typer.Option(min=1, help="Files a batch takes at most.")] = 100,
    json: Json = False,
    *,
    thresholds: dict[str, int],
) -> None:
    """Ingest what is missing of past dates, in date order, and verify what is there; with --reprocess compare it with what results now.

    A difference ends with exit code 1 and a sentence that names the first row that differs; with thresholds given it is
    what was asked for.
    """
    from include.backfill import backfill as past
    from include.backfill.certificate import file_as_json
    from include.backfill.comparison import ReplayDiffers
    from include.pipeline.run import Progress
    from include.run import Run
    from sluice.runtime import command_run_id, now, open_ports, settings

    spec = feed_named(feed)
    overrides = past.thresholds_changed(spec, thresholds, reprocess=reprocess)
    dates = past.dates_between(first.date(), last.date())
    run = Run(command_run_id("sluice-backfill"), now(), spec.parameters_from({}), max_files, spec.max_bytes)
    accounts, comparison, differs = {}, None, None
    with open_ports(settings(), spec, log) as ports:
        for date in dates:
            History(ports.ledger.session).request_date(spec, run, date)
        for date in dates:
            past.ingest_date(ports, spec, run, date, Progress())
            accounts[date.isoformat()] = past.verify_date(ports, auditor_of(spec, ports), spec, run, date)
            if not json:
                print(accounts[date.isoformat()])
        if reprocess:
            try:
                comparison = past.reprocess(ports, spec, run, dates[0], dates[-1], overrides)
            except ReplayDiffers as found:
                comparison, differs = found.comparison, found
    if json:
        print_json(
            {
                "feed": spec.name,
                "run": run.run_id,
                "dates": accounts,
                "verdict": comparison.kind if comparison else None,
                "files": [file_as_json(file, comparison) for file in comparison.files] if comparison else [],
            }
        )
    elif comparison:
        print(comparison.summary)
        for change in comparison.changes:
            print(f"  {' '.join(change.key)}: recorded at seq {change.was or '-'}, now at seq {change.now or '-'}")
    if differs is not None:
        raise differs
