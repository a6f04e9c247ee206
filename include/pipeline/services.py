"""The services that every step works with, and the ones that tests stand in for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from include.logs import Log
from include.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from include.ledger import Ledger
    from include.pipeline.message import JobRequest, Json


class Job(Protocol):
    """Runs the Spark job that a request names and returns the manifest that it left. `answers` fails where Spark does not answer."""

    def answers(self) -> None: ...
    def run(self, request: JobRequest) -> Json: ...


@dataclass(frozen=True)
class Services:
    """Store, ledger and Spark, open; the clock, and new ids, come in through the front door like them."""

    store: ObjectStore
    ledger: Ledger
    job: Job
    clock: Callable[[], dt.datetime]
    new_id: Callable[[], str]
    log: Log
    bucket: str
