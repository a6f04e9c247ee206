"""A producer that is killed with SIGKILL again and again, at chosen points of its protocol and at random instants.

Run as a program: one process imports everything and forks a producer for each death, so that hundreds of deaths take seconds.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from include.clients import ledger_connection, s3_client
from include.domains.transactions.feeds import TRANSACTIONS
from include.files.file import ObjectRef
from include.storage.s3 import S3Store
from sluice.produce.producer import Pace, produce
from sluice.produce.sources import source
from sluice.runtime import now, settings

PREFIX = "landing/transactions/"
POINTS = ("planning", "before the put", "after the put", "landed")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class FaultInjectingStore(S3Store):
    """The real store, around whose puts a producer may die."""

    def __init__(self, client: Any, at: Callable[[str], None]) -> None:
        super().__init__(client)
        self._at = at

    def put(self, bucket: str, key: str, body: Any, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:
        self._at("before the put")
        written = super().put(bucket, key, body, rows=rows, if_absent=if_absent)
        self._at("after the put")
        return written


def run(location: str, rows: int, at: Callable[[str], None]) -> None:
    """Produce to the end, telling `at` each point that is reached."""
    where = settings()

    def clock() -> Any:
        at("planning")
        return now()

    with ledger_connection(where.ledger) as ledger:
        produce(
            source(location),
            FaultInjectingStore(s3_client(where.s3), at),
            ledger,
            bucket=where.s3.bucket,
            prefix=PREFIX,
            contract=TRANSACTIONS.contract,
            holder=f"mortal {os.getpid()}",
            clock=clock,
            log=lambda line: at("landed") if line.startswith("landing/") else None,
            pace=Pace(rows, every=0),
        )


def dying_at(point: str, times: int) -> Callable[[str], None]:
    """Dies when `point` is reached for the `times`-th time."""
    left = [times]

    def at(reached: str) -> None:
        left[0] -= reached == point
        if not left[0]:
            die()

    return at


def child(work: Callable[[], None]) -> int:
    """Do something in a process of its own; returns its pid."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def main(location: str, rows: int, deaths: int, seed: int) -> None:
    chance = random.Random(seed)
    died = 0
    for point in POINTS:
        for times in (1, 2, 3):
            pid = child(lambda point=point, times=times: run(location, rows, dying_at(point, times)))
            died += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    for _ in range(deaths):
        pid = child(lambda: run(location, rows, lambda _: None))
        time.sleep(chance.uniform(0.02, 0.4))
        os.kill(pid, signal.SIGKILL)
        died += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    print(died)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
