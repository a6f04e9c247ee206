"""How rows are written in each of the formats that people may choose. The same rows are the same bytes."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import IO, Any, Protocol

import pyarrow as pa

from include.feeds.parquet import parquet_writer
from include.ingestion.file import ObjectRef

Page = Sequence[Mapping[str, Any]]
NAMES = {"parquet": "part-00000.parquet", "csv": "part-00000.csv", "delta": "part-00000.parquet", "json": "part-00000.json"}
_TABLE_IDS = uuid.UUID("5ce5b02e-3f0c-4d0c-9a3f-6a1d1c5f1f0a")  # any fixed one: tables of a name have the same id


class Writer(Protocol):
    """Takes rows in order."""

    def write(self, page: Page) -> None: ...


class ParquetPages(AbstractContextManager["ParquetPages"]):
    """Rows as Parquet."""

    def __init__(self, body: IO[bytes], schema: pa.Schema) -> None:
        self._schema = schema
        self._parquet = parquet_writer(body, schema)

    def write(self, page: Page) -> None:
        self._parquet.write_table(pa.Table.from_pylist([dict(row) for row in page], self._schema))

    def __exit__(self, *_: object) -> None:
        self._parquet.close()


class CsvPages(AbstractContextManager["CsvPages"]):
    """Rows as CSV with a header; a null is empty, lines end with LF."""

    def __init__(self, body: IO[bytes], schema: pa.Schema) -> None:
        self._text = io.TextIOWrapper(body, "utf-8", newline="")
        self._names = schema.names
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow(self._names)

    def write(self, page: Page) -> None:
        self._csv.writerows([[exact(row[name]) for name in self._names] for row in page])

    def __exit__(self, *_: object) -> None:
        self._text.flush()
        self._text.detach()


class JsonPages(AbstractContextManager["JsonPages"]):
    """Rows as JSON, one object a line; decimals are strings, so that no reader rounds them."""

    def __init__(self, body: IO[bytes], schema: pa.Schema) -> None:
        self._body = body
        self._names = schema.names

    def write(self, page: Page) -> None:
        rows = (json.dumps({name: exact(row[name]) for name in self._names}, ensure_ascii=False) for row in page)
        self._body.write("".join(f"{row}\n" for row in rows).encode())

    def __exit__(self, *_: object) -> None:
        self._body.flush()


WRITERS: dict[str, Callable[[IO[bytes], pa.Schema], Any]] = {
    "parquet": ParquetPages,
    "csv": CsvPages,
    "delta": ParquetPages,
    "json": JsonPages,
}


def exact(value: Any) -> Any:
    """A value for text: decimals by their digits, whole ones of no decimals as integers, instants in UTC with microseconds.

    >>> exact(Decimal("1.500000")), exact(Decimal("12")), exact(dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)), exact(dt.date(2026, 1, 2))
    ('1.500000', 12, '2026-01-02T03:00:00.000000Z', '2026-01-02')
    """
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else format(value, "f")
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, dt.date) else value


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
