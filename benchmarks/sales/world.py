"""Services of the benchmark's own, without Airflow, and the sets of sales that it lands."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from benchmarks.world import MARK
from include.feeds import FEEDS
from include.ingestion.errors import UsageError
from include.ingestion.keys import landing, landing_file
from include.stores.open import ledger_connection, s3_client
from include.stores.prepare import prepare_ledger
from sluice.cli.output import say
from sluice.generate.sales.command import Wish, request, to_folder
from sluice.generate.sales.dimension_file import DIMENSIONS
from sluice.generate.sales.formats import Format
from sluice.generate.sales.population import Sizes
from sluice.runtime import Settings, settings_from
from sluice.services.catalogue import all_services
from sluice.services.environment import environment
from sluice.services.process import running
from sluice.services.state import State
from sluice.services.supervisor import bring_up, take_down

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DIMENSION_FEEDS = tuple(DIMENSIONS)
FACTS = "sales"
_MB = 1_000_000


@dataclass(frozen=True)
class SalesSet:
    """A generated set in its folder."""

    folder: Path

    @property
    def fact_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob(f"{FACTS}/*/*"))

    def files(self, feed: str) -> list[Path]:
        return sorted(self.folder.glob(f"{feed}/dt=*/*"))


class SalesWorld:
    """What the measurements act through."""

    def __init__(self, state: State, where: Settings) -> None:
        self.state = state
        self.where = where
        self.bucket = where.s3.bucket
        self.s3: S3Client = s3_client(where.s3)

    @property
    def has_sales(self) -> bool:
        """Whether this tree ingests sales."""
        return FACTS in FEEDS

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

    def generated(self, name: str, wish: Wish, seed: int, sizes: Sizes, kind: Format, start: str) -> SalesSet:
        """A set of these arguments, made once and kept."""
        asked = request(wish, seed, dt.date.fromisoformat(start), [kind], sizes, faults=False)
        folder = self.state.folder("data") / f"sales-{name}-{asked.rows}-{asked.days}-{seed}-{kind}-{sizes.customers}-{sizes.stores}"
        if not (folder / "expected.json").is_file():
            made = to_folder(asked, folder, os.cpu_count() or 1, say)
            say(f"generated {made.bytes / _MB:,.0f} MB in {made.seconds:.1f} s, {made.mb_a_core_second:.0f} MB/s a core")
        return SalesSet(folder)

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def land(self, given: SalesSet, feeds: Sequence[str]) -> int:
        """Put a set's files of these feeds; how many they were."""
        files = [(feed, path) for feed in feeds for path in given.files(feed)]
        for feed, path in files:
            day = dt.date.fromisoformat(path.parent.name.removeprefix("dt="))
            self.s3.upload_file(str(path), self.bucket, landing_file(landing(feed), day, path.name))
        return len(files)


@contextmanager
def opened(folder: Path) -> Iterator[SalesWorld]:
    """PostgreSQL, S3 and Spark in a folder of the benchmark's own; what this call started is stopped at the end.

    Raises:
        UsageError: the folder holds services that somebody else made: a benchmark empties their ledger.
    """
    state = State(folder.resolve())
    mark = state.root / MARK
    if state.exists and not mark.is_file():
        raise UsageError(f"{state.root} holds services that no benchmark made; benchmarks empty the ledger, so give them their own")
    services = [service for service in all_services(state) if not service.name.startswith("airflow")]
    state.folder()
    mark.touch()
    with ExitStack() as stack:
        if running(state, "postgres") is None:
            stack.callback(take_down, state, services, say)
        bring_up(state, services, say)
        told = environment(state)
        os.environ.pop("PGOPTIONS", None)
        os.environ.update(told | {"SLUICE_STATE": str(state.root)})
        yield SalesWorld(state, settings_from(told))
