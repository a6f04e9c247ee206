"""What a job leaves under its attempt: tables as Parquet objects, and last the manifest that names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from include.feeds.parquet import parquet_bytes
from include.ingestion import keys
from spark_jobs.code import code_digest

if TYPE_CHECKING:
    import pyarrow as pa

    from include.ingestion.ports import ObjectStore


class Request(Protocol):
    """What every job is asked."""

    @property
    def feed(self) -> str: ...
    @property
    def batch(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def bucket(self) -> str: ...
    @property
    def output(self) -> str: ...
    @property
    def format(self) -> int: ...
    def to_json(self) -> dict[str, Any]: ...


def put_table(store: ObjectStore, request: Request, name: str, table: pa.Table) -> dict[str, Any]:
    """Put a table under the attempt; what the manifest says of it."""
    body = parquet_bytes(table)
    written = store.put(request.bucket, keys.in_attempt(request.output, f"{name}.parquet"), body, rows=table.num_rows)
    return {**asdict(written), "sha256": hashlib.sha256(body).hexdigest()}


def leave_manifest(
    store: ObjectStore,
    request: Request,
    objects: Mapping[str, Any],
    files: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, float],
    **more: Any,
) -> dict[str, Any]:
    """Write the manifest of an attempt, and return it."""
    manifest = {
        "format": request.format,
        "feed": request.feed,
        "batch": request.batch,
        "attempt": request.attempt,
        "code": code_digest(),
        "objects": dict(objects),
        "files": list(files),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        **more,
    }
    store.put(request.bucket, keys.in_attempt(request.output, "manifest.json"), json.dumps(manifest).encode())
    return manifest
