"""`python -m tools.benchmarks.formats`: a million rows of sales through the gate in each format, as one table. No service is needed.

Each format is validated by a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Annotated

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import typer

from include.domains.sales.feeds import SALES
from tools.benchmarks.gate import validated
from tools.benchmarks.usage import MB

_NAMES = [*SALES.contract.names, "payment_mode"]
_TYPES = {"price": pa.decimal128(12, 2), "total_cost": pa.decimal128(12, 2), "sales_date": pa.date32()}
FORMATS = ("csv", "csv.gz", "jsonl", "jsonl.gz", "json", "json.gz", "parquet", "escaped.jsonl")
Row = tuple[object, ...]


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


def write(path: Path, count: int) -> None:
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


def main(rows: Annotated[int, typer.Option(help="rows in each file")] = 1_000_000, only: str = "") -> None:
    print(f"{'format':<14}{'MB':>7}{'s':>8}{'CPU s':>8}{'GX s':>8}{'rows/s':>11}{'MB/s':>7}{'peak MB':>9}{'of it ours':>11}")
    with tempfile.TemporaryDirectory(prefix="sluice-formats-") as folder:
        for name in [only] if only else FORMATS:
            path = Path(folder) / f"sales.{name}"
            write(path, rows)
            found = validated("sales", path)
            if found["accepted"] != rows:
                raise SystemExit(f"{name}: {found['accepted']} of {rows} rows were accepted: {found['reason']}")
            size, wall, gx = path.stat().st_size / MB, found["seconds"], found["gx_seconds"]
            print(
                f"{name:<14}{size:7.0f}{wall:8.1f}{found['cpu_seconds']:8.1f}{gx:8.1f}{rows / wall:11,.0f}{size / wall:7.1f}"
                f"{found['peak'] / MB:9.0f}{(found['peak'] - found['before']) / MB:11.0f}",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    typer.run(main)
