"""Rows a second, peak memory and Great Expectations' share of the gate, on a small and a large file; needs no service.

    python -m benchmarks.gate [ROWS ...]

Each file is judged in a process of its own, twice: the first time warms libraries up, the second is reported. Objects lie in a folder.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from include.feeds.transactions.spec import TRANSACTIONS
from include.ingestion.file import LedgerFile, ObjectRef
from include.ingestion.lifecycle import State

HEADER = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"
ROWS = (10_000, 500_000, 5_000_000)


class FolderStore:
    """As much of the port `ObjectStore` as the gate uses, on a folder: what is measured is the gate, not a server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:  # noqa: ARG002 (the port's)
        return (self._folder / bucket / key).open("rb")

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:  # noqa: ARG002
        path = self._folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if isinstance(body, bytes) else body.read())
        return ObjectRef(key, path.stat().st_size, "", rows)

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:  # noqa: ARG002
        (self._folder / bucket / key).unlink()
        return True


def write_rows(path: Path, rows: int) -> None:
    """Rows of BankSim's shape; one in a thousand has an amount that is none."""
    dice = random.Random(7)
    with path.open("w", encoding="utf-8") as out:
        out.write(HEADER)
        for row in range(rows):
            amount = "-1" if row % 1000 == 999 else f"{dice.random() * 100:.2f}"
            customer, merchant = dice.randrange(10**9), dice.randrange(50)
            out.write(f"{row // 3000},'C{customer}','4','M','28007','M{merchant}','28007','es_transportation',{amount},0\n")


def judge(folder: Path, key: str) -> None:
    """In a process of its own: print what judging one file took."""
    from include.quality.gate import GreatExpectationsGate

    size = (folder / "bucket" / key).stat().st_size
    file = LedgerFile(1, "transactions", 1, "bucket", key, 1, "", size, dt.date(2026, 1, 1), State.REGISTERED)
    gate = GreatExpectationsGate(FolderStore(folder), "bucket")
    for attempt in ("1", "2"):
        started = time.perf_counter()
        (verdict,) = gate.judge(TRANSACTIONS, [file], attempt, lambda _: None)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        json.dumps(
            {"rows": verdict.lines, "seconds": seconds, "gx_seconds": verdict.gx_seconds, "peak_mb": peak, "parts": len(verdict.bronze)}
        )
    )


def measured(rows: int) -> dict[str, float]:
    """What judging a file of so many rows takes, the second time, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        key = f"{rows}.csv"
        (Path(name) / "bucket").mkdir()
        write_rows(Path(name) / "bucket" / key, rows)
        command = [sys.executable, "-m", "benchmarks.gate", "--judge", name, key]
        found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main(sizes: list[int]) -> None:
    print(f"{'rows':>10} {'seconds':>8} {'rows/s':>10} {'GX share':>9} {'peak MB':>8} {'parts':>6}")
    for rows in sizes:
        found = measured(rows)
        rate, share = found["rows"] / found["seconds"], found["gx_seconds"] / found["seconds"]
        print(f"{rows:>10,} {found['seconds']:>8.2f} {rate:>10,.0f} {share:>8.0%} {found['peak_mb']:>8,} {found['parts']:>6}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--judge"]:
        judge(Path(sys.argv[2]), sys.argv[3])
    else:
        main([int(size) for size in sys.argv[1:]] or list(ROWS))
