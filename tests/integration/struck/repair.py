"""What tests of `up` and `down` share: services killed one by one, and something that has to survive it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import psutil
import pytest

from sluice.services import process, s3proxy
from sluice.services.service import Service
from sluice.services.state import BUCKET, State
from sluice.services.supervisor import statuses
from tests.integration.stack import ledger


def quiet(_: str) -> None:
    """Say nothing."""


def problems(state: State, services: Sequence[Service]) -> list[tuple[str, str, str]]:
    """What is not healthy, and why."""
    return [(one.service, one.state, one.problem) for one in statuses(state, services) if one.state != "healthy"]


def lives(member: psutil.Process) -> bool:
    return member.is_running() and member.status() != psutil.STATUS_ZOMBIE


def kill(state: State, name: str) -> int:
    """`kill -9` of a service's own process; its children are left to themselves."""
    leader = process.running(state, name)
    assert leader is not None
    leader.kill()
    leader.wait(20)
    return int(leader.pid)


@pytest.fixture
def kept(services: dict[str, str], state: State) -> Callable[[], bool]:
    """Something written to the ledger and to S3, and whether both still have it."""
    mark = os.urandom(8).hex()
    s3proxy.client(state).put_object(Bucket=BUCKET, Key=f"kept/{mark}", Body=mark.encode())
    with ledger(services) as connection:
        connection.execute("create table if not exists kept (mark text)")
        connection.execute("insert into kept values (%s)", [mark])

    def still_there() -> bool:
        body = s3proxy.client(state).get_object(Bucket=BUCKET, Key=f"kept/{mark}")["Body"].read().decode()
        with ledger(services) as connection:
            return body == mark and connection.execute("select 1 from kept where mark = %s", [mark]).fetchone() == (1,)

    return still_there
