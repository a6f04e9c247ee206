"""The landing trigger on a store whose listings a test writes down."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from include.errors import EnvironmentFailure
from include.files.file import FileStamp
from plugins.landing import sluice_landing_trigger
from plugins.landing.sluice_landing_trigger import LandingTrigger, marks, recent_objects

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

PREFIX = "landing/transactions/"
FIXES = "fixes/transactions/"
TODAY = dt.date(2026, 11, 21)
DOWN = EnvironmentFailure("S3", "no answer")


def stamp(name: str, etag: str = "e1") -> FileStamp:
    return FileStamp("lake", PREFIX + name, etag, 1, dt.datetime(2026, 11, 21, tzinfo=dt.UTC))


class Enough(BaseException):
    """The test has seen enough; no `except Exception` holds it up."""


class Listings:
    """A store that shows one listing after another, all undated, and then the last one twice more; beside them what was corrected."""

    def __init__(self, *listings: Sequence[FileStamp] | EnvironmentFailure) -> None:
        self._listings = iter([*listings, listings[-1], listings[-1]])
        self.corrected: list[FileStamp] = []

    def folders(self, _bucket: str, prefix: str) -> tuple[list[str], list[FileStamp]]:
        if prefix == FIXES:
            return [], self.corrected
        listing = next(self._listings, None)
        if listing is None:
            raise Enough
        if isinstance(listing, EnvironmentFailure):
            raise listing
        return [], list(listing)


def events(store: Listings, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many new files each event tells of."""
    trigger = LandingTrigger("transactions", seconds=0.0)
    monkeypatch.setattr(trigger, "_open", lambda: (store, "lake"))
    monkeypatch.setattr(sluice_landing_trigger, "LISTING_SHARE", 1e9)
    told: list[int] = []

    async def watch() -> None:
        async for event in trigger.run():
            told.append(new_in(event))  # noqa: PERF401 (what was told counts, although it ends with an error)

    with pytest.raises(Enough):
        asyncio.run(watch())
    return told


def new_in(event: TriggerEvent) -> int:
    assert event.payload["feed"] == "transactions"
    new: int = event.payload["new"]
    return new


@pytest.mark.parametrize(
    ("what", "listings", "expected"),
    [
        ("nothing there", [[], []], []),
        ("one lies there at the start", [[stamp("a.csv")]], [1]),
        ("nothing changes", [[stamp("a.csv")], [stamp("a.csv")]], [1]),
        ("two arrive together", [[stamp("a.csv")], [stamp("a.csv"), stamp("b.csv"), stamp("c.csv.gz")]], [1, 2]),
        ("one gets another content", [[stamp("a.csv")], [stamp("a.csv", "e2")]], [1, 1]),
        ("one is moved away", [[stamp("a.csv"), stamp("b.csv")], [stamp("b.csv")]], [2]),
        ("one comes back", [[stamp("a.csv")], [], [stamp("a.csv")]], [1, 1]),
        ("no file of the feed", [[stamp("a.csv-0b9f"), stamp("b.txt"), stamp("c/")]], []),
        ("the store is down for a while", [[stamp("a.csv")], DOWN, DOWN, [stamp("a.csv"), stamp("b.csv")]], [1, 1]),
        ("the store is down at the start", [DOWN, [stamp("a.csv")]], [1]),
    ],
)
def test_it_tells_of_what_it_has_not_seen_and_of_nothing_else(
    what: str, listings: list[Sequence[FileStamp] | EnvironmentFailure], expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert events(Listings(*listings), monkeypatch) == expected, what


def test_it_tells_of_corrected_rows_and_not_of_replacements(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Listings([stamp("a.csv")])
    names = ("rejects.csv", "notes.txt", "dt=2026-11-21/replacement=7.ab/a.csv")
    store.corrected = [FileStamp("lake", FIXES + name, "e1", 1, stamp("").last_modified) for name in names]
    assert events(store, monkeypatch) == [2]


def test_a_store_that_stays_down_is_told_of_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert events(Listings(DOWN, DOWN, DOWN), monkeypatch) == []
    assert capsys.readouterr().out.count(f"transactions: nobody watches the landing prefix: {DOWN}") == 1


def test_it_carries_no_secret_and_is_made_again_from_what_it_carries() -> None:
    path, kwargs = LandingTrigger("transactions", seconds=2.0).serialize()
    assert path == "plugins.landing.sluice_landing_trigger.LandingTrigger"
    assert kwargs == {"feed": "transactions", "connection": "sluice_s3", "seconds": 2.0}
    assert LandingTrigger(**kwargs).serialize() == (path, kwargs)


def test_it_looks_where_a_scheduled_poll_looks() -> None:
    class Tree(Listings):
        def folders(self, _bucket: str, _prefix: str) -> tuple[list[str], list[FileStamp]]:
            return [f"{PREFIX}dt=2026-11-{day:02}/" for day in (1, 18, 19, 21)] + [f"{PREFIX}west/"], [stamp("beside.csv")]

        def objects(self, _bucket: str, folder: str) -> Iterator[FileStamp]:
            yield stamp(folder.removeprefix(PREFIX) + "x.csv")

    found = [one.key.removeprefix(PREFIX) for one in recent_objects(Tree([]), "lake", PREFIX, TODAY)]  # type: ignore[arg-type]
    assert found == ["beside.csv", "dt=2026-11-19/x.csv", "dt=2026-11-21/x.csv", "west/x.csv"]


def test_the_same_name_with_other_bytes_is_another_mark() -> None:
    assert len(marks([stamp("a.csv", "e1"), stamp("a.csv", "e2"), stamp("a.csv", "e1")], PREFIX, (".csv",))) == 2
