"""What a run in Airflow may be told to read, as its tasks read it: with the deployment's own connections and hostile params."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.errors import UsageError
from include.inputs import FOLDER, HOSTS
from sluice.runtime import Settings
from tests.http_server import Site, served
from tests.integration.world import HEADER, World, row

GOOD, IMPORTANCE = HEADER + row(), "Source,Target,Weight,typeTrans,fraud\n'C1','M1',1.00,'a',0\n"
SECRET = json.dumps({"sluice_ledger": {"conn_type": "postgres", "password": "canary-of-the-deployment"}})
STARTED = dt.datetime(2026, 11, 21, 3, 0, tzinfo=dt.UTC)

Task = Callable[..., Any]


@pytest.fixture
def world(where: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger and a bucket, which the Airflow connections name."""
    with ExitStack() as stack:
        s3, ledger = where.s3, where.ledger
        service = {"endpoint_url": s3.endpoint, "region_name": s3.region, "service_config": {"s3": {"bucket_name": s3.bucket}}}
        for name, said in {
            "s3": {"conn_type": "aws", "login": s3.access_key, "password": s3.secret_key, "extra": service},
            "ledger": {
                "conn_type": "postgres",
                "host": ledger.host,
                "port": ledger.port,
                "schema": ledger.database,
                "login": ledger.user,
                "password": ledger.password,
            },
            "spark": {"conn_type": "spark", "host": "local[1]"},
        }.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_SLUICE_{name.upper()}", json.dumps(said))
        yield World(where, stack)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secret beside the folder that runs may read."""
    (tmp_path / "input").mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.setenv(FOLDER, str(tmp_path / "input"))
    for ending in ("csv", "json"):
        (tmp_path / "run" / f"connections.{ending}").write_text(SECRET)
    return tmp_path / "run"


@pytest.fixture
def replay(world: World, monkeypatch: pytest.MonkeyPatch) -> Task:
    """The task of `transactions_replay`, on a file that was refused."""
    from dags.wiring import replay as wiring

    world.land("bad.csv", "no header\n")
    world.drain()
    return task(wiring, wiring._replay, "transactions_replay", monkeypatch, ["transactions"], file="bad.csv", fixed=None, why=None, go=True)


@pytest.fixture
def produce(world: World, monkeypatch: pytest.MonkeyPatch) -> Task:
    from dags.wiring import sources as wiring

    params = {"gcp_conn_id": None, "rows": 1, "every": 0, "limit": None, "prefix": "landing/transactions/", "from_start": False}
    return task(wiring, wiring._produce, "transactions_producer", monkeypatch, "transactions", **params)


@pytest.fixture
def load(world: World, monkeypatch: pytest.MonkeyPatch) -> Task:
    from dags.wiring import sources as wiring

    return task(wiring, wiring._load, "transactions_reference", monkeypatch, "transactions", "importance", gcp_conn_id=None)


def task(wiring: Any, operator: Any, dag_id: str, monkeypatch: pytest.MonkeyPatch, *args: Any, **params: Any) -> Task:
    """A task's own function, as Airflow calls it with what a person typed into the form."""

    def run(**typed: Any) -> Any:
        values = {**params, **typed}
        dag_run = SimpleNamespace(
            dag_id=dag_id, run_id="r1", run_type=SimpleNamespace(value="manual"), start_date=STARTED, conf=typed, triggering_user_name="op"
        )
        woken = defaultdict(lambda: SimpleNamespace(add=lambda _: None))
        context = {"dag_run": dag_run, "dag": SimpleNamespace(params={**params, "source": ""}), "params": values, "outlet_events": woken}
        monkeypatch.setattr(wiring, "get_current_context", lambda: context)
        return operator.function(*args)

    return run


def everything(world: World) -> dict[str, bytes]:
    return {key: world.store.read_bytes(world.bucket, key) for key in world.keys("")}


HOSTILE_PATHS = (
    "{outside}/connections.csv",
    "../run/connections.csv",
    "link.csv",
    "folder/connections.csv",
    "/proc/self/environ",
    "/etc/passwd",
)
HOSTILE_OBJECTS = ("state/transactions/x.csv", "error/sales/x.csv", "landing/sales/x.csv", "landing/transactions/../sales/x.csv", "x.csv")


@pytest.mark.parametrize("go", [True, False])
def test_a_replay_reads_nothing_that_is_not_of_the_feed(world: World, outside: Path, replay: Task, go: bool) -> None:
    (outside.parent / "input" / "link.csv").symlink_to(outside / "connections.csv")
    (outside.parent / "input" / "folder").symlink_to(outside)
    world.store.put(world.bucket, "landing/sales/x.csv", GOOD.encode())
    before, files = everything(world), world.files()
    for fixed in (
        *(path.format(outside=outside) for path in HOSTILE_PATHS),
        *(f"s3://{world.bucket}/{key}" for key in HOSTILE_OBJECTS),
        f"s3://{world.bucket}x/landing/transactions/x.csv",
        f"file://{outside}/connections.csv",
        "http://169.254.169.254/x.csv",
    ):
        with pytest.raises(UsageError):
            replay(fixed=fixed, go=go)
    assert everything(world) == before
    assert world.files() == files


def test_a_replay_reads_the_folder_and_the_places_of_the_feed(world: World, outside: Path, replay: Task) -> None:
    (outside.parent / "input" / "right.csv").write_text(GOOD)
    assert replay(fixed="right.csv", go=False)["passes"]
    world.store.put(world.bucket, "fixes/transactions/replacement=desk/right.csv", GOOD.encode())
    assert replay(fixed=f"s3://{world.bucket}/fixes/transactions/replacement=desk/right.csv", go=False)["passes"]
    made = replay(fixed=str(outside.parent / "input" / "right.csv"))
    assert world.store.read_bytes(world.bucket, world.file(str(made["file_id"]))["key"]) == GOOD.encode()


@pytest.mark.parametrize("name", ["produce", "load"])
def test_a_source_is_nothing_that_is_not_of_the_feed(
    world: World, outside: Path, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = request.getfixturevalue(name)
    (outside.parent / "input" / "link.csv").symlink_to(outside / "connections.csv")
    (outside.parent / "input" / "folder").symlink_to(outside)
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "http", "password": "https://canary.example.com/hook"}))
    with served(Site((GOOD if name == "produce" else IMPORTANCE).encode())) as inner:
        for location in (
            *(path.format(outside=outside) for path in HOSTILE_PATHS),
            *(f"s3://{world.bucket}/{key}" for key in HOSTILE_OBJECTS),
            f"file://{outside}/connections.csv",
            f"{inner.url}/a.csv",
            inner.url.replace("127.0.0.1", "2130706433"),
            inner.url.replace("127.0.0.1", "localhost"),
            "http://169.254.169.254/latest/meta-data/",
            "ftp://localhost/a.csv",
            "connection:sluice_ledger",
            "connection:OTHER",
            "connection:sluice_source_none",
        ):
            with pytest.raises(UsageError) as refused:
                run(source=location)
            assert "canary" not in str(refused.value)
        assert inner.asked == []
    assert world.keys("") == []
    assert world.ledger.rows("select 1 as one from producer_source union all select 1 from reference") == []


def test_sources_that_are_meant_are_read(world: World, outside: Path, produce: Task, load: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    (outside.parent / "input" / "importance.csv").write_text(IMPORTANCE)
    assert load(source="importance.csv")["pairs"] == 1
    world.store.put(world.bucket, "fixes/transactions/replacement=desk/a.csv", (GOOD + row("C2")).encode())
    assert produce(source=f"s3://{world.bucket}/fixes/transactions/replacement=desk/a.csv", limit=1)["rows"] == 1
    with served(Site(GOOD.encode())) as site:
        monkeypatch.setenv(HOSTS, "127.0.0.1")
        signed = f"{site.url}/b.csv?X-Amz-Signature=canary"
        monkeypatch.setenv("AIRFLOW_CONN_SLUICE_SOURCE_SHOP", json.dumps({"conn_type": "generic", "password": signed}))
        made = produce(source="connection:sluice_source_shop")
        assert (made["rows"], made["source"]) == (1, f"{site.url}/b.csv")
        assert {path for path, _ in site.asked} == {"/b.csv?X-Amz-Signature=canary"}


@pytest.mark.parametrize(
    "prefix",
    ["error/", "state/transactions/", "landing/", "landing/sales/", "landing/transactions/../sales/", "lake/x/", "fixes/transactions/"],
)
def test_chunks_land_where_files_of_the_feed_arrive_and_nowhere_else(world: World, outside: Path, produce: Task, prefix: str) -> None:
    (outside.parent / "input" / "a.csv").write_text(GOOD)
    with pytest.raises(UsageError, match="is no place where files of the feed arrive"):
        produce(source="a.csv", prefix=prefix)
    assert world.keys("") == []
    assert produce(source="a.csv", prefix="landing/transactions/by-hand/")["chunks"] == 1


def test_a_param_that_the_dag_does_not_have_is_refused(produce: Task) -> None:
    with pytest.raises(UsageError, match="transactions_producer has no parameter lmit; it has"):
        produce(source="a.csv", lmit=3)
