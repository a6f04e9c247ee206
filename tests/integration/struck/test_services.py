"""PostgreSQL, S3 and Spark are repaired by `up`, whatever was killed, and keep what they had."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import psutil
import pytest

from sluice.services import s3proxy
from sluice.services.catalogue import without_airflow
from sluice.services.state import BUCKET, State
from sluice.services.supervisor import bring_up, statuses
from tests.integration.airflow import until
from tests.integration.stack import ledger
from tests.integration.struck.repair import kept, kill, lives, problems, quiet

__all__ = ["kept"]  # a fixture


def test_options_of_the_shell_for_postgresqls_clients_do_not_reach_the_services(
    services: dict[str, str], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=nowhere")

    assert services
    assert {one.how for one in bring_up(state, without_airflow(state), quiet)} == {"was running"}


@pytest.mark.parametrize("name", ["postgres", "s3", "spark"])
def test_a_killed_service_is_repaired_and_nothing_is_lost(state: State, kept: Callable[[], bool], name: str) -> None:
    killed = kill(state, name)
    assert {one.service: one.state for one in statuses(state, without_airflow(state))}[name] == "died"

    repaired = {one.name: one for one in bring_up(state, without_airflow(state), quiet)}

    assert repaired[name].how == "repaired (it had died)"
    assert repaired[name].pid != killed
    assert kept()
    assert problems(state, without_airflow(state)) == []


def test_a_killed_postgres_is_repaired_although_a_session_of_it_hangs(
    services: dict[str, str], state: State, kept: Callable[[], bool]
) -> None:
    connection = ledger(services)
    (pid,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
    session = psutil.Process(pid)
    session.suspend()
    kill(state, "postgres")

    bring_up(state, without_airflow(state), quiet)

    assert not lives(session)
    assert kept()
    connection.close()


def test_an_upload_that_was_killed_half_way_leaves_nothing_behind(services: dict[str, str], state: State) -> None:
    assert services
    s3 = s3proxy.client(state)
    s3.put_object(Bucket=BUCKET, Key="half/finished.csv", Body=b"whole")
    url = urlsplit(s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "half/upload.csv"}))
    with socket.create_connection((url.hostname, url.port)) as upload:
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 10000000\r\n\r\n"
        upload.sendall(head.encode() + b"x" * 3_000_000)
        until(lambda: len(keys(state, "half/")) == 2, "an upload in progress is listed under a name of its own", 10)
        kill(state, "s3")

    bring_up(state, without_airflow(state), quiet)

    assert keys(state, "half/") == ["half/finished.csv"]


def keys(state: State, prefix: str) -> list[str]:
    return [one["Key"] for one in s3proxy.client(state).list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]
