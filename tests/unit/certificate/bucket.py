"""A history's bucket in memory, as far as the certificate reads it, with an answer for whatever is asked of PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from certificate.history import History


class Stamp(NamedTuple):
    key: str
    size: int
    etag: str


class Bucket:
    """Objects by key."""

    bucket = "bucket"

    def __init__(self, answer: list[dict[str, Any]] | None = None, **objects: bytes) -> None:
        self.kept = objects
        self.store = self
        self.answer = answer or []

    @property
    def history(self) -> History:
        return cast(History, self)

    def rows(self, _: str) -> list[dict[str, Any]]:
        return self.answer

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
