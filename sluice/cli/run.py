"""`sluice run`: the main job, on synthetic data or on a file of one's own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from include.ingestion.errors import UsageError
from sluice.cli.output import console, say

if TYPE_CHECKING:
    from include.stores.ledger import PostgresLedger
    from sluice.main_job.snapshot import Snapshot
    from sluice.services.state import State

app = typer.Typer()
DEFAULT_CHUNKS = 60
ROWS = 10_000


@app.command()
def run(
    transactions: Annotated[
        str | None, typer.Option(help="A transactions file of your own: a path or URL. Without it a set is made.")
    ] = None,
    importance: Annotated[
        str | None, typer.Option(help="The CustomerImportance that goes with it; without one PatId1 cannot fire.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, max=100, help="Chunks a second.")] = 1.0,
    chunks: Annotated[int | None, typer.Option(min=1, help="So many chunks at most; of synthetic data 60 unless said.")] = None,
    seed: Annotated[int, typer.Option(help="Which synthetic set.")] = 1,
) -> None:
    """Start everything, land a source one chunk after another, let Airflow ingest it, and show what was found.

    Run it again and it goes on in the same history: what was landed is not landed twice.
    """
    from include.feeds import feed_named
    from sluice.cli.reference import load as load_reference
    from sluice.cli.services import show_started
    from sluice.main_job.airflow_api import AirflowApi
    from sluice.main_job.job import INGEST_DAG, Source, synthetic, watch
    from sluice.runtime import open_ledger, settings_from
    from sluice.services.catalogue import all_services
    from sluice.services.environment import environment
    from sluice.services.state import current_state
    from sluice.services.supervisor import bring_up

    if transactions is not None and "://" not in transactions and not Path(transactions).is_file():
        raise UsageError(f"no file {transactions}; TRANSACTIONS is the path or URL of a transactions file")
    state = current_state()
    begun = time.monotonic()
    out = console()
    started = bring_up(state, all_services(state), say)
    show_started(state, started, time.monotonic() - begun)
    if transactions is None:
        transactions, importance = synthetic(state, chunks or DEFAULT_CHUNKS, ROWS, seed, out)
    told = environment(state)
    os.environ.update(told)  # whatever this command starts works on these services, not on others that the shell names
    where = settings_from(told)
    spec = feed_named("transactions")
    with open_ledger(where) as ledger:
        if importance is not None:
            load_reference(importance, spec.name)
        api = AirflowApi(told["AIRFLOW_URL"], told["AIRFLOW_USERNAME"], told["AIRFLOW_PASSWORD"])
        api.unpause(INGEST_DAG)
        health = [(one.name, f"{one.seconds:.1f} s") for one in started]
        watched = time.monotonic()
        found = watch(state, ledger, spec, Source(transactions, importance, rate, chunks, ROWS), out, health)
        _conclude(state, ledger, found, time.monotonic() - watched)


def _conclude(state: State, ledger: PostgresLedger, found: Snapshot, seconds: float) -> None:
    """The summary: what was found, where to look, what to try next."""
    from sluice.main_job.view import ACTIONS
    from sluice.services.environment import environment

    told = environment(state)
    newest = ledger.row("select bucket, key from detection_file where written_at is not null order by first_number desc limit 1")
    refused = ledger.list_files("transactions", "quarantined", 1)
    print(f"\nall that landed is ingested, {seconds:.0f} s after the producer began")
    rows = [
        ("chunks", f"{found.landed} landed, {found.published} published, {found.refused} refused"),
        ("rows", f"{found.rows_accepted:,} accepted, {found.rows_rejected:,} rejected"),
        *((f"{pattern} {action}", f"{found.detections.get(pattern, 0)} detections") for pattern, action in ACTIONS.items()),
    ]
    for name, value in rows:
        print(f"  {name:<18}{value}")
    if newest is not None:
        print(f"\na detections file   s3://{newest['bucket']}/{newest['key']}")
        print(f"                    {state.root / 's3' / 'objects' / newest['bucket'] / newest['key']}")
    print(f"Airflow             {told['AIRFLOW_URL']}   user {told['AIRFLOW_USERNAME']}   password {told['AIRFLOW_PASSWORD']}")
    story = f".venv/bin/sluice show {refused[0]['key']}" if refused else ".venv/bin/sluice show chunk_1.csv"
    print("\nworth trying next")
    for command, why in (
        (".venv/bin/sluice detections --pattern PatId1", "what was found, and by which file"),
        (story, "one file's whole history"),
        ("make down", "stop the services; the data stays, `make run` goes on from it"),
    ):
        print(f"  {command:<52}{why}")
