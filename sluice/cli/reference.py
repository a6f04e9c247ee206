"""`sluice reference`: what is loaded beside the files."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Annotated

import typer

from include.domains import feed_named
from sluice.cli.arguments import warn_of_secret
from sluice.cli.output import Json, log, print_json, print_rows

app = typer.Typer(no_args_is_help=True, help="The references beside a feed's files, such as CustomerImportance.")
Feed = Annotated[str, typer.Option(help="The feed it belongs to.")]


@app.command()
def load(
    file: Annotated[
        str,
        typer.Argument(
            envvar="SLUICE_SOURCE",
            callback=warn_of_secret,
            help="A path, an http(s) URL, a Google Drive link, or s3://bucket/key; plain, gzip or xz.",
        ),
    ],
    feed: Feed = "transactions",
    name: Annotated[str, typer.Option(help="Which reference of the feed.")] = "importance",
    json: Json = False,
) -> None:
    """Load CustomerImportance: it replaces the whole reference for the files registered from now on.

    Rows that break a rule are left out and shown; above one in ten nothing is loaded. The content in force loaded again
    changes nothing. Files registered before keep the reference they had, also none: they are not looked at again.
    """
    from include.clients import ledger_connection
    from sluice.produce.sources import source
    from sluice.reference.loader import load as load_reference
    from sluice.runtime import command_run_id, new_id, open_store, settings

    spec = feed_named(feed)
    where = settings()
    store = open_store(where)
    with ledger_connection(where.ledger) as ledger:
        loaded = load_reference(
            source(file, store=store),
            store,
            ledger,
            bucket=where.s3.bucket,
            feed=spec.name,
            name=name,
            loaded_by=getpass.getuser(),
            run_id=command_run_id("sluice-reference"),
            new_id=new_id,
            log=log,
        )
    if json:
        print_json(asdict(loaded))
        return
    what = f"{feed} {name} version {loaded.version}: {loaded.rows:,} rows, {loaded.rejected:,} rejected, {loaded.pairs:,} pairs"
    if loaded.unchanged:
        print(f"{what}; the same content is in force already (for files after seq {loaded.after_seq}), so nothing changed")
        return
    print(f"{what}, in {loaded.seconds:.1f} s; in force for files after seq {loaded.after_seq}")


@app.command("list")
def list_loads(feed: Feed = "transactions", json: Json = False) -> None:
    """List every load: when, by whom, and from which file on it is in force."""
    from include.clients import ledger_connection
    from sluice.reference.history import history
    from sluice.runtime import settings

    spec = feed_named(feed)
    with ledger_connection(settings().ledger) as ledger:
        rows = history(ledger, spec.name)
    print_rows(
        rows,
        ("name", "version", "after_seq", "rows", "rejected", "pairs", "loaded_at", "loaded_by", "source"),
        as_json=json,
        empty=f"no reference of {spec.name} is loaded: without one PatId1 (UPGRADE) cannot fire; see `sluice reference load --help`",
    )
