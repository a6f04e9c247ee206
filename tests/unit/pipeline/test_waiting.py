"""Waiting for another run of the feed or of its group."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from include.errors import FeedBusy
from include.pipeline.run import waiting_for_others


class Busy:
    """Work that finds others at it, one holder after another, before it can be done."""

    def __init__(self, *holders: str) -> None:
        self.holders = list(holders)
        self.said: list[str] = []
        self.ports: Any = SimpleNamespace(log=self.said.append)

    def work(self) -> str:
        if self.holders:
            raise FeedBusy("sales", self.holders.pop(0), 42, "sales")
        return "done"


def test_who_waits_says_once_for_whom_and_then_does_the_work() -> None:
    busy = Busy("one", "one", "another")
    assert waiting_for_others(busy.ports, busy.work) == "done"
    assert [line.split(" works ")[0] for line in busy.said] == [
        "waiting: sales waits for its turn: one",
        "waiting: sales waits for its turn: another",
    ]


def test_a_moments_wait_is_enough_where_the_other_one_only_looked_and_ends_where_it_works() -> None:
    looked = Busy("one")
    assert waiting_for_others(looked.ports, looked.work, seconds=30) == "done"
    works = Busy(*["one"] * 100)
    with pytest.raises(FeedBusy, match="one works on the group sales"):
        waiting_for_others(works.ports, works.work, seconds=0.3)
    assert 1 <= 100 - len(works.holders) < 100


def test_without_patience_there_is_one_try() -> None:
    busy = Busy("one", "one")
    with pytest.raises(FeedBusy):
        waiting_for_others(busy.ports, busy.work, seconds=0)
    assert (busy.holders, busy.said) == (["one"], [])
