"""Where two tables differ first, in words that hold no values."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from include.ingestion.past.outcome import Difference


def first_difference(what: str, recorded: pa.Table, now: pa.Table, named_by: Sequence[str]) -> Difference | None:
    """The first row, counted from 1, in which two tables of the same columns differ, or by which one is longer.

    Args:
        named_by: columns whose values name a row and may be said, such as a line number.

    >>> first_difference("row", pa.table({"a": [1, 2]}), pa.table({"a": [1, 3]}), ()).where
    'row 2: column a'
    """
    names = recorded.column_names
    if sorted(names) != sorted(now.column_names):
        return Difference(f"{what}s have the columns {', '.join(names)}, now {', '.join(now.column_names)}")
    rows = min(recorded.num_rows, now.num_rows)
    differing = {name: at for name in names if (at := _first_unequal(recorded[name].slice(0, rows), now[name].slice(0, rows))) is not None}
    if differing:
        at = min(differing.values())
        columns = [name for name in names if differing.get(name) == at]
        values = {f"{name} {when}": table[name][at].as_py() for name in columns for when, table in (("recorded", recorded), ("now", now))}
        return Difference(f"{what} {at + 1}{_named(recorded, at, named_by)}: column {', '.join(columns)}", values)
    if recorded.num_rows != now.num_rows:
        longer, there = (recorded, "recorded") if recorded.num_rows > rows else (now, "now")
        counted = f"{recorded.num_rows} rows recorded, {now.num_rows} now"
        return Difference(f"{what} {rows + 1}{_named(longer, rows, named_by)} is there {there} only ({counted})")
    return None


def _named(table: pa.Table, at: int, named_by: Sequence[str]) -> str:
    said = ", ".join(f"{name.lstrip('_')} {table[name][at].as_py()}" for name in named_by if name in table.column_names)
    return f" ({said})" if said else ""


def _first_unequal(some: pa.ChunkedArray, other: pa.ChunkedArray) -> int | None:
    some, other = (pc.cast(array, pa.string()) if pa.types.is_dictionary(array.type) else array for array in (some, other))
    if some.equals(other):
        return None
    if some.type != other.type:
        return 0
    same = pc.fill_null(pc.equal(some, other), False)
    both_null = pc.and_(pc.is_null(some), pc.is_null(other))
    at: int = pc.index(pc.or_(same, both_null), False).as_py()
    return None if at < 0 else at
