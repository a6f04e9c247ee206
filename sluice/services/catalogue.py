"""The services there are."""

from __future__ import annotations

from sluice.services.airflow import ApiServer, DagProcessor, Scheduler, Triggerer
from sluice.services.postgres import Postgres
from sluice.services.s3proxy import S3Proxy
from sluice.services.service import Service
from sluice.services.spark import SparkConnect
from sluice.services.state import State


def all_services(state: State) -> tuple[Service, ...]:
    """Everything `sluice up` starts, in the order in which it is listed."""
    return (*without_airflow(state), *(kind(state) for kind in (ApiServer, Scheduler, DagProcessor, Triggerer)))


def without_airflow(state: State) -> tuple[Service, ...]:
    """What the command needs: ledger, store and Spark."""
    return tuple(kind(state) for kind in (Postgres, S3Proxy, SparkConnect))
