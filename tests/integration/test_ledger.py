"""The ledger's promises, each against the real PostgreSQL that has to keep it."""

from __future__ import annotations

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from include.clients import ledger_connection
from include.errors import DeploymentFault, FeedBusy, FeedPaused, LeaseLost, UsageError
from include.files.file import FOLLOWS, FileStamp, State
from include.ledger import Ledger
from include.ledger.migrate import MigrationRefused, migrate, migrations, planned
from include.logs import described
from include.pipeline.decide import decide
from sluice.runtime import new_id, now
from tests.integration.world import DAY, World


def stamp(name: str, etag: str = "e1", size: int = 10, bucket: str = "b") -> FileStamp:
    return FileStamp(bucket, DAY + name, etag, size, now())


def registered(world: World, *names: str) -> list[int]:
    token = world.ledger.leases.acquire(world.spec, world.run(run_id="one"))
    found = world.ledger.files.register(world.spec, token, world.run(), [stamp(name) for name in names])
    world.ledger.leases.release(world.spec, token)
    return [file.file_id for file in found.files]


def test_the_table_of_moves_is_the_one_of_the_code(world: World) -> None:
    moves = {(row["from_state"], row["to_state"]) for row in world.ledger.rows("select from_state::text, to_state::text from file_move")}
    assert moves == {(None, "registered")} | {(str(a), str(b)) for a, after in FOLLOWS.items() for b in after}


REFUSED = [state for state in State if state not in FOLLOWS[State.REGISTERED] | {State.REGISTERED}]


@pytest.mark.parametrize("to_state", REFUSED)
def test_a_move_that_is_not_in_the_table_is_refused(world: World, to_state: State) -> None:
    (file_id,) = registered(world, "a.csv")
    with pytest.raises(psycopg.errors.CheckViolation, match=f"no move from registered to {to_state}"):
        world.ledger.rows("update file set state = %s::file_state where file_id = %s returning 1", (to_state, file_id))


COLUMNS = "insert into file (feed, seq, bucket, key, version, etag, size, last_modified, date, state) values "


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("delete from file where seq = 1", "never forgets"),
        ("update file set seq = 7 where seq = 1", "given once"),
        ("update file set etag = 'other' where seq = 1", "given once"),
        ("update file set lines = 3, accepted = 1, rejected = 1 where seq = 1", "violates check"),
        (COLUMNS + "('transactions', 9, 'b', 'k', 1, 'e', 1, now(), '2026-01-01', 'registered')", "seqs are dense"),
        (COLUMNS + "('transactions', 1, 'b', 'k', 1, 'e', 1, now(), '2026-01-01', 'registered')", "unique"),
        (COLUMNS + "('transactions', 2, 'b', 'k', 1, 'e', 1, now(), '2026-01-01', 'accepted')", "no move from"),
    ],
)
def test_what_must_not_happen_is_refused_by_the_tables(world: World, statement: str, what: str) -> None:
    registered(world, "a.csv")
    with pytest.raises(psycopg.Error, match=what):
        world.ledger.session.connection.execute(statement.encode())


def test_every_move_is_an_event_with_its_run(world: World) -> None:
    registered(world, "a.csv")
    events = world.ledger.queries.file_story("a.csv")["events"]
    assert [(event["kind"], event["from_state"], event["to_state"]) for event in events] == [("move", None, "registered")]
    assert events[0]["run_id"].startswith("test-")


def test_a_known_object_is_not_registered_again_and_other_bytes_under_its_key_are(world: World) -> None:
    registered(world, "a.csv", "b.csv")
    listed = [stamp("a.csv"), stamp("b.csv", "e2"), stamp("c.csv")]
    assert [found.key for found in world.ledger.files.new_or_changed(world.spec, "b", listed)] == [DAY + "b.csv", DAY + "c.csv"]


def test_an_older_version_put_back_is_a_new_file(world: World) -> None:
    for etag in ("e1", "e2", "e1"):
        token = world.ledger.leases.acquire(world.spec, world.run(run_id="one"))
        world.ledger.files.register(world.spec, token, world.run(), [stamp("a.csv", etag)])
    rows = world.ledger.rows("select seq, version, etag, latest, location::text from file order by seq")
    assert [tuple(row.values()) for row in rows] == [
        (1, 1, "e1", False, "overwritten"),
        (2, 2, "e2", False, "overwritten"),
        (3, 3, "e1", True, "landing"),
    ]


def test_only_one_of_many_runs_gets_the_lease(world: World) -> None:
    start = threading.Barrier(8)

    def take(number: int) -> str | int:
        ledger = Ledger(lambda: ledger_connection(world.where.ledger))
        start.wait()
        try:
            return ledger.leases.acquire(world.spec, world.run(run_id=f"run-{number}"))
        except FeedBusy as busy:
            return str(busy)
        finally:
            ledger.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(take, range(8)))
    tokens = [answer for answer in answers if isinstance(answer, int)]
    assert len(tokens) == 1
    assert all("is being ingested by run-" in answer for answer in answers if isinstance(answer, str))


def test_a_run_that_lost_its_lease_can_write_nothing(world: World) -> None:
    lost = world.ledger.leases.acquire(world.spec, world.run(run_id="first"))
    world.let_lease_run_out()
    world.ledger.leases.acquire(world.spec, world.run(run_id="second"))
    for write in (
        lambda: world.ledger.files.register(world.spec, lost, world.run(), [stamp("a.csv")]),
        lambda: world.ledger.files.record_verdicts(world.spec, lost, world.run(), "x", [], "suite"),
        lambda: decide(world.ledger, world.spec, world.run(), lost, []),
        lambda: world.ledger.batches.begin_attempt(world.spec, lost, world.run(), 1),
        lambda: world.ledger.files.mark_swept(world.spec, lost),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert world.files() == []


def test_letting_go_of_a_lost_lease_leaves_the_new_holder_alone(world: World) -> None:
    lost = world.ledger.leases.acquire(world.spec, world.run(run_id="same"))
    newer = world.ledger.leases.acquire(world.spec, world.run(run_id="same"))
    world.ledger.leases.release(world.spec, lost)
    with world.ledger.leases.held(world.spec, newer), pytest.raises(FeedBusy):
        world.ledger.leases.acquire(world.spec, world.run(run_id="other"))


def test_a_paused_feed_begins_no_run_until_it_is_resumed(world: World) -> None:
    world.ledger.admin.pause("transactions", "an operator")
    with pytest.raises(FeedPaused, match="paused by an operator"):
        world.ledger.leases.acquire(world.spec, world.run())
    world.ledger.admin.resume("transactions")
    assert world.ledger.leases.acquire(world.spec, world.run()) > 0


def test_nothing_to_abandon_is_said(world: World) -> None:
    with pytest.raises(UsageError, match="no open batch"):
        world.ledger.batches.abandon(world.spec, world.run(), "because")


def test_migrating_twice_changes_nothing_and_an_edited_or_newer_ledger_is_refused(world: World) -> None:
    with ledger_connection(world.where.ledger) as connection:
        assert migrate(connection) == []
        connection.execute("update schema_migration set sha256 = 'edited' where number = 1")
        with pytest.raises(MigrationRefused, match="changed after it was applied"):
            migrate(connection)
        connection.execute("insert into schema_migration (number, name, sha256) values (999, 'later', '')")
        with pytest.raises(MigrationRefused, match="use the newer release"):
            migrate(connection)


def test_a_plan_says_what_would_be_applied_and_changes_nothing(world: World, tmp_path: Path) -> None:
    for migration in migrations():
        (tmp_path / migration.name).write_text(migration.text)
    later = len(migrations()) + 1
    (tmp_path / f"{later:04d}_later.sql").write_text("-- Something\n-- later.\n\ncreate table later (a int);\n")
    with ledger_connection(world.where.ledger) as connection:
        assert planned(connection) == [f"the ledger is at migration {later - 1}, this code at {later - 1}: nothing to do"]
        assert planned(connection, tmp_path) == [
            f"the ledger is at migration {later - 1}, this code at {later}; one transaction would apply:",
            f"  {later:04d}_later.sql: Something later.",
        ]
        assert connection.execute("select to_regclass('later')").fetchone() == (None,)
        connection.execute("create schema nothing_yet")
        connection.execute("set search_path to nothing_yet")
        said = planned(connection)
        assert said[0] == f"the ledger is at migration 0, this code at {later - 1}; one transaction would apply:"
        assert said[1] == "  0001_ledger.sql: The ledger: every file, its state, every change of state, every batch. It never forgets."
        assert len(said) == later
        assert connection.execute("select to_regclass('schema_migration')").fetchone() == (None,)
    assert world.sluice("migrate", "--plan").stdout.endswith("nothing to do\n")


def test_a_ledger_newer_than_the_code_is_refused_by_the_command_too(world: World) -> None:
    newer = len(migrations()) + 1
    world.ledger.rows("insert into schema_migration (number, name, sha256) values (%s, 'later', '') returning 1", (newer,))
    for words in (("migrate",), ("migrate", "--plan")):
        refused = world.sluice(*words, check=1)
        assert refused.stderr == f"sluice: the ledger is at migration {newer}, this code knows {newer - 1}: use the newer release\n"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("select %s::bigint", 'invalid input syntax for type bigint: "..."'),
        (
            "insert into merchant_transaction_counts select %s, 1 from generate_series(1, 2) returning 1",
            "duplicate key value violates unique",
        ),
        ("insert into merchant_transaction_counts values (%s, -1) returning 1", "violates check constraint"),
        ("insert into reconciliation_finding select %s from nowhere", 'relation "nowhere" does not exist (42P01)'),
    ],
)
def test_an_error_of_postgresql_names_the_rule_and_no_value(world: World, statement: str, said: str) -> None:
    canary = f"canary{new_id()}"  # a traceback quotes the lines of this file
    with pytest.raises((psycopg.Error, DeploymentFault)) as refused:
        world.ledger.rows(statement, (canary,))
    assert said in str(refused.value)
    assert canary not in described(refused.value)
    told = "".join(traceback.format_exception(refused.value))
    assert canary not in told
    with pytest.raises((psycopg.Error, DeploymentFault)) as refused, world.ledger.transaction() as cursor:
        cursor.execute(statement.encode(), (canary,))
    assert canary not in "".join(traceback.format_exception(refused.value))


def test_every_table_and_view_of_the_ledger_says_what_it_is_for(world: World) -> None:
    silent = world.ledger.rows(
        """select relname from pg_class c join pg_namespace n on n.oid = relnamespace
           where nspname = current_schema() and relkind in ('r', 'v') and obj_description(c.oid, 'pg_class') is null"""
    )
    assert [row["relname"] for row in silent] == []
