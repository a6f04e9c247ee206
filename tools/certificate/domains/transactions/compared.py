"""What the feed of transactions came to: state, merged state, detections and their files, counters."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from tools.certificate.records import Records, Section, put

_HEADER = ["YStartTime", "detectionTime", "patternId", "ActionType", "customerName", "MerchantId"]


def state(records: Records) -> Section:
    """Every partial aggregate: what level 0 of the state says, by file, merchant and customer."""
    rows: Section = {}
    for part in records.query("select key from state_object where level = 0 order by first_seq"):
        for row in records.table(part["key"]):
            put(rows, f"seq {row['seq']}, {row['merchant']}, {row['customer']}", (row["n"], row["cents"], row["gender"]))
    return rows


def merged(records: Records) -> Section:
    """What the objects that a batch would read add up to, merged ones among them, by merchant and customer."""
    total: dict[str, list[Any]] = {}
    for part in records.query("select key, level from state_object where not covered order by first_seq"):
        order = "seq" if part["level"] == 0 else "first_seq"
        for row in sorted(records.table(part["key"]), key=lambda row: row[order]):
            held = total.setdefault(f"{row['merchant']}, {row['customer']}", [0, 0, row["gender"]])
            held[0] += row["n"]
            held[1] += row["cents"]
    return {key: tuple(held) for key, held in total.items()}


def detections(records: Records) -> Section:
    found = records.query("select number, seq, pattern_id, action_type, customer_name, merchant_id from detection order by number")
    return {f"number {row.pop('number')}": row for row in found}


def detection_files(records: Records) -> Section:
    """The rows of all detection files, one after another, apart from their two times; each must be where its name says."""
    rows: Section = {}
    for key in sorted((stamp.key for stamp in records.objects("detections/")), key=lambda key: key.rsplit("/", 1)[-1]):
        first, last = map(int, re.findall(r"\d{8}", key.rsplit("/", 1)[-1]))
        lines = list(csv.reader(io.StringIO(records.read(key).decode())))
        if lines[0] != _HEADER or len(lines) != last - first + 2:
            rows[f"{key}: header or number of rows"] = (lines[0], len(lines))
        for number, line in enumerate(lines[1:], first):
            put(rows, f"number {number}", tuple(line[2:]))
    return rows


def counters(records: Records) -> Section:
    """Transactions by merchant."""
    return {row["merchant_id"]: row["total_transactions"] for row in records.query("select * from merchant_transaction_counts")}
