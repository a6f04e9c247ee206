"""The inventory: what was listed beside what the ledger refers to."""

from __future__ import annotations

import datetime as dt

import pytest

from include.files.file import FileStamp
from include.reconcile.inventory import Expected, Inventory

DAY = dt.date(2026, 11, 1)
NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


def stamp(key: str, etag: str = "e", size: int = 3) -> FileStamp:
    return FileStamp("b", key, etag, size, NOON)


@pytest.mark.parametrize(
    ("listed", "expected", "mismatches"),
    [
        ([stamp("k")], Expected("b", "k", "bronze", 7, 3, "e"), []),
        ([], Expected("b", "k", "bronze", 7, 3, "e"), [7]),
        ([], Expected("b", "k", "bronze", 7, 3, "e", required=False), []),
        ([stamp("k", size=2)], Expected("b", "k", "bronze", 7, 3, "e"), [7]),
        ([stamp("k", etag="f")], Expected("b", "k", "bronze", 7, 3, "e"), [7]),
        ([stamp("k", etag="f", size=2)], Expected("b", "k", "bronze", 7), []),
        ([stamp("k")], Expected("other", "k", "bronze", 7, 3, "e"), [7]),
        ([], Expected("b", "k", "rejects", 7, 3, "e"), []),
    ],
)
def test_an_object_is_amiss_if_it_must_be_there_and_is_not_as_recorded(
    listed: list[FileStamp], expected: Expected, mismatches: list[int]
) -> None:
    with Inventory() as inventory:
        inventory.list(listed)
        inventory.expect([expected])
        assert [*inventory.mismatches("bronze")] == mismatches


def test_an_owner_with_several_lost_objects_is_named_once() -> None:
    with Inventory() as inventory:
        inventory.expect([Expected("b", f"k{n}", "bronze", 7) for n in range(3)] + [Expected("b", "k", "bronze", 5)])
        assert [*inventory.mismatches("bronze")] == [5, 7]


def test_what_nothing_refers_to_leaves_out_what_arrives_and_what_may_be_there() -> None:
    with Inventory() as inventory:
        assert inventory.list([stamp("a"), stamp("b"), stamp("c")]) == 3
        assert inventory.list([stamp("landing/d")], arrivals=True) == 1
        inventory.expect([Expected("b", "a", "bronze", 1), Expected("b", "b", "attempt", 1, required=False)])
        assert [*inventory.unreferred()] == [stamp("c")]
        assert [*inventory.arrivals()] == [stamp("landing/d")]
        assert (inventory.find("b", "c"), inventory.find("b", "x")) == (stamp("c"), None)


def test_more_objects_than_a_page_are_all_kept_and_counted_by_date() -> None:
    with Inventory() as inventory:
        keys = [f"k{n:05d}" for n in range(4500)]
        assert inventory.list(stamp(key) for key in keys[1:]) == 4499
        inventory.expect(Expected("b", key, "original", n, date=DAY) for n, key in enumerate(keys))
        assert inventory.there_by_date("original") == {DAY: 4499}
        assert [*inventory.mismatches("original")] == [0]
        assert [*inventory.unreferred()] == []
