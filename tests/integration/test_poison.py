"""A file that cannot be worked on is put aside after it failed alone; an outage condemns nothing, however long it lasts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from include.domains import auditor_of
from include.domains.transactions.request import DetectRequest
from include.errors import DeploymentFault, EnvironmentFailure
from include.feed import FeedSpec
from include.files.batch import Batch
from include.files.file import LedgerFile
from include.files.verdict import Verdict
from include.ledger.batches import Publish
from include.logs import Log
from include.pipeline.message import JobFile, JobRequest
from include.pipeline.outage import WorkFailed
from include.pipeline.ports import Gate, Ports, Publisher
from include.pipeline.run import Progress, ingest_once, until_empty
from include.pipeline.services import Job
from include.reconcile.context import Scope
from include.reconcile.reconcile import reconcile
from include.replay.replay import replay
from tests.integration.world import HEADER, World, row


def files_of(request: JobRequest) -> tuple[JobFile, ...]:
    assert isinstance(request, DetectRequest)
    return request.files


class PoisonedJob:
    """The real job, which fails on batches with the file that a test names."""

    def __init__(self, job: Job, seq: int) -> None:
        self._job = job
        self.fails_on = {seq}
        self.batches: list[tuple[int, ...]] = []

    def answers(self) -> None:
        self._job.answers()

    def run(self, request: JobRequest) -> Mapping[str, Any]:
        seqs = tuple(file.seq for file in files_of(request))
        self.batches.append(seqs)
        if self.fails_on & set(seqs):
            raise ValueError(f"no way to work on {'C1093826151'}")
        return self._job.run(request)


class HarmedJob:
    """The real job; as it begins, the first object of bronze that it reads is harmed, which nobody but the store could do."""

    def __init__(self, job: Job, harm: Callable[[str], object]) -> None:
        self._job = job
        self._harm = harm
        self.harmed: list[str] = []

    def answers(self) -> None:
        self._job.answers()

    def run(self, request: JobRequest) -> Mapping[str, Any]:
        if not self.harmed:
            self.harmed.append(files_of(request)[0].objects[0])
            self._harm(self.harmed[0])
        return self._job.run(request)


class PoisonedGate:
    """The real gate, which fails wherever the key that a test names is judged."""

    def __init__(self, gate: Gate, ending: str) -> None:
        self._gate = gate
        self._ending = ending

    def suite_digest(self, spec: FeedSpec) -> str:
        return self._gate.suite_digest(spec)

    def validate(self, spec: FeedSpec, files: Sequence[LedgerFile], attempt: str, log: Log) -> list[Verdict]:
        if any(file.key.endswith(self._ending) for file in files):
            raise RuntimeError("this file is too much")
        return self._gate.validate(spec, files, attempt, log)


class DyingJob:
    """The real job on a Spark that goes down under a batch with the file that a test names, and is up again for the next run."""

    def __init__(self, job: Job, seq: int) -> None:
        self._job = job
        self._seq = seq
        self.down = False
        self.batches: list[tuple[int, ...]] = []

    def answers(self) -> None:
        if self.down:
            raise EnvironmentFailure("Spark", "no answer")

    def run(self, request: JobRequest) -> Mapping[str, Any]:
        seqs = tuple(file.seq for file in files_of(request))
        self.batches.append(seqs)
        if self._seq in seqs:
            self.down = True
            raise EnvironmentFailure("Spark", "the connection was lost")
        return self._job.run(request)


class DownJob:
    """A job that fails in a way of its own while Spark does not answer."""

    def answers(self) -> None:
        raise EnvironmentFailure("Spark", "no answer")

    def run(self, request: JobRequest) -> Mapping[str, Any]:
        raise ValueError(f"half an answer to {request.job}")


def impatient(world: World) -> FeedSpec:
    return dataclasses.replace(world.spec, retry_seconds=0.2)


def land(world: World, files: int) -> None:
    for number in range(1, files + 1):
        world.land(f"f_{number}.csv", HEADER + row(f"C{number}") * 3)


def drain(world: World, ports: Ports, **changes: Any) -> None:
    until_empty(ports, impatient(world), world.run(**changes), Progress())


@pytest.mark.parametrize("harm", ["is gone", "holds other bytes than its gate wrote"])
def test_bronze_that_the_store_lost_or_damaged_is_named_and_condemns_no_file(world: World, harm: str) -> None:
    def lose_or_damage(key: str) -> None:
        if harm == "is gone":
            world.store.delete(world.bucket, key)
        else:
            world.store.put(world.bucket, key, world.store.read_bytes(world.bucket, key)[:-200])

    land(world, 2)
    job = HarmedJob(world.on_spark.job, lose_or_damage)
    ports = dataclasses.replace(world.on_spark, job=job)
    for _ in range(world.spec.max_failures + 1):
        with pytest.raises(EnvironmentFailure) as failed:
            drain(world, ports)
        assert f"s3://{world.bucket}/{job.harmed[0]}, which batch 1 reads, {harm}" in str(failed.value)
        assert "`sluice reconcile transactions --all` makes it again" in str(failed.value)
    assert world.states() == {"f_1.csv": "accepted", "f_2.csv": "accepted"}
    found = reconcile(ports, auditor_of(world.spec, ports), world.spec, world.run(), Scope())
    assert [one.repaired for one in found.findings if one.severity == "difference"] == [True]
    drain(world, ports)
    assert world.states() == {"f_1.csv": "published", "f_2.csv": "published"}


def test_a_file_that_fails_alone_three_times_is_put_aside_and_all_others_go_on_in_order(world: World) -> None:
    land(world, 8)
    job = PoisonedJob(world.ports.job, 3)
    drain(world, dataclasses.replace(world.ports, job=job))
    asked = (1, 2)  # a batch that was published before, once more, before anything is condemned
    assert job.batches == [(1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4), (1, 2), (3, 4), (3,), (3,), (3,), asked, (4,), (5, 6, 7, 8)]
    assert [file["state"] for file in world.files()] == ["published"] * 2 + ["quarantined"] + ["published"] * 5
    assert [one[0] for one in world.detected()] == [1, 2, 4, 5, 6, 7, 8]
    poison = world.file("f_3.csv")
    assert (poison["reason_code"], poison["failures"], poison["location"]) == ("poison", 3, "error")
    assert poison["reason"].startswith(
        "it failed alone 3 times while every service answered, the last time with: ValueError at test_poison.py:"
    )
    told = world.ledger.rows("select reason from file_event union all select error from batch_attempt union all select reason from batch")
    assert not any("C1093826151" in (one["reason"] or "") for one in told)
    assert [event["kind"] for event in world.ledger.queries.file_story("f_3.csv")["events"]] == [
        *("move", "move", "failure", "failure", "failure", "move", "relocated")
    ]
    assert [event["to_state"] for event in world.ledger.queries.file_story("f_3.csv")["events"] if event["kind"] == "move"] == [
        *("registered", "accepted", "quarantined")
    ]


def test_where_what_was_good_before_fails_in_the_same_way_nothing_is_condemned(world: World) -> None:
    land(world, 1)
    world.drain()
    world.land("f_2.csv", HEADER + row("C2") * 3)
    job = PoisonedJob(world.ports.job, 0)
    ports = dataclasses.replace(world.ports, job=job)
    job.fails_on = {1, 2}
    for _ in range(2):
        with pytest.raises(DeploymentFault, match=r"it is not the files: batch 1, which was published before, fails in the same"):
            drain(world, ports)
    assert (world.file("f_2.csv")["state"], world.file("f_2.csv")["failures"]) == ("accepted", 2)
    world.drain()
    assert world.states() == {"f_1.csv": "published", "f_2.csv": "published"}


def test_once_the_job_is_mended_the_file_is_replayed(world: World) -> None:
    land(world, 2)
    drain(world, dataclasses.replace(world.ports, job=PoisonedJob(world.ports.job, 1)))
    poison = world.file("f_1.csv")
    made = replay(world.ports, world.spec, world.run(), poison["file_id"], "ann", "the job is mended")
    world.drain()
    assert [(file["seq"], file["state"]) for file in world.files()] == [(1, "discarded"), (2, "published"), (3, "published")]
    assert made.seq == 3
    assert world.detected() == [(2, "PatId2", "C2", "M1"), (3, "PatId2", "C1", "M1")]


def test_a_scheduled_run_leaves_a_file_that_rests_and_all_behind_it_alone(world: World) -> None:
    land(world, 1)
    job = PoisonedJob(world.ports.job, 1)
    ports = dataclasses.replace(world.ports, job=job)
    with pytest.raises(
        WorkFailed, match=r"batch 1 failed: ValueError at test_poison.py:\d+. Every service answers. seq 1 failed alone, 1 of 3"
    ):
        ingest_once(ports, world.spec, world.run(), Progress())
    land(world, 2)
    for _ in range(3):
        ingest_once(ports, world.spec, world.run(), Progress())
    assert job.batches == [(1,)]
    assert [file["state"] for file in world.files()] == ["accepted", "registered"]
    waiting = world.ledger.files.waiting(world.spec)
    assert (waiting.files, waiting.nothing) == (2, False)
    assert waiting.rest_seconds is not None
    assert 10 < waiting.rest_seconds <= 20
    world.ledger.rows("update work set retry_at = clock_timestamp() where retry_at is not null returning 1")
    world.drain()
    assert [file["state"] for file in world.files()] == ["published", "published"]


def test_an_outage_condemns_nothing_however_often_it_is_met(world: World) -> None:
    land(world, 1)
    ports = dataclasses.replace(world.ports, job=DownJob())
    for _ in range(5):
        with pytest.raises(EnvironmentFailure, match="Spark: no answer"):
            ingest_once(ports, impatient(world), world.run(), Progress())
    file = world.file("f_1.csv")
    assert (file["state"], file["failures"], file["batch_limit"]) == ("accepted", 0, None)
    assert world.ledger.files.waiting(world.spec).rest_seconds is None
    assert [(batch["state"], batch["attempt"]) for batch in world.ledger.queries.list_batches("transactions")] == [("open", 5)]
    world.drain()
    assert world.states() == {"f_1.csv": "published"}


def test_a_batch_under_which_spark_dies_again_and_again_is_narrowed_and_the_others_go_on(world: World) -> None:
    land(world, 3)
    job = DyingJob(world.ports.job, 2)
    ports = dataclasses.replace(world.ports, job=job)
    deaths = 0
    while "accepted" in world.states().values() or not world.files():
        job.down = False
        try:
            drain(world, ports)
        except EnvironmentFailure:
            deaths += 1
        assert deaths < 9, "it holds the others for ever"
    assert [file["state"] for file in world.files()] == ["published", "quarantined", "published"]
    assert "Spark answered before the try and was gone after it" in world.file("f_2.csv")["reason"]
    assert job.batches == [(1, 2, 3), (1, 2, 3), (1,), (2,), (2,), (2,), (1,), (3,)]  # (1,) once more: what is known to be good


@pytest.mark.parametrize("variable", ["SPARK_REMOTE", "AWS_ENDPOINT_URL_S3"])
def test_a_real_service_that_does_not_answer_condemns_nothing(world: World, variable: str) -> None:
    land(world, 1)
    nobody = {"SPARK_REMOTE": "sc://localhost:9/;token=x", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}[variable]
    for _ in range(4):
        world.sluice("ingest", "transactions", check=3, **{variable: nobody})
    assert world.ledger.rows("select coalesce(sum(failures), 0)::int as n from file") == [{"n": 0}]
    assert "quarantined" not in world.states().values()
    world.drain()
    assert world.states() == {"f_1.csv": "published"}


def test_a_file_that_the_gate_fails_on_is_put_aside_in_its_turn_and_the_others_keep_their_verdicts(world: World) -> None:
    land(world, 4)
    drain(world, dataclasses.replace(world.ports, gate=PoisonedGate(world.ports.gate, "f_2.csv")))
    assert [file["state"] for file in world.files()] == ["published", "quarantined", "published", "published"]
    poison = world.file("f_2.csv")
    assert (poison["reason_code"], poison["failures"], poison["lines"], poison["sha256"], poison["location"]) == (
        "poison",
        3,
        None,
        None,
        "error",
    )
    assert "RuntimeError at test_poison.py" in poison["reason"]
    assert [one[0] for one in world.detected()] == [1, 3, 4]


def test_a_result_that_cannot_be_published_narrows_the_batch_too(world: World) -> None:
    land(world, 2)

    class Broken:
        """The real publisher, to which the results of one file cannot be read."""

        def request(self, batch: Batch, attempt: int, output: str) -> JobRequest:
            return real().request(batch, attempt, output)

        def prepare(self, manifest: Mapping[str, Any]) -> Publish:
            if any(file["seq"] == 2 for file in manifest["files"]):
                raise KeyError("detections")
            return real().prepare(manifest)

    real: Callable[[], Publisher] = world.ports.parts.publisher
    drain(world, dataclasses.replace(world.ports, parts=dataclasses.replace(world.ports.parts, publisher=Broken)))
    assert [file["state"] for file in world.files()] == ["published", "quarantined"]
