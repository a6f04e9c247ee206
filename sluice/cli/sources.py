"""`sluice source list | add | disable`: where the files of a feed arrive."""

from __future__ import annotations

from typing import Annotated

import typer

from include.domains import feed_named
from sluice.cli.output import Json, log, print_rows

app = typer.Typer(no_args_is_help=True, help="Where the files of a feed arrive: list the places, add one, disable one.")
Feed = Annotated[str, typer.Argument(help="The feed, such as transactions.")]
Place = Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX/", help="A folder of a bucket, with the slash at its end.")]


@app.command("list")
def list_sources(feed: Annotated[str | None, typer.Argument(help="Only this feed.")] = None, json: Json = False) -> None:
    """List the places where files arrive, and how many did."""
    from sluice.runtime import open_ledger, settings

    name = feed_named(feed).name if feed else None
    with open_ledger(settings()) as ledger:
        rows = ledger.sources.list(name)
    print_rows(rows, ("feed", "bucket", "prefix", "active", "files", "newest"), as_json=json, empty="no places")


@app.command()
def add(feed: Feed, place: Place) -> None:
    """Let files of the feed arrive at a place too, from the next run on: everything that lies there is taken, in the usual order.

    The same key in two buckets is two files. What follows a file (error/, bronze/, archive/) lies in Sluice's own bucket, wherever it
    arrived; the store's user needs the right to list, read and delete there.
    """
    from include.files.sources import source_named
    from sluice.runtime import open_ledger, open_store, settings

    spec, source, where = feed_named(feed), source_named(place), settings()
    store = open_store(where)
    objects = sum(1 for _ in store.objects(source.bucket, source.prefix))
    with open_ledger(where) as ledger:
        new = ledger.sources.add(spec, source, where.s3.bucket)
    outcome = "is a place of" if new else "was a place already of"
    log(f"{place} {outcome} {spec.name}; {objects} objects lie there now")


@app.command()
def disable(feed: Feed, place: Place) -> None:
    """Look for no files there any more. Files that were registered stay what they are; `source add` makes the place active again."""
    from include.files.sources import source_named
    from sluice.runtime import open_ledger, settings

    spec = feed_named(feed)
    with open_ledger(settings()) as ledger:
        ledger.sources.disable(spec, source_named(place))
    log(f"{place} is no place of {spec.name} any more")
