"""A full run, with failures of every kind: no log of anything that ran holds a secret or a value of a row."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest

from include.domains.transactions.feeds import TRANSACTIONS
from include.ledger import Ledger
from include.pipeline.discover import discover
from include.pipeline.gate import gate
from include.run import Run
from sluice.runtime import new_id, now, open_ports, settings_from
from sluice.services.state import State
from spark_jobs import session
from tests.integration.airflow import INGEST
from tests.integration.command import run_sluice
from tests.integration.test_airflow import Scheduled, airflow, drain, scheduled
from tests.integration.world import HEADER, row

__all__ = ["airflow", "scheduled"]

# What holds rows or secrets because that is what it is for. Everything else below the state directory is a log or speaks like one.
KEPT = ("s3/", "postgres/", "secrets/", "spark/spark.properties", "spark/local/", "spark/warehouse/")
A_TOKEN = re.compile(rb"eyJ[\w-]{10,}\.[\w-]{10,}")
LOW = {"min_total": 1, "min_count": 2, "max_avg_cents": 100_000, "min_female": 0, "top": 10, "bottom": 10}
REFERENCE = "Source,Target,Weight,typeTrans,fraud\n"


class Planted:
    """The canaries of a test, and what the command said meanwhile."""

    def __init__(self, scheduled: Scheduled, services: dict[str, str], state: State) -> None:
        self.value = f"canary{new_id()}"
        self.scheduled = scheduled
        self.services = services
        self.state = state
        self.spoken: list[str] = []

    def row(self, where: str, **changes: str) -> str:
        return row(customer=f"C{self.value}{where}", merchant=f"M{self.value}{where}", **changes)

    def sluice(self, *words: str, check: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = run_sluice(*words, check=check, **self.services | environment)
        self.spoken += [done.stdout, done.stderr]
        return done

    def land(self, name: str, content: str) -> str:
        (key,) = self.scheduled.land(name, content=lambda _: content)
        return key

    def airflow_runs(self, dag: str, ends: str, **conf: object) -> str:
        """Trigger a run and see how it ends; its id. The DAG is paused then, with no later run left to take what lands next."""
        airflow = self.scheduled.airflow
        run = airflow.trigger(dag, **conf)
        airflow.pause(dag, paused=False)
        assert airflow.ended(dag, run, 300) == ends
        airflow.pause(dag)
        drain(airflow, dag)
        return run

    def logs(self) -> dict[str, bytes]:
        """Everything that was written below the state directory and is no data."""
        found = {}
        for path in sorted(self.state.root.rglob("*")):
            name = path.relative_to(self.state.root).as_posix()
            if path.is_file() and not path.is_symlink() and not name.startswith(KEPT):
                found[name] = path.read_bytes()
        return found

    def secrets(self) -> dict[str, str]:
        """By name: what the files of secrets hold; of one put together from others those are it."""
        said = {path.name: path.read_text() for path in (self.state.root / "secrets").iterdir() if path.is_file()}
        return {name: text for name, text in said.items() if not text.startswith("{")}


@pytest.fixture
def planted(scheduled: Scheduled, services: dict[str, str], state: State) -> Iterator[Planted]:
    planted = Planted(scheduled, services, state)
    yield planted
    for key in (stamp.key for stamp in scheduled.store.objects(scheduled.bucket, "landing/")):
        if planted.scheduled.mark in key:
            scheduled.store.delete(scheduled.bucket, key)


@contextmanager
def refusing(ledger: Ledger, table: str, event: str, body: str) -> Iterator[None]:
    """A table that refuses, in words that quote what it was given."""
    ledger.session.connection.execute("create table if not exists canary_once (value text primary key)")
    made = f"create or replace function canary_refuses() returns trigger language plpgsql as $$ begin {body} return new; end $$"
    ledger.session.connection.execute(made.encode())
    ledger.session.connection.execute(f"drop trigger if exists canary on {table}".encode())  # of a session that was killed
    ledger.session.connection.execute(
        f"create trigger canary before {event} on {table} for each row execute function canary_refuses()".encode()
    )
    try:
        yield
    finally:
        ledger.session.connection.execute(f"drop trigger canary on {table}".encode())
        ledger.session.connection.execute("drop table canary_once")


def test_no_log_of_a_full_run_with_failures_holds_a_secret_or_a_value_of_a_row(planted: Planted) -> None:
    ledger = planted.scheduled.ledger
    rows_of_all_kinds(planted)
    postgresql_refuses(planted, ledger)
    spark_fails(planted)
    a_reference_is_refused(planted)
    the_command_goes_over_it(planted)
    services_refuse(planted)

    said = planted.logs() | {"what the command said": "\n".join(planted.spoken).encode()}
    assert {"log/postgres.log", "log/s3.log", "log/spark.log", "log/airflow-scheduler.log", "log/airflow-api-server.log"} <= said.keys()
    tasks = [name for name in said if f"dag_id={INGEST}/" in name]
    assert len(tasks) > 20
    leaked = leaks(said, {"a value of a row": planted.value} | planted.secrets())
    assert leaked == []
    tokens = [name for name, text in said.items() if A_TOKEN.search(text)]
    assert tokens == []
    detected = ledger.rows("select customer_name from detection where customer_name like %s", (f"%{planted.value}%",))
    assert detected, "where values belong they are"


def leaks(said: dict[str, bytes], canaries: dict[str, str]) -> list[str]:
    """Where canaries stand, with the canary itself left out."""
    return [
        f"{name}: {what}: {line.replace(canary.encode(), b'<it>')[:400]!r}"
        for name, text in said.items()
        for what, canary in canaries.items()
        if canary.encode() in text
        for line in [one for one in text.splitlines() if canary.encode() in one][:3]
    ]


def rows_of_all_kinds(planted: Planted) -> None:
    """Accepted and rejected rows, files that are refused for what is in them, and one without a header, whose first line is a row."""
    rejected = planted.row("step", step=f"s{planted.value}") + planted.row("gender", gender=f"G{planted.value}")
    landed = [
        planted.land("accepted.csv", HEADER + planted.row("accepted") * 30),
        planted.land("rejected.csv", HEADER + planted.row("fine") * 30 + rejected + planted.row("amount", amount=f"4{planted.value}")),
        planted.land("mostly_rejected.csv", HEADER + planted.row("refused", amount=planted.value) * 3),
        planted.land("headless.csv", planted.row("headless") * 3),
        planted.land("open_quote.csv", HEADER + f"0,'{planted.value}\n" * 3),
    ]
    planted.airflow_runs(INGEST, "success", **LOW)
    states = [file["state"] for file in planted.scheduled.finished(landed)]
    assert states == ["published", "quarantined", "quarantined", "quarantined", "published"]  # in the order of their keys


def postgresql_refuses(planted: Planted, ledger: Ledger) -> None:
    """The gate's verdict, and then the publication, in words that quote the row: by a message, and by a key that is there already."""
    landed = [planted.land("refusing.csv", HEADER + planted.row("gate") * 3)]
    said = "raise exception 'no % here', new.touched_values using detail = new.touched_values;"
    with refusing(ledger, "file", "update of touched_values", said):
        run = planted.airflow_runs(INGEST, "success", **LOW)
    assert "PostgreSQL refuses it: RaiseException (P0001)" in planted.scheduled.airflow.log(INGEST, run, "gate")
    rest_no_more(planted)
    twice = "insert into canary_once values (new.merchant_id), (new.merchant_id);"
    with refusing(ledger, "merchant_transaction_counts", "insert", twice):
        run = planted.airflow_runs(INGEST, "failed", **LOW)
        planted.sluice("ingest", "transactions", check=None)
    assert "PostgreSQL refuses it: UniqueViolation (23505)" in planted.scheduled.airflow.log(INGEST, run, "publish")
    go_on(planted, landed)


def spark_fails(planted: Planted) -> None:
    """A batch whose accepted rows are damaged after the gate, and evaluations that fail on a cell, in Java and in Python."""
    where = settings_from(planted.services)
    landed = [planted.land("damaged.csv", HEADER + planted.row("damaged") * 3)]
    with open_ports(where, TRANSACTIONS, planted.spoken.append) as ports:
        run = Run(f"test-{new_id()}", now(), TRANSACTIONS.parameters_from(LOW))
        found = discover(ports, TRANSACTIONS, run)
        assert found.token is not None
        for group in found.groups:
            gate(ports, TRANSACTIONS, run, found.token, group.file_ids)
        ports.ledger.leases.release(TRANSACTIONS, found.token)
    (bronze,) = planted.scheduled.ledger.rows("select bronze from file where key = any(%s)", (landed,))
    (ref,) = bronze["bronze"]
    whole = planted.scheduled.store.read_bytes(planted.scheduled.bucket, ref["key"])
    planted.scheduled.store.put(planted.scheduled.bucket, ref["key"], whole[: len(whole) // 2] + planted.value.encode() + whole[-8:])
    planted.airflow_runs(INGEST, "failed", **LOW)
    planted.scheduled.store.put(planted.scheduled.bucket, ref["key"], whole)
    go_on(planted, landed)

    spark, canary = session.connect(where.spark), planted.value

    def fails(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            raise ValueError(f"{canary}{batch.num_rows}")
            yield batch

    for query in (
        lambda: spark.range(3).mapInArrow(fails, "id long").toArrow(),
        lambda: spark.range(3).selectExpr(f"cast(concat('{canary}', id) as int) as n").toArrow(),
    ):
        with pytest.raises(Exception, match="Spark") as failed, session.map_driver_errors(where.spark):
            query()
        planted.spoken.append(str(failed.value))


def rest_no_more(planted: Planted) -> None:
    """What failed alone would rest for a while, and a run that finds nothing else ends well."""
    planted.scheduled.ledger.rows("update work set retry_at = clock_timestamp() where retry_at is not null returning 1")


def go_on(planted: Planted, landed: list[str]) -> None:
    rest_no_more(planted)
    planted.airflow_runs(INGEST, "success", **LOW)
    assert {file["state"] for file in planted.scheduled.finished(landed)} == {"published"}


def a_reference_is_refused(planted: Planted) -> None:
    unfit = REFERENCE + f"'C{planted.value}','M{planted.value}',w{planted.value},es_food,0\n" * 3
    for name, content in (("unfit.csv", unfit), ("headless.csv", unfit.removeprefix(REFERENCE))):
        read = planted.state.folder("input") / name
        read.write_text(content)
        planted.airflow_runs("transactions_reference", "failed", source=name)
        planted.sluice("reference", "load", str(read), check=None)
        read.unlink()


def the_command_goes_over_it(planted: Planted) -> None:
    """What only tells of files, and finance's formats beside."""
    stock = {"stock_id": planted.value, "company_id": 1, "symbol": planted.value, "price": planted.value, "volume": 1}
    for feed, name, content in (
        ("stocks", "a.json", json.dumps([stock] * 3)),
        ("stocks", "b.json", f'[{{"stock_id": 1, "symbol": "{planted.value}"}} {planted.value}]'),
        ("sales", "c.csv", f"{planted.value},1,2\n" * 3),
    ):
        key = f"landing/{feed}/dt={now().date().isoformat()}/{planted.scheduled.mark}_{name}"
        planted.scheduled.store.put(planted.scheduled.bucket, key, content.encode())
    planted.sluice("ingest", "stocks", "--until-empty")
    planted.sluice("ingest", "sales", "--until-empty")
    planted.sluice("files", "transactions", "--json")
    planted.sluice("quarantine", "list")
    planted.sluice("reconcile", "transactions", check=None)
    planted.sluice("status", check=None)
    planted.sluice("doctor", check=None)


def services_refuse(planted: Planted) -> None:
    """Where each is not there, or does not take the secret: the secret is in the settings of whoever says so."""
    dead = "127.0.0.1:9"
    planted.land("later.csv", HEADER + planted.row("later") * 3)
    planted.sluice("ingest", "transactions", check=3, SPARK_REMOTE=f"sc://localhost:9/;token={planted.state.secret('spark_token')}")
    planted.sluice("ingest", "transactions", check=3, AWS_ENDPOINT_URL_S3=f"http://{dead}")
    planted.sluice("ingest", "transactions", check=3, PGPORT="9")
    planted.sluice("ingest", "transactions", check=3, PGUSER="nobody")
    password = planted.state.secret("postgres_sluice")
    planted.sluice("finance", "send", "--to", f"postgresql://sluice:{password}@{dead}/sluice", check=3)
    planted.sluice("finance", "send", "--to", f"nothing://sluice:{password}@{dead}/sluice", check=2)
    planted.airflow_runs(INGEST, "success", **LOW)
