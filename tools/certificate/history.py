"""A fresh history of a group of feeds: a schema and a bucket of its own on running services, and what the conductor asks of them."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from botocore.exceptions import ClientError
from psycopg.rows import dict_row

from include.clients import s3_client
from include.domains import feed_named
from include.errors import SluiceError
from include.files import keys
from include.ledger import Ledger
from include.ledger.migrate import extra_schemas
from include.provision import prepare_ledger
from include.storage.s3 import S3Store
from sluice.runtime import Settings, settings_from
from tools.certificate.domain import Domain
from tools.certificate.records import Records, Snapshot
from tools.certificate.snapshot import taken
from tools.certificate.stream import After, Stream, Wave
from tools.fresh import empty_bucket, load_reference

FINISHED = ("published", "superseded", "quarantined", "duplicate", "discarded")
UNDECIDED = ("registered", "replaying")


class NotDone(SluiceError):
    """A command that the certificate needs failed."""


class History:
    """One history. `environment` is what leads a run to it."""

    def __init__(self, services: Mapping[str, str], domain: Domain, folder: Path) -> None:
        self.domain = domain
        self.specs = [feed_named(feed) for feed in domain.feeds]
        self.folder = folder
        self.bucket, self.schema = self.names()
        options = f"-c search_path={self.schema} -c client_min_messages=warning"
        self.environment = dict(services) | {"SLUICE_BUCKET": self.bucket, "PGOPTIONS": options}
        self.where: Settings = settings_from(self.environment)
        self.client = s3_client(self.where.s3)
        self.store = S3Store(self.client)
        self.records = Records(self.store, self.bucket, self.rows)

    def snapshot(self) -> Snapshot:
        return taken(self.records, self.domain.sections)

    def names(self) -> tuple[str, str]:
        name = f"certificate-{secrets.token_hex(4)}"
        return name, name.replace("-", "_")

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the conductor's own, past the proxies."""
        ledger = self.where.ledger
        return psycopg.connect(
            host=ledger.host,
            port=ledger.port,
            dbname=ledger.database,
            user=ledger.user,
            password=ledger.password,
            options=self.environment["PGOPTIONS"],
            autocommit=True,
            connect_timeout=10,
        )

    def rows(self, statement: str, values: Any = ()) -> list[dict[str, Any]]:
        with self.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), values).fetchall()

    def through(self, s3_port: int, postgres_port: int) -> dict[str, str]:
        """The environment of a run that goes through the proxies."""
        return self.environment | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{s3_port}", "PGPORT": str(postgres_port)}

    def make(self, stream: Stream) -> None:
        with self.connect() as connection:
            self.clear(connection)
            prepare_ledger(connection, self.bucket)
            for (feed, name), body in stream.references.items():
                path = self.folder / f"{name}.csv"
                path.write_bytes(body)
                load_reference(connection, self.client, self.bucket, feed, name, path, "certificate")

    def clear(self, connection: psycopg.Connection[Any]) -> None:
        """An empty schema and an empty bucket."""
        drop_extra_schemas(connection)
        connection.execute(f"create schema {self.schema}".encode())
        self.client.create_bucket(Bucket=self.bucket)

    def source_of(self, wave: Wave, number: int) -> str:
        path = self.folder / f"source_{number}.csv"
        path.write_bytes(wave.source)
        return str(path)

    def land(self, wave: Wave) -> None:
        for key, body in wave.objects:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def registered(self) -> bool:
        """Whether every object that lies in landing now is known as it is, and every correction."""
        known = {(row["key"], row["etag"]) for row in self.rows("select key, etag from file where latest and location = 'landing'")}
        return all(
            (stamp.key, stamp.etag) in known
            for spec in self.specs
            for place in (f"landing/{spec.name}/", keys.fixes(spec.name))
            for stamp in self.store.objects(self.bucket, place)
            if stamp.key.endswith(spec.endings)
        )

    def decided(self) -> bool:
        """Whether everything that lies in landing is accepted or refused."""
        (waiting,) = self.rows("select count(*) as files from file where state::text = any(%s)", (list(UNDECIDED),))
        return waiting["files"] == 0 and self.registered()

    def finished(self) -> bool:
        """Whether nothing is left to do: all files decided, published and delivered, all batches too, and what follows them is made."""
        waiting = self.rows(
            """select (select count(*) from work) + (select count(*) from file where state::text <> all(%s) or delivered_at is null)
                    + (select count(*) from batch where state = 'open' or (state = 'published' and delivered_at is null)) as left""",
            (list(FINISHED),),
        )
        follows = self.domain.follow_up
        return waiting[0]["left"] == 0 and self.registered() and (follows is None or follows.done(self.records))

    def reached(self, after: After) -> Callable[[], bool]:
        """Asks whether what has to have happened before a wave has."""
        reached = {After.REGISTERED: self.registered, After.DECIDED: self.decided, After.FINISHED: self.finished}
        return reached.get(after, lambda: True)

    def release(self, run_id: str) -> None:
        """What Airflow's callback does for a run that was killed."""
        with closing(Ledger(self.connect)) as ledger:
            ledger.leases.release_run(self.specs[0], run_id)

    def back_up(self) -> None:
        """`sluice backup`: the ledger as it is at this instant."""
        self._sluice("backup", str(self._backup))

    def restore(self) -> None:
        """`sluice restore`; the ledger of before, which it keeps, is not needed."""
        self._sluice("restore", str(self._backup), "--yes")
        with self.connect() as connection:
            aside = [f"{name}_before_%" for name in (self.schema, *extra_schemas())]
            for (kept,) in connection.execute("select nspname from pg_namespace where nspname like any(%s)", (aside,)):
                connection.execute(f"drop schema {kept} cascade".encode())

    @property
    def _backup(self) -> Path:
        return self.folder / "ledger.dump"

    def _sluice(self, *words: str) -> None:
        command = [sys.executable, "-m", "sluice", *words]
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotDone(f"sluice {words[0]} failed: {done.stderr.strip()}")

    def remove(self) -> None:
        with self.connect() as connection:
            connection.execute(f"drop schema if exists {self.schema} cascade".encode())
            drop_extra_schemas(connection)
        empty_bucket(self.client, self.bucket)
        try:
            self.client.delete_bucket(Bucket=self.bucket)
        except ClientError as refused:
            # The embedded server takes folders that its writers left without objects for content.
            if refused.response["Error"]["Code"] != "BucketNotEmpty" or any(self.records.objects()):
                raise


def drop_extra_schemas(connection: psycopg.Connection[Any]) -> None:
    """Drop the schemas of fixed names that belong to a history: there is one at a time."""
    for name in extra_schemas():
        connection.execute(f"drop schema if exists {name} cascade".encode())


@contextmanager
def fresh(services: Mapping[str, str], domain: Domain, stream: Stream) -> Iterator[History]:
    """A history that goes away at the end, unless an error leaves the block: then it is kept to be looked at."""
    with TemporaryDirectory(prefix="certificate-") as folder:
        history = History(services, domain, Path(folder))
        history.make(stream)
        yield history
    history.remove()
