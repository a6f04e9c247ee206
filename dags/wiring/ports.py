"""Everything the steps of a feed act through, opened on what the Airflow connections say."""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dags.wiring import connections

if TYPE_CHECKING:
    from include.ingestion.feed import FeedSpec
    from include.ingestion.ports import Ports
    from include.stores.ledger import PostgresLedger

_LOG = logging.getLogger("sluice")


def say(line: str) -> None:
    """A line of the task's log."""
    _LOG.info("%s", line)


@contextmanager
def open_ledger() -> Iterator[PostgresLedger]:
    """The ledger, closed at the end of the block."""
    from include.stores.ledger import PostgresLedger
    from include.stores.open import ledger_connection

    settings = connections.ledger()
    ledger = PostgresLedger(lambda: ledger_connection(settings))
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def open_ports(spec: FeedSpec) -> Iterator[Ports]:
    """Real services, closed at the end of the block. The imports are here so that parsing a DAG file stays quick."""
    from include.ingestion.ports import Ports
    from include.quality.gate import GreatExpectationsGate
    from include.stores.catalogue import results_of, sister_of
    from include.stores.open import s3_client
    from include.stores.s3 import S3Store
    from spark_jobs.runner import SparkRunner

    s3 = connections.s3()
    with open_ledger() as ledger:
        store = S3Store(s3_client(s3))
        job = SparkRunner(connections.spark(), store, s3)
        yield Ports(
            store=store,
            ledger=ledger,
            gate=GreatExpectationsGate(store, s3.bucket, ledger),
            results=results_of(spec, ledger, store, s3.bucket, new_id),
            job=job,
            clock=now,
            new_id=new_id,
            say=say,
            bucket=s3.bucket,
            sister=sister_of(ledger, store, s3.bucket, new_id),
        )


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def new_id() -> str:
    return secrets.token_hex(4)
