"""Any order of arrival, any split into runs, a listing cut into pages at any place: every file is found once, at a place it keeps.

Real S3 and PostgreSQL, the real gate; the detection job is the real one too, but evaluates in this process what Spark would spread.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from include.clients import s3_client
from include.domains import ports_of
from include.files import keys
from include.ledger import Ledger
from include.pipeline.ports import Ports
from include.pipeline.run import Progress, ingest_once, until_empty
from include.pipeline.services import Services
from include.quality.gate import GreatExpectationsGate
from include.run import Run
from include.storage.s3 import S3Store
from sluice.runtime import new_id, now, open_ports
from tests import naive
from tests.integration.in_process import InThisProcess
from tests.integration.world import DAY, HEADER, World, row
from tools.certificate.domains.transactions.domain import TRANSACTIONS
from tools.certificate.history import History
from tools.certificate.stream import Stream

PARAMETERS = {"min_total": 12, "min_count": 3, "max_avg_cents": 2300, "min_female": 1, "top": 34, "bottom": 34}
WEIGHTS = {"C0": "0.1", "C1": "0.2", "C2": "0.3", "C3": "2"}
IMPORTANCE = "Source,Target,Weight,typeTrans,fraud\n" + "".join(f"'{c}','M1',{w},'x',0\n" for c, w in WEIGHTS.items())
FIRST_DAY = dt.date(2026, 11, 1)
lines = st.lists(
    st.tuples(st.sampled_from("01234"), st.sampled_from("12"), st.sampled_from([100, 2299, 2301]), st.sampled_from("FM")),
    min_size=1,
    max_size=6,
)


class Arrivals(RuleBasedStateMachine):
    """Files arrive, runs take them; at the end every file was found once and the detections are those of the recorded order."""

    services: Mapping[str, str]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.files: dict[str, str] = {}
        self.chunk = 0
        self.day = FIRST_DAY
        self.late: list[str] = []
        self.only_in_order = True

    @initialize(page=st.sampled_from([1, 2, 3, 1000]))
    def begin(self, page: int) -> None:
        self.history = self._stack.enter_context(history(self.services))
        self.ports = self._stack.enter_context(ports(self.history, page))

    @rule(many=st.lists(lines, min_size=1, max_size=4), day_later=st.booleans())
    def arrive_in_order(self, many: list[Any], day_later: bool) -> None:
        """The next chunks of a producer, at once; within one second, and past the place where text order parts from natural order."""
        if day_later:
            self.day += dt.timedelta(days=1)
        for content in many:
            self.chunk += 1
            self.land(f"{folder(self.day)}chunk_{self.chunk + 7}.csv", content)

    @rule(content=lines, days=st.integers(1, 400))
    def arrive_with_an_older_date(self, content: Any, days: int) -> None:
        self.only_in_order = False
        self.land(f"{folder(FIRST_DAY - dt.timedelta(days=days))}late_{len(self.files)}.csv", content)

    @rule(content=lines)
    def arrive_under_a_key_that_sorts_first(self, content: Any) -> None:
        self.only_in_order = False
        self.land(f"{folder(FIRST_DAY)}a/{len(self.files)}.csv", content)

    @rule(content=lines)
    def begin_an_upload_that_finishes_after_later_ones(self, content: Any) -> None:
        self.chunk += 1
        self.late.append(f"{folder(self.day)}chunk_{self.chunk + 7}.csv")
        self.files[self.late[-1]] = text_of(content, len(self.files))

    @precondition(lambda self: self.late)
    @rule()
    def finish_an_upload(self) -> None:
        self.only_in_order = False
        self._put(self.late.pop(0))

    @rule(max_files=st.sampled_from([1, 2, 5, 100]))
    def ingest(self, max_files: int) -> None:
        run = Run(f"order-{new_id()}", now(), PARAMETERS, max_files)
        ingest_once(self.ports, self.history.specs[0], run, Progress())

    def land(self, key: str, content: Any) -> None:
        self.files[key] = text_of(content, len(self.files))
        self._put(key)

    def _put(self, key: str) -> None:
        self.history.store.put(self.history.bucket, key, self.files[key].encode())

    def teardown(self) -> None:
        try:
            if hasattr(self, "ports"):
                while self.late:
                    self.finish_an_upload()
                until_empty(self.ports, self.history.specs[0], Run(f"order-{new_id()}", now(), PARAMETERS), Progress())
                self.check()
        finally:
            self._stack.close()

    def check(self) -> None:
        found = self.history.rows("select seq, key, state::text as state from file order by seq")
        assert [one["seq"] for one in found] == list(range(1, len(self.files) + 1))
        assert sorted(one["key"] for one in found) == sorted(self.files)
        assert {one["state"] for one in found} <= {"published"}
        if self.only_in_order:
            assert [one["key"] for one in found] == sorted(self.files, key=lambda key: (keys.date_in(key), keys.natural_order(key)))
        history_of_rows = [(one["seq"], naively(self.files[one["key"]])) for one in found]
        importance = [naive.ImportanceRow(c, "M1", Decimal(w), "x") for c, w in WEIGHTS.items()]
        expected = naive.detections(history_of_rows, importance, naive.Parameters(**PARAMETERS))
        made = self.history.rows("select seq, pattern_id, merchant_id, customer_name from detection order by number")
        assert [tuple(one.values()) for one in made] == [tuple(one) for one in expected]


def folder(day: dt.date) -> str:
    return keys.landing_date(keys.landing("transactions"), day)


def text_of(content: Any, number: int) -> str:
    """A file; its step makes its bytes its own, since the same bytes again would be a duplicate."""
    return HEADER + "".join(row(f"C{c}", f"M{m}", f"{cents / 100:.2f}", gender, str(number)) for c, m, cents, gender in content)


def naively(text: str) -> list[naive.Row]:
    fields = [line.replace("'", "").split(",") for line in text.splitlines()[1:]]
    return [naive.Row(one[1], one[3], one[5], Decimal(one[8])) for one in fields]


@contextmanager
def history(services: Mapping[str, str]) -> Iterator[History]:
    with TemporaryDirectory() as kept:
        made = History(services, TRANSACTIONS, Path(kept))
        made.make(Stream((), "transactions", 0, references={("transactions", "importance"): IMPORTANCE.encode()}))
        try:
            yield made
        finally:
            made.remove()


@contextmanager
def ports(of: History, page: int) -> Iterator[Ports]:
    """Real ports; a listing comes in pages of `page` keys."""
    client = s3_client(of.where.s3)
    client.meta.events.register("before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=page))
    store = S3Store(client)
    ledger = Ledger(of.connect)
    with open_ports(of.where, of.specs[0], lambda _: None) as real:
        services = Services(store, ledger, InThisProcess(store, of.bucket), real.clock, new_id, real.log, of.bucket)
        yield ports_of(of.specs[0], services, GreatExpectationsGate(store, of.bucket))
    ledger.close()


def test_every_file_is_found_once_and_the_detections_are_those_of_the_recorded_order(apart: dict[str, str]) -> None:
    machine = type("ArrivalsHere", (Arrivals,), {"services": apart})
    few = settings(max_examples=12, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=few)


def test_an_upload_begun_first_and_finished_last_is_found_when_it_is_finished(world: World) -> None:
    client = s3_client(world.where.s3)
    slow = {"Bucket": world.bucket, "Key": f"{DAY}chunk_2.csv"}
    upload = client.create_multipart_upload(**slow)["UploadId"]
    part = client.upload_part(**slow, UploadId=upload, PartNumber=1, Body=(HEADER + row("C2") * 3).encode())
    for number in (1, 3):
        world.land(f"chunk_{number}.csv", HEADER + row(f"C{number}") * 3)
    world.drain()
    assert world.states() == {"chunk_1.csv": "published", "chunk_3.csv": "published"}
    client.complete_multipart_upload(**slow, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    for number in (10, 9):
        world.land(f"chunk_{number}.csv", HEADER + row(f"C{number}") * 3)
    world.drain()
    assert [file["key"].rsplit("/", 1)[-1] for file in world.files()] == [f"chunk_{number}.csv" for number in (1, 3, 2, 9, 10)]
    assert [(seq, customer) for seq, _, customer, _ in world.detected()] == [(1, "C1"), (2, "C3"), (3, "C2"), (4, "C9"), (5, "C10")]


def test_nothing_depends_on_when_an_object_was_written(world: World) -> None:
    """All within a moment, in another order than their names; the late ones sort before everything that is published."""
    for name in ("chunk_2.csv", "chunk_1.csv", "landing/transactions/dt=2026-10-31/chunk_7.csv"):
        world.land(name, HEADER + row(name) * 3)
    world.drain()
    for name in ("chunk_0.csv", "landing/transactions/dt=2020-02-29/a.csv"):
        world.land(name, HEADER + row(name) * 3)
    world.drain()
    assert [file["key"].removeprefix("landing/transactions/dt=") for file in world.files()] == [
        *("2026-10-31/chunk_7.csv", "2026-11-01/chunk_1.csv", "2026-11-01/chunk_2.csv"),
        *("2020-02-29/a.csv", "2026-11-01/chunk_0.csv"),
    ]
    assert {file["state"] for file in world.files()} == {"published"}
