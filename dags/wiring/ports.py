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
    from include.feed import FeedSpec
    from include.ledger import Ledger
    from include.pipeline.ports import Ports

_LOG = logging.getLogger("sluice")


def log(line: str) -> None:
    """A line of the task's log."""
    _LOG.info("%s", line)


@contextmanager
def open_ledger() -> Iterator[Ledger]:
    """The ledger, closed at the end of the block."""
    from include.clients import ledger_connection
    from include.ledger import Ledger

    settings = connections.ledger()
    ledger = Ledger(lambda: ledger_connection(settings))
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def open_ports(spec: FeedSpec) -> Iterator[Ports]:
    """Real services, closed at the end of the block. The imports are here so that parsing a DAG file stays quick."""
    from include.clients import s3_client
    from include.domains import ports_of
    from include.pipeline.services import Services
    from include.quality.gate import GreatExpectationsGate
    from include.storage.s3 import S3Store
    from spark_jobs.runner import SparkRunner

    s3 = connections.s3()
    with open_ledger() as ledger:
        store = S3Store(s3_client(s3))
        services = Services(store, ledger, SparkRunner(connections.spark(), store, s3), now, new_id, log, s3.bucket)
        yield ports_of(spec, services, GreatExpectationsGate(store, s3.bucket, ledger.replays))


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def new_id() -> str:
    return secrets.token_hex(4)
