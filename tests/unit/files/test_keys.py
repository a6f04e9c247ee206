"""Keys: the order of files, their dates, and which are no files of a feed."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.files import keys

PREFIX = "landing/transactions/"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("chunk_9.csv", "chunk_10.csv"),
        ("chunk_09.csv", "chunk_9.csv"),
        ("a1.csv", "a1b.csv"),
        ("A.csv", "a.csv"),
        ("chunk_2/9.csv", "chunk_2/10.csv"),
        ("chunk_99999999999999999999.csv", "chunk_100000000000000000000.csv"),
        ("chunk_٢.csv", "chunk_٣.csv"),
    ],
)
def test_keys_are_ordered_as_a_person_counts(first: str, second: str) -> None:
    assert sorted([second, first], key=keys.natural_order) == [first, second]


@given(st.lists(st.text(alphabet="a1029_.é", max_size=8), unique=True, max_size=8))
def test_the_order_of_keys_does_not_depend_on_how_they_come(names: list[str]) -> None:
    once = sorted(names, key=keys.natural_order)
    assert sorted(names[1:] + names[:1], key=keys.natural_order) == once
    assert len({keys.natural_order(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("key", "date"),
    [
        ("landing/transactions/dt=2026-03-01/a.csv", dt.date(2026, 3, 1)),
        ("landing/transactions/dt=2026-02-30/a.csv", None),
        ("landing/transactions/dt=2026-02-30/dt=2026-03-01/a.csv", dt.date(2026, 3, 1)),
        ("landing/transactions/dt=2026-03-01/dt=2026-03-02/a.csv", dt.date(2026, 3, 1)),
        ("landing/transactions/xdt=2026-03-01/a.csv", None),
        ("landing/transactions/dt=2026-03-01x/a.csv", None),
        ("landing/transactions/dt=2026-3-1/a.csv", None),
        ("landing/transactions/dt=2026-03-01", None),
        ("landing/transactions/a.csv", None),
    ],
)
def test_a_date_counts_only_as_a_whole_segment_of_the_calendar(key: str, date: dt.date | None) -> None:
    assert keys.date_in(key) == date


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("a.csv", None),
        ("dt=2026-03-01/chunk 1+2%20é.csv", None),
        (".csv", None),
        ("_a.csv.gz", None),
        ("a.CSV", "ends with none of .csv, .csv.gz"),
        ("a.csv-0b0a4a3e-6d3c-4b1f-9a55-0d7f1a2b3c4d", "ends with none of .csv, .csv.gz"),
        ("a.json", "ends with none of .csv, .csv.gz"),
        ("sub/", "is a directory marker"),
        ("/a.csv", "has an empty segment, which the store cannot hold faithfully"),
        ("x/../a.csv", "has a segment . or .., which the store cannot hold faithfully"),
        ("/".join(["d" * 198] * 5) + "/aaaa.csv", None),
        ("/".join(["d" * 198] * 5) + "/aaaaa.csv", "has more than 1,024 bytes, which S3 does not hold"),
        ("é" * 128 + ".csv", "has a segment of more than 255 bytes, which the store cannot hold faithfully"),
    ],
)
def test_what_is_no_file_of_the_feed_is_said_in_words(name: str, because: str | None) -> None:
    assert keys.refused(PREFIX + name, PREFIX, (".csv", ".csv.gz")) == because


def test_a_key_beside_the_prefix_is_no_file_of_the_feed() -> None:
    assert keys.refused("landing/transactions2/a.csv", PREFIX, (".csv",)) == "lies outside the feed's prefix"
