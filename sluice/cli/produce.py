"""`sluice produce SOURCE`: Mechanism X."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from include.errors import UsageError
from include.files.keys import landing
from sluice.cli.arguments import warn_of_secret
from sluice.cli.output import Json, log, print_json

app = typer.Typer()


@app.command()
def produce(
    source: Annotated[
        str,
        typer.Argument(
            envvar="SLUICE_SOURCE",
            callback=warn_of_secret,
            help="A path, an http(s) URL, a Google Drive link or drive:ID, or s3://bucket/key; plain, gzip or xz.",
        ),
    ],
    rows: Annotated[int, typer.Option(min=1, help="Rows a chunk.")] = 10_000,
    every: Annotated[float, typer.Option(min=0, help="Seconds from one chunk to the next; 0 = as fast as it goes.")] = 1.0,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many chunks; the next run goes on there.")] = None,
    prefix: Annotated[str, typer.Option(help="Where chunks land.")] = landing("transactions"),
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin at the first row, even of a source produced before.")] = False,
    credentials: Annotated[
        Path | None, typer.Option(help="A Google service account's key file, for a Drive file that is not public.")
    ] = None,
    json: Json = False,
) -> None:
    """Cut a source into chunks and land them in S3, one a second.

    Chunks are <prefix>dt=<today, UTC>/chunk_<n>.csv: the source's header, then its rows, byte for byte. It goes on where
    the last run stopped, also after a crash, and neither skips nor doubles a row. Numbers go on whatever the source.
    A URL with a signature or a password in it belongs into the variable SLUICE_SOURCE: arguments are seen by all.

    Exit codes: 2 the source is missing, empty, unfit or has changed; 3 S3, PostgreSQL or the source's server does not
    answer (run it again); 4 another producer works on the prefix.
    """
    from include.clients import ledger_connection
    from include.domains.transactions.feeds import TRANSACTIONS
    from sluice.produce.producer import Pace
    from sluice.produce.producer import produce as produce_chunks
    from sluice.produce.sources import source as open_source
    from sluice.runtime import command_run_id, now, open_store, settings

    where = settings()
    store = open_store(where)
    pace = Pace(rows, every, limit)
    opened = open_source(source, credentials=_read(credentials) if credentials else None, store=store)
    with ledger_connection(where.ledger) as ledger:
        made = produce_chunks(
            opened,
            store,
            ledger,
            bucket=where.s3.bucket,
            prefix=prefix,
            contract=TRANSACTIONS.contract,
            holder=command_run_id("sluice-produce"),
            clock=now,
            log=log,
            pace=pace,
            from_start=from_start,
        )
    if json:
        print_json(asdict(made))
        return
    if not made.chunks:
        print(f"nothing new: all {made.rows_so_far:,} rows of {made.source} landed before (--from-start lands them again)")
        return
    rest = "the source is finished" if made.finished else f"{made.rows_so_far:,} rows of it so far; run it again to go on"
    print(f"{made.chunks:,} chunks, {made.rows:,} rows, {made.bytes:,} bytes in {made.seconds:.1f} s; {rest}")
    print(f"from s3://{made.bucket}/{made.first_key} to s3://{made.bucket}/{made.last_key}")


def _read(credentials: Path) -> dict[str, object]:
    try:
        key = json_text.loads(credentials.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{credentials} is no service account's key file: {error}") from error
    if not isinstance(key, dict):
        raise UsageError(f"{credentials} is no service account's key file: it holds no JSON object")
    return key
