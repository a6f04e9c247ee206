"""The gate alone: rows a second, peak memory, and what Great Expectations costs of it; needs no service.

    python -m tools.benchmarks.gate [ROWS ...]

Each file is validated in a process of its own, twice: the first time warms libraries up, the second is reported. What is put is dropped.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypedDict

from include.domains import feed_named
from include.files.file import LedgerFile, ObjectRef, State
from tools.benchmarks.inputs import Scale
from tools.benchmarks.table import Row
from tools.benchmarks.usage import peak_bytes

HEADER = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"
ROWS = (10_000, 500_000, 5_000_000)
_MIB = 2**20


class FolderStore:
    """As much of the port `ObjectStore` as the gate uses, over the files of a folder: what is measured is the gate, not a server."""

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:  # noqa: ARG002 (the port's)
        return (Path(bucket) / key).open("rb")

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:  # noqa: ARG002 (the port's)
        return ObjectRef(key, len(body if isinstance(body, bytes) else body.read()), "", rows)

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:  # noqa: ARG002 (the port's)
        return True


class GateCost(TypedDict):
    """What validating a file took: seconds of wall, CPU and Great Expectations, bytes of memory before and at most, and what came of it."""

    rows: int
    accepted: int
    reason: str | None
    parts: int
    seconds: float
    cpu_seconds: float
    gx_seconds: float
    before: int
    peak: int


def validate(feed: str, path: Path, times: int) -> GateCost:
    """Validate a file so often; what the last time took. To be run in a process of its own."""
    from include.quality.gate import GreatExpectationsGate
    from include.quality.suite import suite_of

    spec = feed_named(feed)
    suite_of(spec.contract)
    before = peak_bytes("self")
    file = LedgerFile(1, feed, 1, str(path.parent), path.name, 1, "", path.stat().st_size, dt.date(2026, 11, 21), State.REGISTERED)
    gate = GreatExpectationsGate(FolderStore(), "")  # type: ignore[arg-type]  # as much of the port as it uses
    for attempt in range(1, times + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        (verdict,) = gate.validate(spec, [file], str(attempt), lambda _: None)
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "rows": verdict.lines or 0,
        "accepted": verdict.accepted or 0,
        "reason": verdict.reason,
        "parts": len(verdict.bronze),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "gx_seconds": verdict.gx_seconds,
        "before": before,
        "peak": peak_bytes("self"),
    }


def validated(feed: str, path: Path, times: int = 1) -> GateCost:
    """The same, in a process of its own."""
    command = [sys.executable, "-m", "tools.benchmarks.gate", "--validate", feed, str(path), str(times)]
    found: GateCost = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def write_rows(path: Path, rows: int) -> None:
    """Rows of BankSim's shape; one in a thousand has an amount that is none."""
    dice = random.Random(7)
    with path.open("w", encoding="utf-8") as out:
        out.write(HEADER)
        for row in range(rows):
            amount = "-1" if row % 1000 == 999 else f"{dice.random() * 100:.2f}"
            customer, merchant = dice.randrange(10**9), dice.randrange(50)
            out.write(f"{row // 3000},'C{customer}','4','M','28007','M{merchant}','28007','es_transportation',{amount},0\n")


def measured(rows: int) -> GateCost:
    """What validating a file of so many rows takes, the second time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{rows}.csv"
        write_rows(path, rows)
        return validated("transactions", path, 2)


def gate_alone(_world: object, _dataset: object, scale: Scale) -> Iterator[Row]:
    """A small and a large file; the peak holds Python and its libraries too."""
    for rows in scale.gate_rows:
        found = measured(rows)
        share = found["gx_seconds"] / found["seconds"]
        yield Row(f"gate, a file of {rows:,} rows", found["seconds"], "s", note=f"of which Great Expectations {share:.0%}")
        yield Row(f"gate, a file of {rows:,} rows: rows a second", found["rows"] / found["seconds"], "rows/s")
        yield Row(f"gate, a file of {rows:,} rows: peak memory", found["peak"] // _MIB, "MB", note="of the whole process")


def main(sizes: list[int]) -> None:
    print(f"{'rows':>10} {'seconds':>8} {'rows/s':>10} {'GX share':>9} {'peak MB':>8} {'parts':>6}")
    for rows in sizes:
        found = measured(rows)
        rate, share = found["rows"] / found["seconds"], found["gx_seconds"] / found["seconds"]
        print(f"{rows:>10,} {found['seconds']:>8.2f} {rate:>10,.0f} {share:>8.0%} {found['peak'] // _MIB:>8,} {found['parts']:>6}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--validate"]:
        print(json.dumps(validate(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
    else:
        main([int(size) for size in sys.argv[1:]] or list(ROWS))
