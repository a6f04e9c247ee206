"""What everything that plays a history from its first day needs: an empty bucket, and the references that people load before files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from include.storage.s3 import S3Store
from sluice.runtime import new_id

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def empty_bucket(client: S3Client, bucket: str) -> None:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        found = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
        if found:
            client.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})  # type: ignore[typeddict-item]


def load_reference(
    connection: psycopg.Connection[Any], client: S3Client, bucket: str, feed: str, name: str, path: Path, loaded_by: str
) -> None:
    from sluice.produce.sources import source
    from sluice.reference.loader import load

    load(
        source(str(path)),
        S3Store(client),
        connection,
        bucket=bucket,
        feed=feed,
        name=name,
        loaded_by=loaded_by,
        run_id=None,
        new_id=new_id,
        log=lambda _: None,
    )
