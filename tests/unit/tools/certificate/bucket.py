"""A history's bucket in memory, as far as the certificate reads it, with one answer for every query of PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from include.storage.s3 import S3Store
from tools.certificate.records import Names, Records


class Stamp(NamedTuple):
    key: str
    size: int
    etag: str


class Bucket:
    """Objects by key."""

    bucket = "bucket"

    def __init__(self, answer: list[dict[str, Any]] | None = None, **objects: bytes) -> None:
        self.kept = objects
        self.answer = answer or []

    def records(self, names: Names | None = None) -> Records:
        return Records(cast(S3Store, self), self.bucket, lambda _: self.answer, names or Names())

    def objects(self, bucket: str, prefix: str) -> Iterator[Stamp]:
        assert bucket == self.bucket
        return (Stamp(key, len(body), str(hash(body))) for key, body in sorted(self.kept.items()) if key.startswith(prefix))

    def read_bytes(self, bucket: str, key: str) -> bytes:
        assert bucket == self.bucket
        return self.kept[key]

    def put_parquet(self, key: str, columns: dict[str, list[Any]]) -> None:
        sink = io.BytesIO()
        pq.write_table(pa.table(columns), sink)
        self.kept[key] = sink.getvalue()
