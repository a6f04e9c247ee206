"""`sluice reconcile [FEED]`: bucket against ledger, made good where that is possible."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import typer

from include.contract import Column
from include.domains import feed_named
from include.errors import UsageError
from sluice.cli.output import Json, log, print_json, print_rows

app = typer.Typer()
_COLUMNS = ("date", "objects", "files", "accepted", "quarantined", "duplicate", "waiting", "lines", "lines_accepted", "rejected")
_AMOUNTS = ("amount_in", "amount_out", "amount_rejected")


@app.command()
def reconcile(
    feed: Annotated[str, typer.Argument(help="The feed.")] = "transactions",
    everything: Annotated[bool, typer.Option("--all", help="All dates (the default): compare listings, counts and sums.")] = False,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Only the files of this date, their contents read again.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every object again, of all dates: hashes, rows, amounts.")] = False,
    collect: Annotated[bool, typer.Option("--collect", help="Delete what attempts left behind and nothing refers to.")] = False,
    grace: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="With --collect: leave alone what is younger [default: 86400].")
    ] = None,
    json: Json = False,
) -> None:
    """Compare the bucket with the ledger: register what is unknown, mark what is gone, make again what can be made again.

    Ends with 1 where a difference is left that a person has to look at; docs/runbooks/ledger-and-bucket.md says what each means.
    """
    from include.domains import auditor_of
    from include.reconcile.context import DEFAULT_GRACE_SECONDS, Scope
    from include.reconcile.reconcile import reconcile as compare
    from include.run import Run
    from sluice.runtime import command_run_id, now, open_ports, settings

    if everything and date is not None:
        raise UsageError("--all and --date exclude each other")
    if grace is not None and not collect:
        raise UsageError("--grace says how old an object must be for --collect; without it nothing is deleted")
    spec = feed_named(feed)
    scope = Scope(
        date=None if date is None else _day(date),
        verify=verify,
        collect=collect,
        grace_seconds=DEFAULT_GRACE_SECONDS if grace is None else grace,
    )
    run = Run(command_run_id("sluice-reconcile"), now(), spec.parameters_from({}), spec.max_files, spec.max_bytes)
    with open_ports(settings(), spec, log) as ports:
        found = compare(ports, auditor_of(spec, ports), spec, run, scope)
    if json:
        print_json(found.as_json())
    else:
        _print(found)
    if not found.ok:
        raise typer.Exit(1)


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--date {text!r} is no date such as 2026-11-21") from None


def _print(found: Any) -> None:
    from include.reconcile.reconcile import worst_first

    column = feed_named(found.feed).contract.amount
    daily_totals = [_plain(totals, column) for totals in found.daily_totals]
    amounts = _AMOUNTS if found.scope.reads and column else ()
    print_rows(daily_totals, (*_COLUMNS, *amounts, "findings", "ok"), as_json=False, empty=f"no files of {found.feed}")
    for finding in worst_first(found.findings):
        print(finding)
    kept = len(found.findings)
    total = sum(found.counts.values())
    if total > kept:
        print(f"... and {total - kept} more")
    counts = ", ".join(f"{count} {code}" for code, count in found.counts.items())
    verdict = "bucket and ledger agree" if found.ok else f"{found.failures} differences are left"
    print(f"{found.feed}: {verdict}" + (f" ({counts})" if counts else ""))


def _plain(totals: Any, amount: Column | None) -> dict[str, Any]:
    """A row for people, amounts as files write them."""
    values = {name: getattr(totals, name) for name in (*_COLUMNS, *_AMOUNTS, "findings", "ok")}
    return values | {name: None if amount is None or values[name] is None else amount.in_units(values[name]) for name in _AMOUNTS}
