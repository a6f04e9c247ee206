"""The gate's memory follows a bound of decoded values, whatever a small file of Parquet repeats."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST_MORE_MB = 150
VALIDATE = """
import io, json, resource
import pyarrow as pa, pyarrow.parquet as pq
from include.domains.finance.feeds import MUTUAL_FUNDS
from tests.unit.quality.desk import Desk

ROWS = 16_384

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def judged(extra):
    good = {"company_id": 1, "name": "x", "holdings": "1.5", "timestamp": "2026-01-05T09:00:00Z"}
    columns = {"fund_id": pa.array(range(ROWS))} | {name: pa.array([value] * ROWS) for name, value in good.items()}
    body = io.BytesIO()
    pq.write_table(pa.table(columns | {"terms": extra}), body, store_schema=False)
    desk = Desk(contract=MUTUAL_FUNDS.contract)
    file = desk.land(body.getvalue(), "landing/f/dt=2026-01-16/a.parquet")
    (verdict,) = desk.validate([file])
    again = desk.gate.reread(desk.spec, file.file_id, verdict.bronze)
    assert (verdict.fault, verdict.accepted, again.rows, again.digest) == (None, ROWS, ROWS, verdict.bronze_digest), verdict.reason
    return len(body.getvalue()), peak()

once = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array(["x" * 32_768]))
print(json.dumps([judged(pa.array(["x"] * ROWS)), judged(once), judged(pa.StructArray.from_arrays([once], ["inner"]))]))
"""


def test_a_text_of_32_kilobytes_in_every_row_takes_little_more_memory_than_one_character() -> None:
    done = subprocess.run([sys.executable, "-c", VALIDATE], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (_, ordinary), *wide = json.loads(done.stdout)
    assert all(size < 200_000 for size, _ in wide), "half a gigabyte of text lies in a small file"
    assert [peak for _, peak in wide if peak > ordinary + MOST_MORE_MB] == [], f"an ordinary file takes {ordinary} MB"
