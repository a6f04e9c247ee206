"""Who manages whom: whole lines, as of the end of each version, circles and unknown managers included."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from include.domains.sales.hierarchy import flattened
from include.domains.sales.schema import BEGINNING

MARCH, APRIL = dt.date(2026, 3, 1), dt.date(2026, 4, 1)
SCHEMA = pa.schema([("key", pa.int64()), ("manager_id", pa.int64()), ("valid_from", pa.date32()), ("valid_to", pa.date32())])
Version = tuple[int, int | None, dt.date, dt.date | None]


def lines(*versions: Version) -> list[tuple[list[int], int | None, int, bool]]:
    table = flattened(pa.Table.from_pylist([dict(zip(SCHEMA.names, version, strict=True)) for version in versions], SCHEMA))
    rows = table.to_pylist()
    return [(row["manager_path"], row["top_manager_id"], row["manager_levels"], row["manager_circular"]) for row in rows]


def now(key: int, manager: int | None) -> Version:
    return key, manager, BEGINNING, None


@pytest.mark.parametrize(
    ("team", "expected"),
    [
        ([now(1, None)], ([1], 1, 0, False)),
        ([now(1, 1)], ([1], 1, 0, False)),
        ([now(1, 2), now(2, 3), now(3, 3)], ([1, 2, 3], 3, 2, False)),
        ([now(1, 2), now(2, 3), now(3, None)], ([1, 2, 3], 3, 2, False)),
        ([now(1, 9)], ([1, 9], 9, 1, False)),
        ([now(1, 2), now(2, 1)], ([1, 2, 1], None, 2, True)),
        ([now(1, 2), now(2, 3), now(3, 2)], ([1, 2, 3, 2], None, 3, True)),
    ],
)
def test_a_line_goes_up_to_whoever_nobody_manages(team: list[Version], expected: object) -> None:
    assert lines(*team)[0] == expected


def test_a_version_that_ended_has_the_line_of_its_last_day() -> None:
    assert lines(
        (1, 2, BEGINNING, MARCH),
        (1, 3, MARCH, None),
        (2, 4, BEGINNING, APRIL),
        (2, 5, APRIL, None),
        (3, 2, BEGINNING, None),
    ) == [
        ([1, 2, 4], 4, 2, False),
        ([1, 3, 2, 5], 5, 3, False),
        ([2, 4], 4, 1, False),
        ([2, 5], 5, 1, False),
        ([3, 2, 5], 5, 2, False),
    ]
