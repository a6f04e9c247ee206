"""`sluice run`: the main job, on synthetic data or on a file of one's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from include.errors import UsageError
from sluice.cli.arguments import warn_of_secret
from sluice.cli.output import console, log

if TYPE_CHECKING:
    from sluice.services.state import State
    from sluice.services.supervisor import Started

app = typer.Typer()
DEFAULT_CHUNKS = 60
ROWS = 10_000
_WATCHED_WITHIN_SECONDS = 30


@app.command()
def run(
    transactions: Annotated[
        str | None,
        typer.Option(
            envvar="SLUICE_TRANSACTIONS",
            callback=warn_of_secret,
            help="A transactions file of your own: a path or URL. Without it a set is made.",
        ),
    ] = None,
    importance: Annotated[
        str | None,
        typer.Option(
            envvar="SLUICE_IMPORTANCE",
            callback=warn_of_secret,
            help="The CustomerImportance that goes with it; without one PatId1 cannot fire.",
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, max=100, help="Chunks a second.")] = 1.0,
    chunks: Annotated[int | None, typer.Option(min=1, help="So many chunks at most; of synthetic data 60 unless said.")] = None,
    seed: Annotated[int, typer.Option(help="Which synthetic set.")] = 1,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Land the source from its first row, even if it was landed before.")
    ] = False,
) -> None:
    """Start everything, land a source one chunk after another, let Airflow ingest it, and show what was found.

    Run it again and it goes on in the same history: what was landed of a source is not landed twice, unless `--from-start` says so.
    """
    from include.domains import feed_named
    from sluice.main_job.airflow_api import AirflowApi
    from sluice.main_job.job import INGEST_DAG, LANDING_ASSET, Source, watch
    from sluice.main_job.snapshot import landed_before, landing_from_now
    from sluice.main_job.summary import summary, whereabouts, worth_trying
    from sluice.produce.sources import origin_of
    from sluice.runtime import open_ledger, open_store, settings_from
    from sluice.services.environment import environment
    from sluice.services.state import current_state

    if transactions is not None and "://" not in transactions and not Path(transactions).is_file():
        raise UsageError(f"no file {transactions}; TRANSACTIONS is the path or URL of a transactions file")
    state = current_state()
    size = (chunks or DEFAULT_CHUNKS, ROWS, seed)
    parameters: dict[str, object] = {"SEED": seed} if transactions is None else {"TRANSACTIONS": transactions, "IMPORTANCE": importance}
    parameters["CHUNKS"] = chunks
    started, source = _everything_up(state, partial(_source, state, transactions, importance, size))
    variables = environment(state)
    os.environ.update(variables)
    where = settings_from(variables)
    spec = feed_named("transactions")
    with open_ledger(where) as ledger:
        api = AirflowApi(variables["AIRFLOW_URL"], variables["AIRFLOW_USERNAME"], variables["AIRFLOW_PASSWORD"])
        api.unpause(INGEST_DAG)
        if not api.await_watcher(LANDING_ASSET, _WATCHED_WITHIN_SECONDS):
            log(f"Airflow does not watch what lands {_WATCHED_WITHIN_SECONDS} s after {INGEST_DAG} was unpaused: once a minute it looks")
        landing = landing_from_now(ledger, origin_of(source, store=open_store(where)).location)
        health = [(one.name, f"{one.seconds:.1f} s") for one in started]
        watched = time.monotonic()
        found = watch(state, ledger, spec, Source(source, rate, chunks, ROWS, from_start), landing, console(), health)
        ended = time.monotonic()
        refused = ledger.queries.list_files(spec.name, "quarantined", 1)
        for line in (
            *summary(found, landed_before(ledger, spec, landing), landing.location, ended - watched),
            *whereabouts(state, ledger, variables),
            *worth_trying(found, refused[0]["key"] if refused else None, parameters),
        ):
            print(line)


def _everything_up(state: State, prepare_source: Callable[[], str]) -> tuple[list[Started], str]:
    """All services, and the source with its reference loaded, which needs PostgreSQL and S3 and not the others: meanwhile they start."""
    from sluice.cli.services import show_started
    from sluice.services.catalogue import all_services
    from sluice.services.environment import environment
    from sluice.services.postgres import Postgres
    from sluice.services.s3proxy import S3Proxy
    from sluice.services.supervisor import bring_up

    begun = time.monotonic()
    stores = (Postgres(state), S3Proxy(state))
    first = bring_up(state, stores, log)
    os.environ.update(environment(state))  # whatever this command does works on these services, not on others that the shell names
    with ThreadPoolExecutor(1) as meanwhile:
        source = meanwhile.submit(prepare_source)
        others = [service for service in all_services(state) if service.name not in {store.name for store in stores}]
        started = first + bring_up(state, others, log)
        show_started(state, started, time.monotonic() - begun)
    return started, source.result()


def _source(state: State, transactions: str | None, importance: str | None, size: tuple[int, int, int]) -> str:
    """Where the transactions lie, made if nobody brought any; with their CustomerImportance in force."""
    from sluice.cli.reference import load as load_reference
    from sluice.main_job.job import synthetic

    if transactions is None:
        transactions, importance = synthetic(state, *size, console())
    if importance is not None:
        load_reference(importance, "transactions")
    return transactions
