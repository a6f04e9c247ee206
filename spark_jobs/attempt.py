"""What a job leaves under its attempt: tables as Parquet objects, and last the manifest that names them.

A table that grows with the rows of a batch is written by Spark and never passes through the memory of its driver.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from include.feeds.parquet import Spooled, parquet_bytes
from include.ingestion import keys
from spark_jobs.code import code_digest
from spark_jobs.transforms.query import query

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from include.feeds.message import JobRequest
    from include.ingestion.ports import ObjectStore


def put_table(store: ObjectStore, request: JobRequest, name: str, table: pa.Table) -> dict[str, Any]:
    """Put a table under the attempt; what the manifest says of it."""
    body = parquet_bytes(table)
    written = store.put(request.bucket, keys.in_attempt(request.output, f"{name}.parquet"), body, rows=table.num_rows)
    return {**asdict(written), "sha256": hashlib.sha256(body).hexdigest()}


def write_table(
    store: ObjectStore, request: JobRequest, base: str, name: str, rows: DataFrame, order: str
) -> tuple[dict[str, Any], Spooled]:
    """Let Spark write a table of any size under the attempt as one object, its rows in order; what the manifest says of it, and its rows.

    `order` is an SQL list; `base` is where Spark finds the request's keys.
    """
    folder = keys.in_attempt(request.output, f"{name}/")
    one = query(f"select * from {{rows}} sort by {order}", rows=rows.repartition(1))
    one.write.mode("overwrite").option("compression", "zstd").parquet(f"{base}/{folder}")
    left = list(store.objects(request.bucket, folder))
    (part,) = (stamp for stamp in left if stamp.key.endswith(".parquet"))
    key = keys.in_attempt(request.output, f"{name}.parquet")
    written = store.copy(request.bucket, part.key, request.bucket, key, etag=part.etag)
    for stamp in reversed(left):
        store.delete(request.bucket, stamp.key)
    with store.read(request.bucket, key, written.etag) as body:
        spooled = Spooled(body)
    return {**asdict(written), "rows": spooled.num_rows}, spooled


def leave_manifest(
    store: ObjectStore,
    request: JobRequest,
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
