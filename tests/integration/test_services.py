"""The embedded services as a whole: closed to strangers, and repaired whatever was killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from urllib.parse import urlsplit

import grpc
import psutil
import psycopg
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from sluice.services import process, s3proxy
from sluice.services.airflow import ask_health
from sluice.services.catalogue import all_services, without_airflow
from sluice.services.doctor import Verdict, examine, listening_beyond_loopback
from sluice.services.environment import environment
from sluice.services.spark import count_range
from sluice.services.state import BUCKET, State
from sluice.services.supervisor import bring_up, look, take_down

NAMES = ("postgres", "s3", "spark", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module", autouse=True)
def all_are_up(with_airflow: dict[str, str]) -> None:
    """These tests ask about every service."""
    assert with_airflow


def ledger(services: dict[str, str], **changed: str) -> psycopg.Connection:
    settings = {
        "host": services["PGHOST"],
        "port": services["PGPORT"],
        "dbname": services["PGDATABASE"],
        "user": services["PGUSER"],
        "password": services["PGPASSWORD"],
    }
    return psycopg.connect(**{**settings, **changed}, connect_timeout=5)


def airflow_answers(services: dict[str, str], method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, object]]:
    connection = HTTPConnection(urlsplit(services["AIRFLOW_URL"]).netloc, timeout=30)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def members(state: State) -> list[psutil.Process]:
    """Every process of every service, children too."""
    return [member for name in NAMES for member in process.family(state, name)]


def problems(state: State) -> list[tuple[str, str, str]]:
    """What is not healthy, and why."""
    return [(one.service, one.state, one.problem) for one in look(state, all_services(state)) if one.state != "healthy"]


def lives(member: psutil.Process) -> bool:
    return member.is_running() and member.status() != psutil.STATUS_ZOMBIE


def kill(state: State, name: str) -> int:
    """`kill -9` of a service's own process; its children are left to themselves."""
    leader = process.running(state, name)
    assert leader is not None
    leader.kill()
    leader.wait(20)
    return int(leader.pid)


# -- closed to strangers ----------------------------------------------------------------------------------------------------


def test_all_seven_are_healthy_and_the_doctor_finds_nothing_wrong(services: dict[str, str], state: State) -> None:
    found = look(state, all_services(state))

    assert [(one.service, one.state, one.problem) for one in found] == [(name, "healthy", "") for name in NAMES]
    assert all((one.memory_bytes or 0) > 10_000_000 and one.uptime_seconds is not None for one in found)
    assert [finding for finding in examine(state, all_services(state)) if finding.verdict is Verdict.WRONG] == []


def test_airflows_own_health_endpoint_says_that_all_its_components_are_healthy(services: dict[str, str], state: State) -> None:
    assert {name: one["status"] for name, one in ask_health(state).items()} == dict.fromkeys(
        ("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy"
    )


@pytest.mark.parametrize("name", NAMES)
def test_nothing_listens_beyond_loopback(services: dict[str, str], state: State, name: str) -> None:
    assert listening_beyond_loopback(state, name) == []


def test_what_env_prints_makes_clients_work_as_they_are(services: dict[str, str]) -> None:
    printed = subprocess.run(
        ["sh", "-c", 'eval "$("$0" -c "from sluice.cli.services import env; env()")" && exec "$0" -c "$1"', sys.executable, CLIENTS],
        capture_output=True,
        text=True,
        check=False,
    )

    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.split() == ["True", "('sluice',)", "1000"]


CLIENTS = """
import boto3, psycopg
from pyspark.sql import SparkSession
print(any(bucket["Name"] == "sluice" for bucket in boto3.client("s3").list_buckets()["Buckets"]))
with psycopg.connect() as connection: print(connection.execute("select current_user").fetchone())
print(SparkSession.builder.getOrCreate().range(1000).count())
"""


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "stranger"}, "InvalidAccessKeyId"),
        ({"config": Config(signature_version=UNSIGNED)}, "AccessDenied"),
    ],
    ids=["wrong secret", "unknown key", "no signature"],
)
def test_s3_refuses(services: dict[str, str], state: State, changed: dict[str, object], refusal: str) -> None:
    with pytest.raises(ClientError) as raised:
        s3proxy.client(state, **changed).list_objects_v2(Bucket=BUCKET)

    assert raised.value.response["Error"]["Code"] == refusal


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"password": ""}, {"user": "postgres"}, {"dbname": "airflow"}])
def test_postgresql_refuses(services: dict[str, str], changed: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError):
        ledger(services, **changed)


def test_postgresql_keeps_passwords_as_scram(services: dict[str, str], state: State) -> None:
    rules = (state.root / "postgres" / "pg_hba.conf").read_text().splitlines()

    assert {line.split()[-1] for line in rules if line.strip() and not line.startswith("#")} == {"scram-sha-256"}


@pytest.mark.parametrize("token", ["wrong", None])
def test_spark_connect_refuses(services: dict[str, str], state: State, token: str | None) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        count_range(f"localhost:{state.port('spark')}", token)

    assert isinstance(raised.value, grpc.Call)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_airflow_wants_a_login(services: dict[str, str]) -> None:
    right = {"username": services["AIRFLOW_USERNAME"], "password": services["AIRFLOW_PASSWORD"]}

    assert airflow_answers(services, "GET", "/api/v2/dags")[0] == 401
    assert airflow_answers(services, "GET", "/auth/token")[0] != 201  # no anonymous admin
    assert airflow_answers(services, "POST", "/auth/token", right | {"password": "wrong"})[0] == 401
    status, token = airflow_answers(services, "POST", "/auth/token", right)
    assert status == 201
    assert airflow_answers(services, "GET", "/api/v2/dags", Authorization=f"Bearer {token['access_token']}")[0] == 200


# -- up, whatever happened ----------------------------------------------------------------------------------------------------


def test_up_again_changes_nothing(services: dict[str, str], state: State) -> None:
    before = {name: process.read_record(state, name) for name in NAMES}

    again = bring_up(state, all_services(state), quiet)

    assert {one.how for one in again} == {"was running"}
    assert {name: process.read_record(state, name) for name in NAMES} == before


def test_options_of_the_shell_for_postgresqls_clients_do_not_reach_the_services(
    services: dict[str, str], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=nowhere")

    assert services
    assert {one.how for one in bring_up(state, without_airflow(state), quiet)} == {"was running"}


@pytest.fixture
def kept(own_services: dict[str, str], state: State) -> Callable[[], bool]:
    """Something written to the ledger and to S3, and whether both still have it."""
    mark = os.urandom(8).hex()
    s3proxy.client(state).put_object(Bucket=BUCKET, Key=f"kept/{mark}", Body=mark.encode())
    with ledger(own_services) as connection:
        connection.execute("create table if not exists kept (mark text)")
        connection.execute("insert into kept values (%s)", [mark])

    def still_there() -> bool:
        body = s3proxy.client(state).get_object(Bucket=BUCKET, Key=f"kept/{mark}")["Body"].read().decode()
        with ledger(own_services) as connection:
            return body == mark and connection.execute("select 1 from kept where mark = %s", [mark]).fetchone() == (1,)

    return still_there


@pytest.mark.parametrize("name", ["postgres", "s3", "spark", "airflow-scheduler"])
def test_a_killed_service_is_repaired_and_nothing_is_lost(state: State, kept: Callable[[], bool], name: str) -> None:
    killed = kill(state, name)
    assert {one.service: one.state for one in look(state, all_services(state))}[name] == "died"

    repaired = {one.name: one for one in bring_up(state, all_services(state), quiet)}

    assert repaired[name].how == "repaired (it had died)"
    assert repaired[name].pid != killed
    assert kept()
    assert problems(state) == []


def test_a_killed_postgres_is_repaired_although_a_session_of_it_hangs(
    own_services: dict[str, str], state: State, kept: Callable[[], bool]
) -> None:
    connection = ledger(own_services)
    (pid,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
    session = psutil.Process(pid)
    session.suspend()
    kill(state, "postgres")

    bring_up(state, all_services(state), quiet)

    assert not lives(session)
    assert kept()
    connection.close()


def test_after_kill_9_of_everything_up_repairs_everything(state: State, kept: Callable[[], bool]) -> None:
    for name in NAMES:
        kill(state, name)

    repaired = bring_up(state, all_services(state), quiet)

    assert {one.how for one in repaired} == {"repaired (it had died)"}
    assert kept()
    assert problems(state) == []


def test_an_upload_that_was_killed_half_way_leaves_nothing_behind(own_services: dict[str, str], state: State) -> None:
    s3 = s3proxy.client(state)
    s3.put_object(Bucket=BUCKET, Key="half/finished.csv", Body=b"whole")
    url = urlsplit(s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "half/upload.csv"}))
    with socket.create_connection((url.hostname, url.port)) as upload:
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 10000000\r\n\r\n"
        upload.sendall(head.encode() + b"x" * 3_000_000)
        assert wait_for(lambda: len(keys(state, "half/")) == 2), "an upload in progress is listed under a name of its own"
        kill(state, "s3")

    bring_up(state, all_services(state), quiet)

    assert keys(state, "half/") == ["half/finished.csv"]


def keys(state: State, prefix: str) -> list[str]:
    return [one["Key"] for one in s3proxy.client(state).list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def wait_for(holds: Callable[[], bool], tries: int = 100) -> bool:
    for _ in range(tries):
        if holds():
            return True
        time.sleep(0.1)
    return False


def test_down_leaves_no_process_and_up_goes_on_although_a_port_was_taken(
    own_services: dict[str, str], state: State, kept: Callable[[], bool]
) -> None:
    running = members(state)
    take_down(state, all_services(state), quiet)
    assert [member for member in running if lives(member)] == []
    assert [one.state for one in look(state, all_services(state))] == ["stopped"] * len(NAMES)
    taken = {name: state.port(name) for name in ("postgres", "s3")}
    told: list[str] = []

    with socket.create_server(("127.0.0.1", taken["postgres"])), socket.create_server(("127.0.0.1", taken["s3"])):
        bring_up(state, all_services(state), told.append)

    own_services.update(environment(state))
    assert kept()
    for name, port in taken.items():
        assert f"{name}: port {port} is taken by another program; using {state.port(name)} from now on" in told
    assert problems(state) == []
