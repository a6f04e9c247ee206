"""What the feed of transactions came to: state, merged state, detections and their files, counters."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

from certificate.found import Names, Section, put, table

if TYPE_CHECKING:
    from certificate.history import History


def state(history: History, names: Names) -> Section:
    """Every partial aggregate: what level 0 of the state says, by file, merchant and customer."""
    del names
    rows: Section = {}
    for part in history.rows("select key from state_object where level = 0 order by first_seq"):
        for row in table(history, part["key"]).to_pylist():
            put(rows, f"seq {row['seq']}, {row['merchant']}, {row['customer']}", (row["n"], row["cents"], row["gender"]))
    return rows


def merged(history: History, names: Names) -> Section:
    """What the objects that a batch would read add up to, merged ones among them, by merchant and customer."""
    del names
    total: dict[str, list[Any]] = {}
    for part in history.rows("select key, level from state_object where not covered order by first_seq"):
        for row in table(history, part["key"]).sort_by("seq" if part["level"] == 0 else "first_seq").to_pylist():
            held = total.setdefault(f"{row['merchant']}, {row['customer']}", [0, 0, row["gender"]])
            held[0] += row["n"]
            held[1] += row["cents"]
    return {key: tuple(held) for key, held in total.items()}


def detections(history: History, names: Names) -> Section:
    """Detections by number."""
    del names
    found = history.rows("select number, seq, pattern_id, action_type, customer_name, merchant_id from detection order by number")
    return {f"number {row.pop('number')}": row for row in found}


def detection_files(history: History, names: Names) -> Section:
    """The rows of all detection files, one after another, apart from their two times; each must be where its name says."""
    del names
    rows: Section = {}
    listed = sorted(history.store.objects(history.bucket, "detections/"), key=lambda stamp: stamp.key.rsplit("/", 1)[-1])
    for stamp in listed:
        numbers = re.findall(r"\d{8}", stamp.key.rsplit("/", 1)[-1])
        first, last = map(int, numbers)
        lines = list(csv.reader(io.StringIO(history.store.read_bytes(history.bucket, stamp.key).decode())))
        if (
            lines[0] != ["YStartTime", "detectionTime", "patternId", "ActionType", "customerName", "MerchantId"]
            or len(lines) != last - first + 2
        ):
            rows[f"{stamp.key}: header or number of rows"] = (lines[0], len(lines))
        for number, line in enumerate(lines[1:], first):
            put(rows, f"number {number}", tuple(line[2:]))
    return rows


def counters(history: History, names: Names) -> Section:
    """Transactions by merchant."""
    del names
    return {row["merchant_id"]: row["total_transactions"] for row in history.rows("select * from merchant_transaction_counts")}
