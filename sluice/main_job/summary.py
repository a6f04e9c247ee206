"""How the main job ends: what was found, by this run and in all, where to look, and what to try next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sluice.main_job.snapshot import Before, Snapshot
from sluice.main_job.view import ACTIONS, in_words

if TYPE_CHECKING:
    from include.ledger import Ledger
    from sluice.services.state import State

SLUICE = ".venv/bin/sluice"


def summary(found: Snapshot, before: Before, location: str, seconds: float) -> Iterator[str]:
    """The counts of this run beside those of the feed; of a source that had landed whole before, that it had."""
    run, feed = found.run, found.feed
    yield ""
    if run.total:
        yield f"all that landed is ingested, {seconds:.0f} s after the producer began"
    else:
        yield f"nothing new has landed: all of {location} landed before, {_when(before)}"
    rows = [
        ("this run's files", f"{run.total} landed: {in_words(run.files)}"),
        ("this run's rows", f"{run.rows_accepted:,} accepted, {run.rows_rejected:,} rejected"),
        ("the feed's files", f"{feed.total} in all: {in_words(feed.files)}"),
        ("the feed's rows", f"{feed.rows_accepted:,} accepted, {feed.rows_rejected:,} rejected"),
    ]
    for pattern, action in ACTIONS.items():
        total, mine = (part.detections.get(pattern, 0) for part in (feed, run))
        rows.append((f"{pattern} {action}", f"{total} detections, {mine} of them in this run's files"))
    for name, value in rows:
        yield f"  {name:<20}{value}"


def _when(before: Before) -> str:
    if before.first_at is None or before.last_at is None:
        return "in chunks that the ledger no longer knows"
    since, until = (at.astimezone().isoformat(sep=" ", timespec="seconds") for at in (before.first_at, before.last_at))
    return f"as {sum(before.files.values())} chunks from {since} to {until} ({in_words(before.files)})"


def whereabouts(state: State, ledger: Ledger, variables: Mapping[str, str]) -> Iterator[str]:
    """Where results lie, and how to get into Airflow."""
    yield ""
    newest = ledger.row("select bucket, key from detection_file where written_at is not null order by first_number desc limit 1")
    if newest is not None:
        yield f"a detections file   s3://{newest['bucket']}/{newest['key']}"
        yield f"                    {state.root / 's3' / 'objects' / newest['bucket'] / newest['key']}"
    airflow, user, password = (variables[f"AIRFLOW_{name}"] for name in ("URL", "USERNAME", "PASSWORD"))
    yield f"Airflow             {airflow}   user {user}   password {password}"


def worth_trying(found: Snapshot, refused: str | None, parameters: Mapping[str, object]) -> Iterator[str]:
    """Commands that lead on; after a run that landed nothing, those first that land something.

    Args:
        refused: the key of a refused file, if there is one.
        asked: what `make run` was given, by the names it has there.
    """
    yield ""
    yield "worth trying next"
    ways = [] if found.run.total else list(_ways_on(parameters))
    ways += [
        (f"{SLUICE} detections --pattern PatId1", "what was found, and by which file"),
        (f"{SLUICE} show {refused or 'chunk_1.csv'}", "one file's whole history"),
        ("make down", "stop the services; the data stays, `make run` goes on from it"),
    ]
    for command, why in ways:
        yield f"  {command:<52}{why}"


def _ways_on(parameters: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield _make_run({**parameters, "FROM_START": 1}), "land it once more: bytes that are known become duplicates and count nothing twice"
    if "TRANSACTIONS" in parameters:
        yield "make run TRANSACTIONS=FILE IMPORTANCE=FILE", "land another source after this one"
    else:
        yield _make_run({**parameters, "SEED": int(str(parameters["SEED"])) + 1}), "land another synthetic set after this one"
    yield "make clean", "stop the services and delete ledger and objects; `make run` then begins anew"


def _make_run(parameters: Mapping[str, object]) -> str:
    """The command that gives `make run` these.

    >>> _make_run({"TRANSACTIONS": "my file.csv", "CHUNKS": None, "FROM_START": 1})
    "make run TRANSACTIONS='my file.csv' FROM_START=1"
    """
    return " ".join(["make run", *(f"{name}={shlex.quote(str(value))}" for name, value in parameters.items() if value is not None)])
