"""What comes from outside: the producer's chunks and a feed's reference, from a path, a URL, S3 or Google Drive."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, get_current_context, task

from dags.wiring import connections
from dags.wiring.failures import explained, record_failure
from dags.wiring.params import asked_by, run_id
from dags.wiring.ports import new_id, now, say
from include.feeds import feed_named
from include.ingestion import keys
from include.ingestion.errors import UsageError
from plugins.landing.connection import connection_named

if TYPE_CHECKING:
    import psycopg
    from airflow.sdk import Connection

    from include.ingestion.feed import FeedSpec
    from include.ingestion.ports import ObjectStore
    from sluice.produce.sources import Source

MOST_ROWS = 200_000
_WHERE = "A path on the worker, an http(s) URL, s3://bucket/key, or a Google Drive link or drive:ID; plain, gzip or xz."


def source_params() -> dict[str, Param]:
    """Where something comes from, and with whose credentials."""
    return {
        "source": Param(type="string", minLength=1, maxLength=2048, description=_WHERE),
        "gcp_conn_id": Param(
            None,
            type=["null", "string"],
            description="For a private Drive file: an Airflow connection of type google_cloud_platform, with a service account's key.",
        ),
    }


def producer_params(spec: FeedSpec) -> dict[str, Param]:
    """How a source is cut into chunks, and how fast they land."""
    return {
        **source_params(),
        "rows": Param(10_000, type="integer", minimum=1, maximum=MOST_ROWS, description="Rows a chunk."),
        "every": Param(
            1, type="number", minimum=0, maximum=3600, description="Seconds from one chunk to the next; 0 = as fast as it goes."
        ),
        "limit": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Stop after so many chunks; the next run goes on there. Empty: go to the end.",
        ),
        "prefix": Param(
            keys.landing(spec.name), type="string", pattern="^[^/].*/$", description="Where chunks land: a folder, with a slash at its end."
        ),
        "from_start": Param(False, type="boolean", description="Begin at the first row, even of a source produced before."),
    }


def produce(spec: FeedSpec) -> None:
    """Add the task that lands a source chunk by chunk to a DAG."""
    _produce.override(task_id="produce", on_failure_callback=partial(record_failure, spec.name))(spec.name)


def load_reference(spec: FeedSpec, name: str) -> None:
    """Add the task that loads a reference of a feed to a DAG."""
    _load.override(task_id="load", on_failure_callback=partial(record_failure, spec.name))(spec.name, name)


@task(execution_timeout=dt.timedelta(hours=25))
def _produce(feed: str) -> dict[str, Any]:
    """Land a source's rows as chunks, from where the last run stopped."""
    from sluice.produce.producer import Pace
    from sluice.produce.producer import produce as produce_chunks

    context, spec = get_current_context(), feed_named(feed)
    params = context["params"]
    with explained(context), _opened(params) as (source, store, ledger):
        made = produce_chunks(
            source,
            store,
            ledger,
            bucket=connections.s3().bucket,
            prefix=params["prefix"],
            contract=spec.contract,
            holder=run_id(context),
            clock=now,
            say=say,
            pace=Pace(params["rows"], params["every"], params["limit"]),
            from_start=params["from_start"],
        )
    rest = "the source is finished" if made.finished else "run it again to go on"
    say(f"{made.chunks} chunks, {made.rows} rows in {made.seconds:.1f} s; {rest}")
    return dataclasses.asdict(made)


@task(execution_timeout=dt.timedelta(hours=1))
def _load(feed: str, name: str) -> dict[str, Any]:
    """Check, aggregate and load a reference; it is in force for the files that are registered from now on."""
    from sluice.reference.loader import load

    context = get_current_context()
    with explained(context), _opened(context["params"]) as (source, store, ledger):
        loaded = load(
            source,
            store,
            ledger,
            bucket=connections.s3().bucket,
            feed=feed,
            name=name,
            loaded_by=asked_by(context),
            run_id=run_id(context),
            new_id=new_id,
            say=say,
        )
    counts = f"{loaded.rows} rows, {loaded.rejected} rejected, {loaded.pairs} pairs"
    say(f"{feed} {name} version {loaded.version} is in force for files after seq {loaded.after_seq}: {counts}")
    return dataclasses.asdict(loaded)


@contextmanager
def _opened(params: Mapping[str, Any]) -> Iterator[tuple[Source, ObjectStore, psycopg.Connection]]:
    """The source that the params name, the store it may lie in, and a connection to the ledger."""
    from include.stores.open import ledger_connection, s3_client
    from include.stores.s3 import S3Store
    from sluice.produce.sources import source

    store = S3Store(s3_client(connections.s3()))
    credentials = service_account(connection_named(params["gcp_conn_id"])) if params["gcp_conn_id"] else None
    with ledger_connection(connections.ledger()) as ledger:
        yield source(params["source"], credentials=credentials, store=store), store, ledger


def service_account(connection: Connection) -> Mapping[str, Any]:
    """The service account's key in a connection of type `google_cloud_platform`, as its form keeps it.

    Raises:
        UsageError: there is none.
    """
    key = connection.extra_dejson.get("keyfile_dict")
    try:
        said = json.loads(key) if isinstance(key, str) else key
    except ValueError:
        said = None
    if not isinstance(said, Mapping):
        raise UsageError(
            f"the Airflow connection {connection.conn_id} holds no service account's key: put it into Keyfile JSON (keyfile_dict)"
        )
    return said
