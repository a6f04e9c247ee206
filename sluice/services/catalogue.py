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
    return tuple(kind(state) for kind in (Postgres, S3Proxy, SparkConnect, ApiServer, Scheduler, DagProcessor, Triggerer))
