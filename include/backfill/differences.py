"""Where two tables differ first, in words that hold no values."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import ObjectGone
from include.files.file import ObjectRef
from include.files.outcome import Difference
from include.ledger.tables import table_as_it_lies
from include.storage.object_store import ObjectStore


def bronze_difference(store: ObjectStore, bucket: str, recorded: Sequence[ObjectRef], now: Sequence[ObjectRef]) -> Difference | None:
    """The first accepted row in which what bronze holds differs from other bronze of the same file."""
    cut_alike = len(recorded) == len(now)
    pairs = [((then,), (made,)) for then, made in zip(recorded, now, strict=True)] if cut_alike else [(tuple(recorded), tuple(now))]
    before = 0
    for then, made in pairs:
        try:
            tables = [table_as_it_lies(store, bucket, ref.key) for ref in then]
        except ObjectGone as gone:
            return Difference(f"bronze: {gone}")
        others = [table_as_it_lies(store, bucket, ref.key) for ref in made]
        if tables or others:
            nothing = (tables or others)[0].schema.empty_table()
            whole, other = pa.concat_tables([nothing, *tables]), pa.concat_tables([nothing, *others])
            if found := first_difference("bronze row", whole, other, named_by=("_line",), before=before):
                return found
            before += whole.num_rows
    return None


def first_difference(what: str, recorded: pa.Table, now: pa.Table, named_by: Sequence[str], before: int = 0) -> Difference | None:
    """The first row, counted from 1, in which two tables of the same columns differ, or by which one is longer.

    Args:
        named_by: columns whose values name a row and may be said, such as a line number.
        before: how many rows came before these.

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
        return Difference(f"{what} {before + at + 1}{_named(recorded, at, named_by)}: column {', '.join(columns)}", values)
    if recorded.num_rows != now.num_rows:
        longer, there = (recorded, "recorded") if recorded.num_rows > rows else (now, "now")
        counted = f"{recorded.num_rows} rows recorded, {now.num_rows} now"
        return Difference(f"{what} {before + rows + 1}{_named(longer, rows, named_by)} is there {there} only ({counted})")
    return None


def _named(table: pa.Table, at: int, named_by: Sequence[str]) -> str:
    names = ", ".join(f"{name.lstrip('_')} {table[name][at].as_py()}" for name in named_by if name in table.column_names)
    return f" ({names})" if names else ""


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
