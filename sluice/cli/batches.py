"""Batches that are stuck, and feeds that should rest."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from include.domains import feed_named
from sluice.cli.output import Json, log, print_rows

app = typer.Typer(no_args_is_help=True, help="See a feed's batches; give up one that is stuck.")
feeds = typer.Typer(no_args_is_help=True, help="Pause a feed, or let it go on.")
Feed = Annotated[str, typer.Argument(help="The feed, such as transactions.")]


@app.command("list")
def list_batches(
    feed: Feed, limit: Annotated[int | None, typer.Option(min=1, help="Only the newest so many.")] = 20, json: Json = False
) -> None:
    """List a feed's batches: seqs, attempts, errors, when published and delivered."""
    from sluice.runtime import open_ledger, settings

    spec = feed_named(feed)
    with open_ledger(settings()) as ledger:
        rows = ledger.queries.list_batches(spec.name, limit)
    print_rows(
        rows,
        (
            "batch",
            "state",
            "first_seq",
            "last_seq",
            "files",
            "rows",
            "attempt",
            "outcome",
            "run_id",
            "started_at",
            "published_at",
            "delivered_at",
            "error",
        ),
        as_json=json,
        empty=f"no batches of {spec.name}",
    )


@app.command()
def abandon(feed: Feed, why: Annotated[str, typer.Option(help="Why, for those who read the ledger later.")]) -> None:
    """Give up the open batch: its files are accepted again and go into the next. Whoever works on it can no longer publish."""
    from include.run import Run
    from sluice.runtime import command_run_id, now, open_ledger, settings

    spec = feed_named(feed)
    with open_ledger(settings()) as ledger:
        number = ledger.batches.abandon(spec, Run(command_run_id("sluice-batch-abandon"), now()), f"{getpass.getuser()}: {why}")
    log(f"batch {number} of {spec.name} is abandoned; the next run opens another with its files")


@app.command("give-up")
def give_up(
    feed: Feed,
    seq: Annotated[int, typer.Argument(min=1, help="The file's place in the feed's order, as errors and `sluice files` name it.")],
    why: Annotated[str, typer.Option(help="Why, for those who read the ledger later.")],
) -> None:
    """Quarantine a file that waits and gets no further, so that those behind it go on; `sluice quarantine replay` takes it up again."""
    from include.replay import replay
    from include.run import Run
    from sluice.runtime import command_run_id, now, open_ports, settings

    spec = feed_named(feed)
    with open_ports(settings(), spec, log) as ports:
        key = replay.give_up(ports, spec, Run(command_run_id("sluice-batch-give-up"), now()), seq, getpass.getuser(), why)
    log(f"seq {seq} of {spec.name}, {key}, is given up; the next run goes on with what is behind it, `sluice quarantine list` has it")


@feeds.command()
def pause(feed: Feed) -> None:
    """Let no run of the feed begin until it is resumed; a run at work ends as it would."""
    from sluice.runtime import open_ledger, settings

    spec = feed_named(feed)
    with open_ledger(settings()) as ledger:
        ledger.admin.pause(spec.name, getpass.getuser())
    log(f"{spec.name} is paused; `sluice feed resume {spec.name}` lets it go on")


@feeds.command()
def resume(feed: Feed) -> None:
    """Let a paused feed go on."""
    from sluice.runtime import open_ledger, settings

    spec = feed_named(feed)
    with open_ledger(settings()) as ledger:
        ledger.admin.resume(spec.name)
    log(f"{spec.name} goes on")
