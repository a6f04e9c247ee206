"""Services of a benchmark's own without Airflow, with a ledger and a bucket that are emptied before each way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from benchmarks.world import MARK
from include.ingestion.errors import UsageError
from include.stores.open import ledger_connection, s3_client
from include.stores.prepare import prepare_ledger
from sluice.cli.output import say
from sluice.runtime import Settings, settings_from
from sluice.services.catalogue import without_airflow
from sluice.services.environment import environment
from sluice.services.process import running
from sluice.services.state import State
from sluice.services.supervisor import bring_up, take_down

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass
class PlainWorld:
    """What the measurements act through."""

    state: State
    where: Settings

    def __post_init__(self) -> None:
        self.bucket = self.where.s3.bucket
        self.s3: S3Client = s3_client(self.where.s3)

    def ledger(self) -> psycopg.Connection:
        return ledger_connection(self.where.ledger)

    def clear(self) -> None:
        """A ledger and a bucket as on the first day."""
        with self.ledger() as connection:
            schemas = connection.execute(
                "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'"
            ).fetchall()
            for (schema,) in schemas:
                connection.execute(psycopg.sql.SQL("drop schema {} cascade").format(psycopg.sql.Identifier(schema)))
            connection.execute("create schema public")
            prepare_ledger(connection, self.bucket)
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            found = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
            if found:
                self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": found, "Quiet": True})  # type: ignore[typeddict-item]

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def put(self, path: Path, key: str) -> None:
        self.s3.upload_file(str(path), self.bucket, key)


@contextmanager
def services_of(folder: Path) -> Iterator[tuple[State, Settings]]:
    """PostgreSQL, S3 and Spark in a folder of the benchmark's own; what this call started is stopped at the end.

    Raises:
        UsageError: the folder holds services that somebody else made: a benchmark empties their ledger.
    """
    state = State(folder.resolve())
    mark = state.root / MARK
    if state.exists and not mark.is_file():
        raise UsageError(f"{state.root} holds services that no benchmark made; benchmarks empty the ledger, so give them their own")
    services = without_airflow(state)
    state.folder()
    mark.touch()
    with ExitStack() as stack:
        if running(state, "postgres") is None:
            stack.callback(take_down, state, services, say)
        bring_up(state, services, say)
        told = environment(state)
        os.environ.pop("PGOPTIONS", None)
        os.environ.update(told | {"SLUICE_STATE": str(state.root)})
        yield state, settings_from(told)
