"""Who is to blame where an item is not delivered: the item, the job, or a store that delivers nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import pytest

from include.domains.transactions.feeds import TRANSACTIONS
from include.errors import EnvironmentFailure, LeaseLost
from include.files.failure import Undone
from include.pipeline.delivering import Delivering, PartsFailed, rest, stuck
from include.run import Run

AT = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


@dataclass
class World:
    """A ledger, a store and a job of which any may not answer; `newest` is the token that may write."""

    down: set[str] = field(default_factory=set)
    newest: int = 1
    bucket: str = "b"
    said: list[str] = field(default_factory=list)
    noted: list[Undone] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = self.store = self.outbox = self.admin = self
        self.job: Any = self

    def clock(self) -> dt.datetime:
        return AT

    def log(self, line: str) -> None:
        self.said.append(line)

    def refuse_lost(self, _: object, token: int) -> None:
        if token != self.newest:
            raise LeaseLost("f", token)

    def answers(self) -> None:
        for service in sorted(self.down - {"S3"}):
            raise EnvironmentFailure(service, "no answer")

    def head(self, *_: object) -> None:
        if "S3" in self.down:
            raise EnvironmentFailure("S3", "no answer")

    def failed(self, _: object, __: int, undone: Undone) -> None:
        self.noted.append(undone)


def delivering(world: Any, **undone: Undone) -> Delivering:
    return Delivering(world, TRANSACTIONS, Run("r", AT), 1, dict(undone))


def refuses() -> None:
    raise EnvironmentFailure("S3", "PutObject refused: AccessDenied", "see nothing")


def test_what_fails_while_the_services_answer_is_noted_and_the_next_goes_on() -> None:
    world = World()
    by = delivering(world, a=Undone("a", 2, AT - dt.timedelta(minutes=3), AT, "before"))
    assert [by.item("a", refuses), by.item("b", lambda: None)] == [False, True]
    assert (by.tried, by.done, list(by.undone)) == (2, 1, ["a"])
    assert world.noted == [
        Undone("a", 3, AT - dt.timedelta(minutes=3), AT + dt.timedelta(seconds=20), "S3: PutObject refused: AccessDenied")
    ]
    assert by.item("a", lambda: None)
    assert by.undone == {}


@pytest.mark.parametrize("service", ["S3", "PostgreSQL"])
def test_a_store_or_a_ledger_that_does_not_answer_ends_it_and_is_nobodys_failure(service: str) -> None:
    world = World(down={service})
    with pytest.raises(EnvironmentFailure, match=service):
        delivering(world).item("a", refuses)
    with pytest.raises(EnvironmentFailure, match=service):
        delivering(world).each([refuses, lambda: pytest.fail("nothing else can be done")])
    assert world.noted == []


def test_a_job_that_does_not_answer_ends_only_what_needs_it() -> None:
    world = World()
    world.job = _Down()
    by = delivering(world)
    assert [by.item("batch", refuses, by_job=True), by.item("file", lambda: None)] == [False, True]
    assert (by.down is not None, world.noted) == (True, [])


class _Down:
    def answers(self) -> None:
        raise EnvironmentFailure("Spark", "no answer")


def test_a_lost_lease_ends_it_before_anything_is_begun() -> None:
    with pytest.raises(LeaseLost):
        delivering(World(newest=2)).item("a", lambda: pytest.fail("it is another's by now"))


def test_every_part_is_tried_and_all_that_failed_is_told() -> None:
    done: list[str] = []
    with pytest.raises(PartsFailed, match=r"^S3: PutObject refused: AccessDenied; ValueError at test_delivering.py:\d+$"):
        delivering(World()).each([refuses, lambda: done.append("a"), _value, refuses, lambda: done.append("b")])
    assert done == ["a", "b"]


def _value() -> None:
    raise ValueError("the value of a row")


@pytest.mark.parametrize(
    ("minutes", "tried", "done", "fails"),
    [(0, 1, 0, True), (0, 2, 1, False), (0, 0, 0, False), (59, 2, 1, False), (60, 2, 1, True), (60, 0, 0, True)],
)
def test_a_run_fails_where_nothing_was_delivered_or_something_is_overdue(minutes: int, tried: int, done: int, fails: bool) -> None:
    old, new = (Undone(name, 1, AT - dt.timedelta(minutes=ago), AT, "what") for name, ago in (("old", minutes), ("new", 0)))
    found = stuck([old, new], tried, done, AT)
    assert bool(found) == fails
    assert new not in found or not done


def test_rests_double_up_to_ten_minutes() -> None:
    assert [rest(failures).seconds for failures in range(1, 10)] == [5, 10, 20, 40, 80, 160, 320, 600, 600]
