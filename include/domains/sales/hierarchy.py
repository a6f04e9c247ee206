"""Who manages whom, flattened: each version of a salesperson with the whole line of managers above."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

ONE_DAY = dt.timedelta(days=1)
Row = dict[str, Any]


class Managers(NamedTuple):
    """The person, the manager, the manager's manager and so on; `circular`: the last one is there twice.

    `top`: the last of the line; None where it runs in a circle.
    """

    path: tuple[int, ...]
    circular: bool

    @property
    def top(self) -> int | None:
        return None if self.circular else self.path[-1]


def managers(version: Row, of: dict[int, list[Row]]) -> Managers:
    """The line above a version as it was on the last day on which the version holds; above an open one, as it is.

    >>> ann, bea = ({"key": k, "manager_id": m, "valid_from": dt.date(1, 1, 1), "valid_to": None} for k, m in ((1, 2), (2, 2)))
    >>> managers(ann, {1: [ann], 2: [bea]})
    Managers(path=(1, 2), circular=False)
    """
    last_day = None if version["valid_to"] is None else version["valid_to"] - ONE_DAY
    path = [version["key"]]
    at: Row | None = version
    while at is not None and at["manager_id"] not in {None, at["key"]}:
        manager = at["manager_id"]
        path.append(manager)
        if manager in path[:-1]:
            return Managers(tuple(path), circular=True)
        at = _on(of.get(manager, ()), last_day)
    return Managers(tuple(path), circular=False)


def _on(versions: Sequence[Row], day: dt.date | None) -> Row | None:
    """The version that holds on a day; None = now."""
    if day is None:
        return next((one for one in versions if one["valid_to"] is None), None)
    holding = (one for one in versions if one["valid_from"] <= day and (one["valid_to"] is None or day < one["valid_to"]))
    return next(holding, None)


def flattened(versions: pa.Table) -> pa.Table:
    """The versions of the team with their managers: `manager_path`, `top_manager_id`, `manager_levels`, `manager_circular`."""
    rows = versions.select(["key", "manager_id", "valid_from", "valid_to"]).to_pylist()
    of: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        of[row["key"]].append(row)
    lines = [managers(row, of) for row in rows]
    return (
        versions.append_column("manager_path", pa.array([line.path for line in lines], pa.list_(pa.int64())))
        .append_column("top_manager_id", pa.array([line.top for line in lines], pa.int64()))
        .append_column("manager_levels", pa.array([len(line.path) - 1 for line in lines], pa.int32()))
        .append_column("manager_circular", pa.array([line.circular for line in lines], pa.bool_()))
    )
