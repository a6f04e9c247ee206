"""Least privilege in the ledger's database: each role can do its work, and is refused what is not its own."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from include.clients import ledger_connection
from include.files.file import Source
from include.ledger import Ledger
from include.ledger.roles import Role, create_database, create_roles, grant
from sluice.runtime import Settings, new_id
from sluice.services.postgres import SUPERUSER, connect
from sluice.services.state import State
from tests.integration.market import NOON, Market, fund, stock
from tests.integration.shop import Shop
from tests.integration.world import HEADER, World, fresh, row
from tests.sales_streams import stream

PASSWORDS = {role: f"only-for-tests-{role}" for role in Role}
As = Callable[[Role], Settings]


@contextmanager
def with_roles(services: Mapping[str, str], database: str, state: State) -> Iterator[As]:
    """A fresh ledger with the rights of the roles set in it, and a way to be one of them."""
    with connect(state, "postgres", SUPERUSER, autocommit=True) as superuser:
        create_roles(superuser, PASSWORDS)
    with pytest.MonkeyPatch.context() as patch, pytest.MonkeyPatch.context() as login:
        where = fresh(state, services, database, patch)
        with ledger_connection(where.ledger) as owner:
            grant(owner)

        def as_role(role: Role) -> Settings:
            login.setenv("PGUSER", role)
            login.setenv("PGPASSWORD", PASSWORDS[role])
            return dataclasses.replace(where, ledger=dataclasses.replace(where.ledger, user=role, password=PASSWORDS[role]))

        yield as_role


@pytest.fixture
def roles(stores: Mapping[str, str], database: str, state: State) -> Iterator[As]:
    with with_roles(stores, database, state) as as_role:
        yield as_role


@pytest.fixture
def roles_at_work(services: Mapping[str, str], database: str, state: State) -> Iterator[As]:
    with with_roles(services, database, state) as as_role:
        yield as_role


def test_the_ingest_role_runs_transactions_refuses_files_and_looks_back(roles_at_work: As, tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = World(roles_at_work(Role.INGEST), stack)
        world.land("chunk_1.csv", HEADER + row() + row("C2", amount="x") + "".join(row("C1", amount="1.00") for _ in range(30)))
        world.land("chunk_2.csv", "step,customer\n1,2\n")
        world.land("chunk_3.csv", HEADER + row())
        world.land("chunk_4.csv", HEADER + row())
        world.drain()
        assert world.states() == {
            "chunk_1.csv": "published",
            "chunk_2.csv": "quarantined",
            "chunk_3.csv": "published",
            "chunk_4.csv": "duplicate",
        }
        assert world.detected() == [(1, "PatId2", "C1", "M1")]
        world.sluice("quarantine", "discard", "chunk_2.csv", "--why", "a test")
        world.sluice("reconcile", "transactions")
        world.sluice("backup", str(tmp_path / "ledger.dump"))
        assert world.states()["chunk_2.csv"] == "discarded"


def test_a_restored_ledger_is_put_back_by_its_owner_and_then_goes_on(roles_at_work: As, state: State, tmp_path: Path) -> None:
    owner = {"PGUSER": "sluice", "PGPASSWORD": state.secret("postgres_sluice")}
    with ExitStack() as stack:
        world = World(roles_at_work(Role.INGEST), stack)
        world.sluice("backup", str(tmp_path / "ledger.dump"))
        world.land("chunk_1.csv", HEADER + "".join(row("C1", amount="1.00") for _ in range(30)))
        world.drain()
        world.sluice("restore", str(tmp_path / "ledger.dump"), "--yes", **owner)
        world.sluice("roles", "grant", **owner)
        world.ledger.close()
        refused = world.sluice("reconcile", "transactions", check=1).stderr
        assert (
            "only the owner of its tables may put back what it lacks: run `sluice reconcile transactions` as the role that migrates"
            in refused
        )
        assert world.states() == {}
        world.sluice("reconcile", "transactions", **owner)
        assert world.detected() == [(1, "PatId2", "C1", "M1")]
        world.land("chunk_2.csv", HEADER + row("C2"))
        world.drain()
        assert world.states() == {"chunk_1.csv": "published", "chunk_2.csv": "published"}


def test_the_ingest_role_runs_sales(roles_at_work: As) -> None:
    with ExitStack() as stack:
        shop = Shop(roles_at_work(Role.INGEST), stack)
        shop.live_through(stream(3, files=9), random.Random(3))
        found = shop.proven()
        assert found.customers
        assert any(file["state"] == "superseded" for file in shop.ledger.queries.list_files("sales"))


def test_the_ingest_role_runs_finance(roles_at_work: As) -> None:
    with ExitStack() as stack:
        market = Market(roles_at_work(Role.INGEST), stack)
        market.land("stocks", "a.csv", stock(1, 1, NOON), stock(2, 1, NOON))
        market.land("mutual_funds", "b.csv", fund(1, 1, NOON))
        market.drain()
        assert len(market.proven().silver) == 2


REFUSED = {
    Role.INGEST: [
        "create table mine (a int)",
        "drop table detection",
        "alter table file disable trigger all",
        "truncate file_event",
        "delete from file",
        "delete from file_event",
        "delete from detection",
        "delete from batch",
        "update detection set action_type = 'none'",
        "update file_event set reason = 'nothing'",
        "update reference set rows = 1",
        "update schema_migration set sha256 = ''",
        "insert into schema_migration (number, name, sha256) values (999, 'x', '')",
        "insert into file_move values ('published', 'registered')",
        "delete from work",
        "insert into work (feed, group_name, step, batch) values ('transactions', 'transactions', 'deliver', 1)",
        "insert into feed (feed, group_name) values ('mine', 'transactions')",
        "create role another",
        "create schema another",
        "set role postgres",
        "select * from pg_authid",
        "copy file to program 'cat'",
        "copy file to '/tmp/stolen'",
    ],
    Role.READER: [
        "update file set reason = 'none'",
        "insert into failure (run_id, step, what) values ('a', 'b', 'c')",
        "delete from file",
        "update feed set paused_at = clock_timestamp()",
        "insert into feed_source (feed, bucket, prefix) values ('transactions', 'b', 'p/')",
        "insert into sales.unresolved (file_id, line, \"column\", value) values (1, 1, 'a', 'b')",
        "update finance.stock set price = 0",
        "truncate sales.customer_month",
        "create temporary table mine (a int)",
        "create table mine (a int)",
        "lock table file in exclusive mode",
    ],
    Role.UI: [
        (
            "insert into detection (number, seq, pattern_id, action_type, merchant_id, detected_at, y_start_at, group_name, batch) "
            "values (1, 1, 'PatId3', 'x', 'M', now(), now(), 'transactions', 1)"
        ),
        "update file set accepted = 0, rejected = lines",
        "update file set sha256 = null",
        "update work set retry_at = now()",
        "update batch set state = 'abandoned'",
        (
            "insert into batch (group_name, batch, feed, first_seq, last_seq, files, rows, parameters, started_at, code_version) "
            "values ('transactions', 1, 'transactions', 1, 1, 1, 1, '{}', now(), '')"
        ),
        "update feed_group set lease_token = 0",
        "delete from file_event",
        "update merchant_transaction_counts set total_transactions = 1",
        "delete from sales.customer_month",
        "delete from feed_source",
        "create table mine (a int)",
    ],
}


@pytest.mark.parametrize(("role", "statement"), [(role, statement) for role, refused in REFUSED.items() for statement in refused])
def test_what_a_role_must_not_do_is_refused_by_postgresql(as_roles: Mapping[Role, psycopg.Connection], role: Role, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege), as_roles[role].transaction():
        as_roles[role].execute(statement.encode())


@pytest.fixture(scope="module")
def as_roles(stores: Mapping[str, str], database: str, state: State) -> Iterator[Mapping[Role, psycopg.Connection]]:
    """A connection of each role but the owner's, to one ledger."""
    with with_roles(stores, database, state) as as_role, ExitStack() as stack:
        yield {role: stack.enter_context(ledger_connection(as_role(role).ledger)) for role in REFUSED}


def test_people_read_everything_and_the_finance_functions_too(roles: As) -> None:
    with ledger_connection(roles(Role.READER).ledger) as reader:
        relations = reader.execute(
            "select format('%I.%I', n.nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace "
            "where relkind in ('r', 'v') and nspname in (current_schema(), 'sales', 'finance')"
        ).fetchall()
        assert len(relations) > 50
        for (relation,) in relations:
            reader.execute(f"select * from {relation} limit 1".encode())
        assert reader.execute("select count(*) from finance.gold_business_aggregation_as_of(1)").fetchone() == (0,)


def test_the_ui_decides_on_refused_files_pauses_feeds_and_names_sources(roles: As) -> None:
    with ExitStack() as stack:
        world = World(roles(Role.INGEST), stack)
        world.land("bad.csv", "step,customer\n1,2\n")
        world.ingest()
        assert world.states() == {"bad.csv": "quarantined"}
        ledger = Ledger(lambda: ledger_connection(roles(Role.UI).ledger))
        stack.callback(ledger.close)
        ledger.admin.pause("transactions", "me")
        ledger.admin.resume("transactions")
        another = Source("another", "landing/other/")
        ledger.sources.add(world.spec, another, world.bucket)
        ledger.sources.disable(world.spec, another)
        ledger.replays.discard(world.spec, world.run(), world.file("bad.csv")["file_id"], "me", "unwanted")
        assert not ledger.files.waiting(world.spec).nothing
        assert world.states() == {"bad.csv": "discarded"}
        (event,) = ledger.rows("select actor, reason from file_event where to_state = 'discarded'")
        assert event == {"actor": "me", "reason": "discarded by me: unwanted"}


def test_rights_are_set_anew_what_was_granted_by_hand_is_taken_back(roles: As, state: State, database: str) -> None:
    owner = dataclasses.replace(roles(Role.OWNER).ledger, user="sluice", password=state.secret("postgres_sluice"))
    with ledger_connection(owner) as connection:
        connection.execute("grant delete on file to sluice_reader")
        assert len(grant(connection)) == 3
    with ledger_connection(roles(Role.READER).ledger) as reader, pytest.raises(InsufficientPrivilege):
        reader.execute("delete from file")


def test_a_database_is_closed_to_those_who_are_not_its_guests(state: State, stores: Mapping[str, str]) -> None:
    assert stores
    name = f"apart_{new_id()}"
    with connect(state, "postgres", SUPERUSER, autocommit=True) as superuser:
        create_roles(superuser, PASSWORDS)
        create_database(superuser, name, Role.OWNER, [Role.READER])
        create_database(superuser, name, Role.OWNER, [Role.READER])
    try:
        login = {"host": "127.0.0.1", "port": state.port("postgres"), "dbname": name, "options": ""}
        with psycopg.connect(**login, user=Role.READER, password=PASSWORDS[Role.READER]) as reader:
            assert reader.execute("select current_user").fetchone() == ("sluice_reader",)
        with pytest.raises(psycopg.OperationalError, match="does not have CONNECT privilege"):
            psycopg.connect(**login, user=Role.UI, password=PASSWORDS[Role.UI])
    finally:
        with connect(state, "postgres", SUPERUSER, autocommit=True) as superuser:
            superuser.execute(f"drop database {name} with (force)".encode())
