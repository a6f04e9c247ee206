"""Who is to blame: a file for what is done for others and not for it, a service for what it does for nobody, else nobody."""

from __future__ import annotations

import dataclasses
import errno
import random
import string
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from include.clients import ledger_connection, s3_client
from include.domains import auditor_of
from include.errors import DeploymentFault, EnvironmentFailure, PassingConflict, UsageError
from include.feed import FeedSpec
from include.files.file import LedgerFile
from include.files.verdict import Verdict
from include.ledger.sqlstate import blamed
from include.logs import Log
from include.pipeline.decide import decide
from include.pipeline.discover import discover
from include.pipeline.gate import gate
from include.pipeline.ports import Gate
from include.quality.gate import GreatExpectationsGate
from include.reconcile.context import Scope
from include.reconcile.reconcile import reconcile
from include.replay.replay import give_up, replay
from include.storage.s3 import S3Store
from sluice.runtime import Settings
from tests.integration.refusing import CUT, EMPTY, SILENT, Refusal, Refusing, refusing
from tests.integration.world import HEADER, World, row

DENIED = Refusal("AccessDenied")
OWN = (
    DENIED,
    Refusal("AccessDenied", heads=True),
    Refusal("InvalidObjectState"),
    Refusal("KMS.DisabledException", 400),
    Refusal("InvalidRequest", 400),
    Refusal("InternalError", 500),
    Refusal("SlowDown", 503),
    CUT,
    EMPTY,
    SILENT,
)


class Proxied(World):
    """A world whose S3 refuses what a test says."""

    rules: Refusing

    def behind(self, rules: Refusing) -> None:
        """Read and write through the proxy from here on."""
        self.rules = rules
        client = s3_client(dataclasses.replace(self.where.s3, endpoint=rules.endpoint))
        store = S3Store(_without_retries(client))
        gate_here = GreatExpectationsGate(store, self.bucket, self.ledger.replays)
        self.ports = dataclasses.replace(self.ports, store=store, gate=gate_here)
        self.spec = dataclasses.replace(self.spec, retry_seconds=0.01)

    def once(self) -> list[str]:
        """One round of the five steps: the states of all files in seq order."""
        self.ingest(full=True)
        return [file["state"] for file in self.files()]

    def rested(self) -> None:
        self.ledger.rows("update work set retry_at = clock_timestamp() where retry_at is not null returning 1")


def _without_retries(client: Any) -> Any:
    """The same client, that asks once: how often is no matter here, and each try would cost a test a second."""
    client.meta.events.register_first("needs-retry.s3", lambda **_: None)
    client.meta.events.unregister("needs-retry.s3", unique_id="retry-config-s3")
    return client


@pytest.fixture
def proxied(where: Settings) -> Iterator[Proxied]:
    with ExitStack() as stack:
        world = Proxied(where, stack)
        assert where.s3.endpoint is not None
        world.behind(stack.enter_context(refusing(where.s3.endpoint)))
        yield world


def land(world: World, *names: str) -> None:
    for number, name in enumerate(names, 1):
        world.land(f"{name}.csv", HEADER + row(f"C{number}{name}") * 3)


@pytest.mark.parametrize("refusal", OWN, ids=lambda refusal: f"{refusal.code}-{refusal.status}-{refusal.heads}")
def test_a_key_that_the_store_refuses_is_quarantined_and_keeps_no_other_from_its_verdict(proxied: Proxied, refusal: Refusal) -> None:
    land(proxied, "a", "b_refused", "c", "d")
    proxied.rules.refused["b_refused"] = refusal
    assert proxied.once() == ["published", "registered", "registered", "registered"]
    assert [file["validated"] for file in proxied.ledger.rows("select validated_at is not null as validated from file order by seq")] == [
        *(True, False, True, True)
    ]
    for _ in range(2):
        proxied.rested()
        states = proxied.once()
    assert states == ["published", "quarantined", "published", "published"]
    refused = proxied.file("b_refused.csv")
    said = {CUT: "broke off at byte", EMPTY: "arrived with 0 bytes and was listed with", SILENT: "no answer for"}.get(refusal, refusal.code)
    assert (refused["reason_code"], refused["failures"]) == ("unreadable", 3)
    assert "b_refused.csv" in refused["reason"]
    assert said in refused["reason"]
    assert f"`sluice quarantine replay {refused['file_id']} --go` takes it" in refused["reason"]
    assert "disk" not in refused["reason"]


def test_an_unreadable_file_stays_where_it_lies_and_is_replayed_when_it_can_be_read(proxied: Proxied) -> None:
    land(proxied, "a", "b_refused")
    proxied.rules.refused["b_refused"] = Refusal("InvalidObjectState")
    for _ in range(3):
        proxied.once()
        proxied.rested()
    refused = proxied.file("b_refused.csv")
    assert (refused["state"], refused["location"]) == ("quarantined", "landing")
    assert proxied.store.head(proxied.bucket, refused["key"]) is not None
    assert proxied.once() == ["published", "quarantined"]
    proxied.rules.refused.clear()
    replay(proxied.ports, proxied.spec, proxied.run(), refused["file_id"], "ann", "restored")
    assert proxied.once() == ["published", "discarded", "published"]


def test_an_original_that_was_archived_since_is_named_by_a_reconciliation_that_reads_the_others(proxied: Proxied) -> None:
    land(proxied, "a", "b_archived", "c")
    assert proxied.once() == ["published"] * 3
    proxied.rules.refused["b_archived"] = Refusal("InvalidObjectState")
    found = reconcile(proxied.ports, auditor_of(proxied.spec, proxied.ports), proxied.spec, proxied.run(), Scope(verify=True)).findings
    unreadable = [str(one) for one in found if one.code == "unreadable"]
    assert len(unreadable) == 1
    assert "b_archived.csv refused: InvalidObjectState no; it lies in an archive class: restore it there" in unreadable[0]


@pytest.mark.parametrize("refusal", [DENIED, Refusal("InternalError", 500), Refusal("SlowDown", 503), SILENT], ids=lambda one: one.code)
def test_what_the_store_gives_for_nobody_counts_against_no_file(proxied: Proxied, refusal: Refusal) -> None:
    land(proxied, "a")
    assert proxied.once() == ["published"]
    land(proxied, "b", "c")
    proxied.rules.refused["landing/"] = refusal
    for _ in range(4):
        with pytest.raises(DeploymentFault if refusal is DENIED else EnvironmentFailure, match=r"b\.csv"):
            proxied.once()
    assert proxied.ledger.rows("select sum(failures)::int as n from file") == [{"n": 0}]
    proxied.rules.refused.clear()
    assert proxied.once() == ["published"] * 3


def test_the_only_object_there_is_that_is_denied_is_told_as_what_the_deployment_lacks(proxied: Proxied) -> None:
    land(proxied, "a")
    proxied.rules.refused["a.csv"] = Refusal("AccessDenied", heads=True)
    for _ in range(4):
        with pytest.raises(DeploymentFault, match=r"a\.csv refused: AccessDenied.*let the user of the connection sluice_s3 read it"):
            proxied.once()
    assert proxied.states() == {"a.csv": "registered"}
    land(proxied, "b")
    assert proxied.once() == ["registered", "registered"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"access_key": "nobody"}, "InvalidAccessKeyId"),
        ({"secret_key": "wrong"}, "SignatureDoesNotMatch"),
    ],
)
def test_keys_to_the_store_that_are_wrong_are_the_deployments_fault(proxied: Proxied, change: dict[str, str], said: str) -> None:
    land(proxied, "a")
    wrong = S3Store(s3_client(dataclasses.replace(proxied.where.s3, **change)))
    with pytest.raises(DeploymentFault, match=f"{said}.*No file is to blame.*correct the connection sluice_s3"):
        wrong.read_bytes(proxied.bucket, proxied.files()[0]["key"] if proxied.files() else "landing/x")
    with pytest.raises(DeploymentFault, match=r"bucket nowhere does not exist.*`sluice bucket` makes it"):
        proxied.store.read_bytes("nowhere", "x")


class ShortGate:
    """The real gate, on a machine of which something runs short while files are read."""

    def __init__(self, gate_here: Gate, error: Exception) -> None:
        self._gate = gate_here
        self._error = error

    def suite_digest(self, spec: FeedSpec) -> str:
        return self._gate.suite_digest(spec)

    def validate(self, spec: FeedSpec, files: Sequence[LedgerFile], attempt: str, log: Log) -> list[Verdict]:
        log(f"{attempt}: {len(files)} files of {spec.name}")
        raise self._error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory"),
        (OSError(errno.ENOSPC, "full"), "no space left"),
        (OSError(errno.EMFILE, "many"), "too many files open"),
    ],
)
def test_what_runs_short_on_this_machine_counts_against_no_file(proxied: Proxied, error: Exception, said: str) -> None:
    land(proxied, "a", "b")
    gate_here = proxied.ports.gate
    proxied.ports = dataclasses.replace(proxied.ports, gate=ShortGate(gate_here, error))  # type: ignore[arg-type]  # what judging needs
    for _ in range(4):
        with pytest.raises(EnvironmentFailure, match=f"this machine: .*{said}"):
            proxied.once()
    proxied.ports = dataclasses.replace(proxied.ports, gate=gate_here)
    assert proxied.once() == ["published", "published"]


def test_a_gate_that_fails_on_what_it_took_before_condemns_nothing(proxied: Proxied) -> None:
    land(proxied, "a")
    proxied.once()
    land(proxied, "b")
    proxied.ports = dataclasses.replace(proxied.ports, gate=ShortGate(proxied.ports.gate, TypeError("x")))  # type: ignore[arg-type]
    for _ in range(2):
        proxied.once()
        proxied.rested()
    for _ in range(3):
        with pytest.raises(DeploymentFault, match=r"it is not the files: file 1, which was accepted before, fails in the same way now"):
            proxied.once()
    assert (proxied.file("b.csv")["state"], proxied.file("b.csv")["failures"]) == ("registered", 2)


def test_a_verdict_that_postgresql_refuses_is_that_files_failure_alone(proxied: Proxied) -> None:
    land(proxied, "a", "b", "c")
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("alter table file add constraint no_b check (validated_at is null or failures > 2 or key not like '%/b.csv')")
    assert proxied.once() == ["published", "registered", "registered"]
    for _ in range(2):
        proxied.rested()
        states = proxied.once()
    assert states == ["published", "quarantined", "published"]
    assert "CheckViolation (23514)" in proxied.file("b.csv")["reason"]
    assert "constraint no_b" in proxied.file("b.csv")["reason"]


def test_a_file_is_decided_within_three_minutes_of_its_first_failure_alone(proxied: Proxied) -> None:
    """Runs begin once a minute, and each try takes 15 seconds: on a clock of its own."""
    proxied.spec = dataclasses.replace(proxied.spec, retry_seconds=FeedSpec.retry_seconds)
    land(proxied, "a", "b_refused")
    proxied.rules.refused["b_refused"] = DENIED
    now, first = 0.0, None
    while proxied.states()["b_refused.csv"] != "quarantined" if proxied.files() else True:
        assert now <= 600, "it is never decided"
        proxied.once()
        first = now if first is None else first
        rest = proxied.ledger.files.waiting(proxied.spec).rest_seconds or 0.0
        tried = now + 15
        now = -(-(tried + rest) // 60) * 60
        _shift(proxied, now - tried)
    assert tried - first <= 180


def _shift(world: World, seconds: float) -> None:
    """As if so much time had passed."""
    world.ledger.rows("update work set retry_at = retry_at - make_interval(secs => %s) returning 1", (seconds,))


# PostgreSQL ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        *((code, PassingConflict) for code in ("40001", "40P01", "55P03", "25P03")),
        *((code, EnvironmentFailure) for code in ("53100", "53200", "53300", "57P01", "57P03", "58030", "08006", "25006", "XX001")),
        *((code, DeploymentFault) for code in ("42501", "42P01", "42703", "42883", "3F000", "28P01", "3D000")),
        *((code, psycopg.Error) for code in ("54000", "57014", "22003", "22P05", "23505", "23514", "53400", "P0001", "XX000")),
    ],
)
def test_a_code_of_postgresql_says_who_is_to_blame(code: str, becomes: type[Exception]) -> None:
    told = blamed(psycopg.errors.lookup(code)("no"))
    kinds = (PassingConflict, DeploymentFault, EnvironmentFailure, psycopg.Error)
    assert next(kind for kind in kinds if isinstance(told, kind)) is becomes


def test_a_text_too_long_for_an_index_is_told_by_code_rule_and_place_without_the_text(proxied: Proxied) -> None:
    long = "".join(random.Random(5).choices(string.ascii_letters, k=9000))
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("create table long_text (name text primary key)")
    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as refused, proxied.ledger.transaction() as cursor:
        cursor.execute("insert into long_text values (%s)", (long,))
    assert "PostgreSQL refuses it: ProgramLimitExceeded (54000): index row " in refused.value.sentence  # type: ignore[attr-defined]
    assert long[:20] not in refused.value.sentence  # type: ignore[attr-defined]


def test_a_statement_cancelled_at_its_time_out_is_no_outage(proxied: Proxied) -> None:
    proxied.ledger.session.connection.execute("set statement_timeout = '50ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        proxied.ledger.rows("select pg_sleep(5)")
    proxied.ledger.admin.answers()


def test_work_that_another_transaction_was_in_the_way_of_is_repeated(proxied: Proxied) -> None:
    land(proxied, "a")
    run = proxied.run(full=True)
    found = discover(proxied.ports, proxied.spec, run)
    assert found.token is not None
    other = ledger_connection(proxied.where.ledger)
    proxied.ledger.session.connection.execute("set lock_timeout = '100ms'")
    other.autocommit = False
    other.execute("select 1 from feed_group for update")
    with pytest.raises(PassingConflict, match=r"lock timeout \(55P03\), again and again"):
        decide(proxied.ledger, proxied.spec, run, found.token, found.file_ids)
    other.rollback()
    other.close()
    assert decide(proxied.ledger, proxied.spec, run, found.token, found.file_ids).batch is None


def test_a_grant_that_is_taken_away_condemns_no_file_and_is_named_with_the_command_that_gives_it(proxied: Proxied) -> None:
    land(proxied, "a", "b")
    with psycopg.connect(autocommit=True) as owner:
        owner.execute("revoke insert on batch from current_user")
        for _ in range(4):
            with pytest.raises(DeploymentFault, match=r"permission denied for table batch \(42501\).*`sluice roles grant`"):
                proxied.once()
        assert proxied.ledger.rows("select sum(failures)::int as n from file") == [{"n": 0}]
        owner.execute("grant insert on batch to current_user")
    assert proxied.once() == ["published", "published"]


# Given up by hand ------------------------------------------------------------------------------------------------------


def accepted(world: Proxied, *names: str) -> None:
    """Files in an open batch."""
    land(world, *names)
    run = world.run(full=True)
    found = discover(world.ports, world.spec, run)
    assert found.token is not None
    for group in found.groups:
        gate(world.ports, world.spec, run, found.token, group.file_ids)
    decide(world.ledger, world.spec, run, found.token, found.file_ids)
    world.ledger.leases.release(world.spec, found.token)


def test_an_accepted_file_is_given_up_by_hand_and_the_others_of_its_batch_go_on(proxied: Proxied) -> None:
    accepted(proxied, "a", "b", "c")
    done = proxied.sluice("batch", "give-up", "transactions", "2", "--why", "it never ends")
    assert "is given up; the next run goes on with what is behind it" in done.stderr + done.stdout
    given_up = proxied.file("b.csv")
    assert (given_up["state"], given_up["reason_code"]) == ("quarantined", "given_up")
    assert ": it never ends. `sluice quarantine replay 2 --go` takes it up again" in given_up["reason"]
    moves = [event for event in proxied.ledger.queries.file_story("b.csv")["events"] if event["to_state"] == "quarantined"]
    assert [event["actor"] for event in moves] == [given_up["reason"].split()[3].rstrip(":")]
    assert proxied.once() == ["published", "quarantined", "published"]
    replay(proxied.ports, proxied.spec, proxied.run(), given_up["file_id"], "ann", "mended")
    assert proxied.once() == ["published", "discarded", "published", "published"]


def test_a_file_that_rests_at_the_gate_can_be_given_up_at_once(proxied: Proxied) -> None:
    land(proxied, "a", "b_refused", "c")
    proxied.rules.refused["b_refused"] = DENIED
    proxied.once()
    assert any('`sluice batch give-up transactions 2 --why "..."` gives it up at once' in line for line in proxied.said)
    give_up(proxied.ports, proxied.spec, proxied.run(), 2, "ann", "not ours")
    assert proxied.once() == ["published", "quarantined", "published"]


def test_what_is_published_or_unknown_is_not_given_up(proxied: Proxied) -> None:
    land(proxied, "a")
    proxied.once()
    for seq, said in ((1, "is published: only a file that waits can be given up"), (7, "has no seq 7")):
        with pytest.raises(UsageError, match=said):
            give_up(proxied.ports, proxied.spec, proxied.run(), seq, "ann", "x")
