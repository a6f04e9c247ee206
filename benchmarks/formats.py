"""`python -m benchmarks.formats`: a million rows of sales through the gate in each format, as one table. No service is needed.

Each format is judged by a process of its own, so that its peak of memory is its own; bronze is thrown away as it is put.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Annotated, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import typer

from include.feeds.sales.spec import SALES
from include.ingestion.file import LedgerFile, ObjectRef
from include.ingestion.lifecycle import State

_DAY = dt.date(2026, 11, 21)
_NAMES = [*SALES.contract.names, "payment_mode"]
_TYPES = {"price": pa.decimal128(12, 2), "total_cost": pa.decimal128(12, 2), "sales_date": pa.date32()}
_MB = 10**6
Row = tuple[object, ...]


class Folder:
    """The part of an object store that a gate needs, over files; what is put is counted and let go."""

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:  # noqa: ARG002 (the port's)
        return (Path(bucket) / key).open("rb")

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:  # noqa: ARG002 (the port's)
        content = body if isinstance(body, bytes) else body.read()
        return ObjectRef(key, len(content), hashlib.md5(content).hexdigest(), rows)

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:  # noqa: ARG002 (the port's)
        return True


def _rows(count: int, seed: int = 1) -> Iterator[Row]:
    chance = random.Random(seed)
    for number in range(count):
        cents, quantity = chance.randrange(100, 99_999), chance.randrange(1, 10)
        day = dt.date(2026, 11, 1) + dt.timedelta(number % 20)
        price, total = Decimal(cents) / 100, Decimal(cents * quantity) / 100
        product, seller = f"product {chance.randrange(5000)}", number % 2000
        yield chance.randrange(1, 200_000), seller % 200, product, day, seller, price, quantity, total, ("cash", "card")[number % 2]


def _json(row: Row) -> str:
    return json.dumps(dict(zip(_NAMES, (float(value) if isinstance(value, Decimal) else value for value in row), strict=True)), default=str)


def _escaped(row: Row) -> str:
    return _json(row).replace('"ca', '"\\"ca')


def _write_lines(rows: Iterator[Row], to: IO[str], text: Callable[[Row], str]) -> None:
    to.writelines(text(row) + "\n" for row in rows)


def _write_array(rows: Iterator[Row], to: IO[str]) -> None:
    to.write("[" + _json(next(rows)))
    to.writelines(", " + _json(row) for row in rows)
    to.write("]")


def _write(path: Path, count: int) -> None:
    """The rows in the format of the file's ending; `.escaped.jsonl` has an escaped quote in each line, which no fast way takes."""
    rows = _rows(count)
    if path.suffix == ".parquet":
        columns = zip(*rows, strict=True)
        pq.write_table(pa.table({name: pa.array(column, _TYPES.get(name)) for name, column in zip(_NAMES, columns, strict=True)}), path)
        return
    with gzip.open(path, "wt", 6) if path.suffix == ".gz" else path.open("w") as to:
        if ".csv" in path.name:
            csv.writer(to, lineterminator="\n").writerows([tuple(_NAMES), *rows])
        elif ".json" in path.suffixes:
            _write_array(rows, to)
        else:
            _write_lines(rows, to, _escaped if ".escaped" in path.name else _json)


def _judge(path: Path) -> None:
    """Judge one file, and print what it took as JSON: run in a process of its own."""
    from include.quality.gate import GreatExpectationsGate
    from include.quality.suite import suite_of

    suite_of(SALES.contract)
    before = _peak()
    file = LedgerFile(1, "sales", 1, str(path.parent), path.name, 1, "", path.stat().st_size, _DAY, State.REGISTERED)
    wall, cpu = time.perf_counter(), time.process_time()
    (verdict,) = GreatExpectationsGate(Folder(), "").judge(SALES, [file], "1", lambda _: None)
    taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "gx": verdict.gx_seconds}
    print(json.dumps(taken | {"accepted": verdict.accepted, "reason": verdict.reason, "before": before, "peak": _peak()}))


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def main(rows: Annotated[int, typer.Option(help="rows in each file")] = 1_000_000, judge: str = "", only: str = "") -> None:
    if judge:
        _judge(Path(judge))
        return
    formats = ["csv", "csv.gz", "jsonl", "jsonl.gz", "json", "json.gz", "parquet", "escaped.jsonl"]
    print(f"{'format':<14}{'MB':>7}{'s':>8}{'CPU s':>8}{'GX s':>8}{'rows/s':>11}{'MB/s':>7}{'peak MB':>9}{'of it ours':>11}")
    with tempfile.TemporaryDirectory(prefix="sluice-formats-") as folder:
        for name in [only] if only else formats:
            path = Path(folder) / f"sales.{name}"
            _write(path, rows)
            told = subprocess.run(
                [sys.executable, "-m", "benchmarks.formats", "--judge", str(path)],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ,
            )
            found = json.loads(told.stdout)
            if found["accepted"] != rows:
                raise SystemExit(f"{name}: {found['accepted']} of {rows} rows were accepted: {found['reason']}")
            size, wall = path.stat().st_size / _MB, found["wall"]
            print(
                f"{name:<14}{size:7.0f}{wall:8.1f}{found['cpu']:8.1f}{found['gx']:8.1f}{rows / wall:11,.0f}{size / wall:7.1f}"
                f"{found['peak'] / _MB:9.0f}{(found['peak'] - found['before']) / _MB:11.0f}",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    typer.run(main)
