"""How rows are written in each of the formats that people may choose. The same rows are the same bytes."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa

from include.domains.finance.queries import exact
from include.files.file import ObjectRef
from include.storage.parquet import parquet_writer

Page = Sequence[Mapping[str, Any]]
NAMES = {"parquet": "part-00000.parquet", "csv": "part-00000.csv", "delta": "part-00000.parquet", "json": "part-00000.json"}
_TABLE_IDS = uuid.UUID("5ce5b02e-3f0c-4d0c-9a3f-6a1d1c5f1f0a")  # any fixed one: tables of a name have the same id


@contextmanager
def _parquet(body: IO[bytes], schema: pa.Schema) -> Iterator[Callable[[Page], object]]:
    with parquet_writer(body, schema) as parquet:
        yield lambda page: parquet.write_table(pa.Table.from_pylist([dict(row) for row in page], schema))


@contextmanager
def _csv(body: IO[bytes], schema: pa.Schema) -> Iterator[Callable[[Page], object]]:
    """With a header; a null is empty, lines end with LF."""
    text = io.TextIOWrapper(body, "utf-8", newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(schema.names)
    yield lambda page: rows.writerows([exact(row[name]) for name in schema.names] for row in page)
    text.flush()
    text.detach()


@contextmanager
def _json(body: IO[bytes], schema: pa.Schema) -> Iterator[Callable[[Page], object]]:
    """One object a line; decimals are strings, so that no reader rounds them."""

    def line(row: Mapping[str, Any]) -> str:
        return json.dumps({name: exact(row[name]) for name in schema.names}, ensure_ascii=False) + "\n"

    yield lambda page: body.write("".join(map(line, page)).encode())
    body.flush()


# Each opens a file for a table, and gives what writes rows to it in order.
WRITERS = {"parquet": _parquet, "csv": _csv, "delta": _parquet, "json": _json}


def delta_log_of(table: str, schema: pa.Schema, part: ObjectRef, name: str, at: dt.datetime) -> bytes:
    """The only commit of a Delta table of one Parquet object."""
    milliseconds = int(at.timestamp() * 1000)
    fields = [{"name": field.name, "type": _delta_type(field.type), "nullable": True, "metadata": {}} for field in schema]
    actions: list[dict[str, Any]] = [
        {"commitInfo": {"timestamp": milliseconds, "operation": "CREATE TABLE AS SELECT", "operationParameters": {}}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {
            "metaData": {
                "id": str(uuid.uuid5(_TABLE_IDS, table)),
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": {},
                "createdTime": milliseconds,
            }
        },
        {"add": {"path": name, "partitionValues": {}, "size": part.size, "modificationTime": milliseconds, "dataChange": True}},
    ]
    return "".join(f"{json.dumps(action)}\n" for action in actions).encode()


def _delta_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    return {pa.int64(): "long", pa.string(): "string", pa.date32(): "date"}[kind]
