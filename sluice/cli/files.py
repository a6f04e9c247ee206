"""What the ledger knows: files, one file's story, detections, state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from include.domains import feed_named
from include.errors import UsageError
from include.files.file import State
from sluice.cli.output import Json, log, print_json, print_rows

if TYPE_CHECKING:
    from include.ledger.queries import FileStory

app = typer.Typer()
Limit = Annotated[int | None, typer.Option(min=1, help="Only the newest so many.")]


@app.command()
def files(
    feed: Annotated[str, typer.Argument(help="The feed, such as transactions.")],
    state: Annotated[State | None, typer.Option(help="Only files in this state.")] = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """List a feed's files in seq order: state, counts, and why one was refused."""
    from sluice.runtime import open_ledger, settings

    spec = feed_named(feed)
    with open_ledger(settings()) as ledger:
        rows = ledger.queries.list_files(spec.name, state.value if state else None, limit)
    print_rows(
        rows,
        ("seq", "key", "state", "lines", "accepted", "rejected", "batch", "registered_at", "published_at", "reason"),
        as_json=json,
        empty=f"no {f'{state} ' if state else ''}files of {spec.name}",
    )


@app.command()
def show(
    file: Annotated[str, typer.Argument(help="A file's id, its key, or the end of its key, such as chunk_7.csv.")],
    json: Json = False,
) -> None:
    """Show one file's whole history: what happened to it and why, the gate's report, its batch, its detections."""
    from include.domains.transactions.queries import list_detections
    from sluice.runtime import open_ledger, settings

    with open_ledger(settings()) as ledger:
        story = ledger.queries.file_story(file)
        detections = list_detections(ledger.session, file_id=story["file"]["file_id"])
    if json:
        print_json({**story, "detections": detections})
        return
    _print_story(story)
    if detections:
        print("\ndetections this file made")
        columns = ("number", "pattern_id", "action_type", "customer_name", "merchant_id", "detected_at")
        print_rows(detections, columns, as_json=False, empty="")


def _print_story(story: FileStory) -> None:
    row = story["file"]
    print(
        f"s3://{row['bucket']}/{row['key']}  (file {row['file_id']}, {row['feed']} seq {row['seq']}, version {row['version']} of its key)"
    )
    print(f"  {row['state']}" + (f": {row['reason']}" if row["reason"] else ""))
    print(f"  {row['size']} bytes, etag {row['etag']}, sha256 {row['sha256'] or 'not read to the end'}")
    if row["lines"] is not None:
        print(f"  {row['lines']} lines = {row['accepted']} accepted + {row['rejected']} rejected")
    print(f"  the original lies in {row['location']}" + (f": s3://.../{row['location_key']}" if row["location_key"] else ""))
    _print_kin(story)
    if row["validated_at"]:
        print(f"  judged by code {row['code_version']}, contract {row['contract_digest']}, suite {row['suite_digest']}")
    print("\nhistory")
    print_rows(story["events"], ("at", "kind", "from_state", "to_state", "reason", "actor", "run_id"), as_json=False, empty="  none")
    if row["report"] and row["report"].get("rules"):
        print("\nrejected rows by rule")
        print_rows(row["report"]["rules"], row["report"]["rules"][0], as_json=False, empty="  none")
    if story["batch"]:
        batch = story["batch"]
        span = f"seq {batch['first_seq']}-{batch['last_seq']}"
        print(f"\nbatch {batch['batch']}: {batch['state']}, {span}, attempt {batch['attempt']}, {batch['parameters']}")


def _print_kin(story: FileStory) -> None:
    """The file that this one puts right, those that put this one right, those whose place it takes, the one that takes its."""
    row, parent = story["file"], story["parent"]
    if row["kind"] == "replacement" and parent:
        print(f"  stands in for file {parent['file_id']} (seq {parent['seq']}, {parent['state']}): {row['requested_by']}: {row['why']}")
    elif row["kind"] == "row_fix":
        of = f"file {parent['file_id']} (seq {parent['seq']}, {parent['key']})" if parent else "no file that can be told"
        print(f"  corrected rows of {of}")
    for old in story["supersedes"]:
        print(f"  takes the place of file {old['file_id']} (seq {old['seq']}, {old['key']}, {old['state']})")
    if story["superseded_by"]:
        print("  file {file_id} (seq {seq}, {key}, {state}) takes its place".format(**story["superseded_by"]))
    for child in story["children"]:
        what = (
            f"{child['fixed_lines']} corrected rows of it"
            if child["kind"] == "row_fix"
            else f"stands in for it, by {child['requested_by']}"
        )
        print(f"  file {child['file_id']} (seq {child['seq']}, {child['state']}): {what}")


@app.command()
def detections(
    pattern: Annotated[str | None, typer.Option(help="PatId1 (UPGRADE), PatId2 (CHILD) or PatId3 (DEI-NEEDED).")] = None,
    merchant: Annotated[str | None, typer.Option(help="Only this merchant.")] = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """List published detections in number order."""
    from include.domains.transactions.queries import list_detections
    from sluice.runtime import open_ledger, settings

    if pattern not in (None, "PatId1", "PatId2", "PatId3"):
        raise UsageError(f"no pattern {pattern!r}; there are PatId1 (UPGRADE), PatId2 (CHILD), PatId3 (DEI-NEEDED)")
    with open_ledger(settings()) as ledger:
        rows = list_detections(ledger.session, pattern, merchant, limit=limit)
    print_rows(
        rows,
        ("number", "seq", "pattern_id", "action_type", "customer_name", "merchant_id", "detected_at", "file_key"),
        as_json=json,
        empty="no detections",
    )


@app.command()
def state(
    feed: Annotated[str, typer.Argument(help="The feed: transactions.")],
    as_of: Annotated[int | None, typer.Option(min=0, help="As of the file with this seq; the newest published one if not given.")] = None,
    merchant: Annotated[str | None, typer.Option(help="Only this merchant.")] = None,
    json: Json = False,
) -> None:
    """Show the state a detection rests on: n, cents and gender of each customer at each merchant, as of any file."""
    from include.domains.transactions.queries import state_as_of
    from sluice.runtime import open_ledger, open_store, settings

    spec = feed_named(feed)
    where = settings()
    with open_ledger(where) as ledger:
        rows = state_as_of(ledger.session, open_store(where), where.s3.bucket, spec.name, as_of, merchant)
    print_rows(rows, ("merchant", "customer", "n", "cents", "gender"), as_json=json, empty=f"no state of {spec.name}")
    if rows and not json:
        log(f"{len(rows)} customers, {sum(row['n'] for row in rows)} transactions")
