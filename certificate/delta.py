"""A Delta table as a reader without Spark finds it: its log replayed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from certificate.history import History

_COMMIT = re.compile(r".*/_delta_log/(\d{20})\.json")


def live(history: History, folder: str) -> dict[str, dict[str, str | None]]:
    """The data files of a table's newest version, with the values of the columns it is partitioned by."""
    found: dict[str, dict[str, str | None]] = {}
    for key in commits(history, folder):
        for line in history.store.read_bytes(history.bucket, key).decode().splitlines():
            action = json.loads(line)
            if "add" in action:
                assert not action["add"].get("deletionVector"), f"{key}: rows are taken out by deletion vectors, which are not read here"
                found[f"{folder}{unquote(action['add']['path'])}"] = action["add"]["partitionValues"]
            elif "remove" in action:
                found.pop(f"{folder}{unquote(action['remove']['path'])}", None)
    return found


def commits(history: History, folder: str) -> list[str]:
    """The objects of a table's log, oldest first; none may be missing."""
    listed = sorted(stamp.key for stamp in history.store.objects(history.bucket, f"{folder}_delta_log/") if _COMMIT.fullmatch(stamp.key))
    for version, key in enumerate(listed):
        assert f"{version:020d}.json" in key, f"{folder} has no commit {version}, but {listed[-1]}"
    return listed
