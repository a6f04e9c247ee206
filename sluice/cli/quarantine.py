"""What was refused: look at it, take it out, give it up, try it again."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from include.domains import FEEDS, feed_named
from include.errors import UsageError
from sluice.cli.output import Json, log, print_json, print_rows

app = typer.Typer(no_args_is_help=True, help="Files that were refused: list, look at, export, discard, replay.")
File = Annotated[str, typer.Argument(help="A file's id, its key, or the end of its key, such as chunk_7.csv.")]
Why = Annotated[str, typer.Option(help="Why, for those who read the ledger later.")]


@app.command("list")
def list_quarantined(
    feed: Annotated[str | None, typer.Argument(help="Only this feed, such as transactions.")] = None, json: Json = False
) -> None:
    """List the files that wait for a person: quarantined, or being replayed."""
    from sluice.runtime import open_ledger, settings

    names = [feed_named(feed).name] if feed else sorted(FEEDS)
    with open_ledger(settings()) as ledger:
        rows = [row for name in names for row in ledger.queries.list_quarantined(name)]
    columns = ("file_id", "feed", "seq", "key", "state", "kind", "reason_code", "lines", "rejected", "since", "reason")
    print_rows(rows, columns, as_json=json, empty="no file is quarantined")


@app.command()
def show(file: File, json: Json = False) -> None:
    """Show one file's whole history, as `sluice show` does."""
    from sluice.cli.files import show as show_file

    show_file(file, json)


@app.command()
def export(file: File, folder: Annotated[Path, typer.Argument(help="Where to; a folder of the file's own is made below it.")]) -> None:
    """Copy a refused file's original bytes, its report and its rejected rows to this machine."""
    from include.files import keys
    from sluice.runtime import open_ledger, open_store, settings

    where = settings()
    store = open_store(where)
    with open_ledger(where) as ledger:
        row = ledger.queries.file_story(file)["file"]
        (kept,) = ledger.files.records([row["file_id"]])
    bucket = where.s3.bucket
    objects = {(bucket, stamp.key) for stamp in store.objects(bucket, kept.report_folder())}
    if kept.has_bytes and store.head(*kept.place(bucket)):
        objects.add(kept.place(bucket))
    if not objects:
        raise UsageError(f"{row['key']} is {row['state']}, and nothing of it lies in {kept.location} or error/ to be exported")
    target = folder / keys.named_by_id(row["key"], row["file_id"])
    target.mkdir(parents=True, exist_ok=True)
    for place, key in sorted(objects):
        with store.read(place, key) as body, (target / keys.base_name(key)).open("wb") as file_there:
            while piece := body.read(1 << 20):
                file_there.write(piece)
        print(target / keys.base_name(key))


@app.command()
def discard(file: File, why: Why) -> None:
    """Give a refused file up: a mark with your name and the reason. Its bytes and its history stay."""
    from include.replay import replay as replays
    from include.run import Run
    from sluice.runtime import command_run_id, now, open_ledger, open_ports, settings

    where = settings()
    with open_ledger(where) as ledger:
        row = ledger.queries.file_story(file)["file"]
    spec = feed_named(row["feed"])
    with open_ports(where, spec, log) as ports:
        replays.discard(ports, spec, Run(command_run_id("sluice-quarantine-discard"), now()), row["file_id"], getpass.getuser(), why)
    log(f"{row['key']} (file {row['file_id']}) is discarded; `sluice show {row['file_id']}` keeps its history")


@app.command()
def replay(
    file: File,
    fixed: Annotated[
        str, typer.Option("--with", help="A path or s3://bucket/key with the corrected file; its own bytes if not given.")
    ] = "",
    why: Why = "",
    go: Annotated[bool, typer.Option("--go", help="Do it. Without this only the plan is shown.")] = False,
    ingest: Annotated[bool, typer.Option("--ingest", help="With --go: ingest at once what waits, this file included.")] = False,
    json: Json = False,
) -> None:
    """Try a refused file again, as it is or corrected; without --go only say what would happen.

    The bytes get a row and the next place in the order, as if they had arrived now, and both files keep their history. The refused
    file is discarded once they are accepted; if they are refused too, it stays quarantined as it was.
    """
    from include.pipeline.run import Progress, until_empty
    from include.replay import replay as replays
    from include.run import Run
    from sluice.runtime import command_run_id, now, open_ledger, open_ports, settings

    if ingest and not go:
        raise UsageError("--ingest belongs to --go: without it nothing is done")
    where = settings()
    with open_ledger(where) as ledger:
        row = ledger.queries.file_story(file)["file"]
    spec = feed_named(row["feed"])
    with open_ports(where, spec, log) as ports:
        if not go:
            planned = replays.plan(ports, spec, row["file_id"], fixed)
            if json:
                print_json(planned.as_json())
                return
            print("\n".join(planned.lines()))
            print("nothing was done; --go does it")
            return
        run = Run(command_run_id("sluice-quarantine-replay"), now(), spec.parameters_from({}), spec.max_files, spec.max_bytes)
        made = replays.replay(ports, spec, run, row["file_id"], getpass.getuser(), why, fixed)
        if ingest:
            until_empty(ports, spec, run, Progress())  # what cannot be delivered is told by the runs of the feed
            (made,) = ports.ledger.files.by_id([made.file_id])
    if json:
        print_json({"file_id": made.file_id, "seq": made.seq, "state": made.state, "parent": row["file_id"], "reason": made.reason})
        return
    suffix = f" ({made.reason})" if made.reason else ""
    print(f"file {made.file_id} (seq {made.seq}) in the place of file {row['file_id']} is {made.state}{suffix}")
