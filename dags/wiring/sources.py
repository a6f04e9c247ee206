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
from dags.wiring.failures import as_task_failure, record_failure
from dags.wiring.inputs import NO_SECRET, input_policy, refuse_prefix
from dags.wiring.params import refuse_unknown, requested_by, run_id
from dags.wiring.ports import log, new_id, now, open_ledger
from include import logs
from include.domains import feed_named
from include.errors import UsageError
from include.files import keys
from plugins.landing.connection import connection_named

if TYPE_CHECKING:
    import psycopg
    from airflow.sdk import Connection, Context

    from include.feed import FeedSpec
    from include.storage.object_store import ObjectStore
    from sluice.produce.sources import Source

MOST_ROWS = 200_000
_WHERE = (
    "An http(s) URL, a Google Drive link or drive:ID, s3://bucket/key where files of the feed arrive or below its fixes/, a path below the "
    "worker's folder SLUICE_INPUT_FOLDER, or connection:NAME, an Airflow connection sluice_source_... whose password is a URL with a "
    "signature or a password in it; plain, gzip or xz."
)
_CONNECTION = "connection:"
_OF_A_SOURCE = "sluice_source_"


def source_params() -> dict[str, Param]:
    """Where something comes from, and with whose credentials."""
    return {
        "source": Param(type="string", minLength=1, maxLength=2048, description=_WHERE, **NO_SECRET),
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
            keys.landing(spec.name),
            type="string",
            pattern="^[^/].*/$",
            description="Where chunks land: a folder where files of the feed arrive, or one below, with a slash at its end.",
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
    with as_task_failure(context), _opened(spec, context) as (source, store, ledger):
        made = produce_chunks(
            source,
            store,
            ledger,
            bucket=connections.s3().bucket,
            prefix=params["prefix"],
            contract=spec.contract,
            holder=run_id(context),
            clock=now,
            log=log,
            pace=Pace(params["rows"], params["every"], params["limit"]),
            from_start=params["from_start"],
        )
    rest = "the source is finished" if made.finished else "run it again to go on"
    log(f"{made.chunks} chunks, {made.rows} rows in {made.seconds:.1f} s; {rest}")
    return dataclasses.asdict(made)


@task(execution_timeout=dt.timedelta(hours=1))
def _load(feed: str, name: str) -> dict[str, Any]:
    """Check, aggregate and load a reference; it is in force for the files that are registered from now on."""
    from sluice.reference.loader import load

    context = get_current_context()
    with as_task_failure(context), _opened(feed_named(feed), context) as (source, store, ledger):
        loaded = load(
            source,
            store,
            ledger,
            bucket=connections.s3().bucket,
            feed=feed,
            name=name,
            loaded_by=requested_by(context),
            run_id=run_id(context),
            new_id=new_id,
            log=log,
        )
    counts = f"{loaded.rows} rows, {loaded.rejected} rejected, {loaded.pairs} pairs"
    log(f"{feed} {name} version {loaded.version} is in force for files after seq {loaded.after_seq}: {counts}")
    return dataclasses.asdict(loaded)


@contextmanager
def _opened(spec: FeedSpec, context: Context) -> Iterator[tuple[Source, ObjectStore, psycopg.Connection]]:
    """The source that the params name, the store it may lie in, and a connection to the ledger."""
    from include.clients import s3_client
    from include.storage.s3 import S3Store
    from sluice.produce.sources import source

    refuse_unknown(context)
    s3, params = connections.s3(), context["params"]
    with open_ledger() as ledger:
        places = ledger.sources.active(spec)
        if "prefix" in params:
            refuse_prefix(params["prefix"], places, s3.bucket)
        store, policy = S3Store(s3_client(s3)), input_policy(spec, places, s3.bucket)
        credentials = service_account(connection_named(params["gcp_conn_id"])) if params["gcp_conn_id"] else None
        yield source(address(params["source"]), credentials=credentials, store=store, policy=policy), store, ledger.session.connection


def address(source: str) -> str:
    """The location that a source means: itself, or the URL that a connection keeps.

    Raises:
        UsageError: the connection is not one for sources, so that no other's password is read, or it holds no URL.
    """
    if not source.startswith(_CONNECTION):
        return source
    name = source.removeprefix(_CONNECTION)
    if not name.startswith(_OF_A_SOURCE):
        raise UsageError(f"{name} is no connection of a source: the names of those begin with {_OF_A_SOURCE}")
    url = connection_named(name, "docs/runbooks/producer.md").password or ""
    logs.hide(url)
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"the password of the Airflow connection {name} is to be the http(s) URL of the source")
    return url


def service_account(connection: Connection) -> Mapping[str, Any]:
    """The service account's key in a connection of type `google_cloud_platform`, as its form keeps it.

    Raises:
        UsageError: there is none.
    """
    key = connection.extra_dejson.get("keyfile_dict")
    try:
        account = json.loads(key) if isinstance(key, str) else key
    except ValueError:
        account = None
    if not isinstance(account, Mapping):
        raise UsageError(
            f"the Airflow connection {connection.conn_id} holds no service account's key: put it into Keyfile JSON (keyfile_dict)"
        )
    return account
