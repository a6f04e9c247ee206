"""What a job works with, and what it leaves under its attempt: tables as Parquet objects, and last the manifest that names them.

A table that grows with the rows of a batch is written by Spark and never passes through the memory of its driver.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, BinaryIO, Generic, TypedDict, TypeVar, cast

import pyarrow as pa

from include.errors import JobFailed
from include.files import keys
from include.pipeline.message import CountedFile, JobFile, JobObject, JobRequest, Manifest
from include.storage.object_store import ObjectStore
from include.storage.parquet import Spooled, parquet_bytes, parquet_writer
from spark_jobs.code import code_digest
from spark_jobs.io import query, read_objects, structure

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from include.files.file import FileStamp

R = TypeVar("R", bound=JobRequest)
M = TypeVar("M", bound=Manifest)

# What rows may take together to come through the memory of Spark's driver: a sixteenth of the least that its heap should have.
IN_THE_DRIVER_BYTES = 32 * 2**20


class Head(TypedDict):
    """What every manifest says."""

    feed: str
    batch: int
    attempt: int
    code: str
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Output(Generic[R]):
    """What a job is asked, and the store that it leaves its results in."""

    store: ObjectStore
    request: R

    def put_table(self, name: str, table: pa.Table) -> JobObject:
        """Put a table under the attempt."""
        body = parquet_bytes(table)
        written = self.store.put(self.request.bucket, self.key(f"{name}.parquet"), body, rows=table.num_rows)
        return JobObject(**asdict(written), sha256=hashlib.sha256(body).hexdigest())

    def put_pieces(self, name: str, schema: pa.Schema, pieces: Iterable[pa.Table]) -> tuple[JobObject, Spooled]:
        """Put a table that comes piece by piece under the attempt; also its rows."""
        with tempfile.TemporaryFile() as body:
            with parquet_writer(body, schema) as writer:
                for piece in pieces:
                    writer.write_table(piece)
            return self._put(name, body)

    def _put(self, name: str, body: IO[bytes]) -> tuple[JobObject, Spooled]:
        body.seek(0)
        spooled = Spooled(cast("BinaryIO", body))
        body.seek(0)
        sha256 = hashlib.file_digest(body, "sha256").hexdigest()  # type: ignore[arg-type]
        body.seek(0)
        written = self.store.put(
            self.request.bucket, self.key(f"{name}.parquet"), cast("BinaryIO", body), rows=spooled.num_rows
        )  # closes it
        return JobObject(**asdict(written), sha256=sha256), spooled

    def head(self, seconds: Mapping[str, float]) -> Head:
        """What the manifest says of any job; how long each part of it took."""
        of = self.request
        rounded = {name: round(value, 3) for name, value in seconds.items()}
        return Head(feed=of.feed, batch=of.batch, attempt=of.attempt, code=code_digest(), seconds=rounded)

    def leave(self, manifest: M) -> M:
        """Write the manifest of the attempt."""
        self.store.put(self.request.bucket, self.key("manifest.json"), json.dumps(manifest.to_json()).encode())
        return manifest

    def key(self, name: str) -> str:
        return keys.in_attempt(self.request.output, name)


@dataclass(frozen=True)
class JobRun(Output[R]):
    """The same with a session of Spark's; `at` is where that finds the request's keys: its bucket through S3A, unless told otherwise."""

    spark: SparkSession
    at: str = ""

    @property
    def base(self) -> str:
        return self.at or f"s3a://{self.request.bucket}"

    def read(self, schema: pa.Schema, objects: Sequence[str | None]) -> DataFrame:
        """The rows of exactly these objects; none where there are none."""
        there = [key for key in objects if key is not None]
        kinds = structure(schema)
        return read_objects(self.spark, kinds, self.base, there) if there else self.spark.createDataFrame([], kinds)

    def write_table(self, name: str, rows: DataFrame, order: str) -> tuple[JobObject, Spooled]:
        """Let Spark write a table of any size under the attempt as one object, its rows in order (an SQL list); also its rows."""
        part, left = self._written_by_spark(name, rows, order)
        bucket, key = self.request.bucket, self.key(f"{name}.parquet")
        written = self.store.copy(bucket, part.key, bucket, key, etag=part.etag)
        self._delete(left)
        with self.store.read(bucket, key, written.etag) as body:
            spooled = Spooled(body)
        return JobObject(written.key, written.size, written.etag, spooled.num_rows), spooled

    def put_rows(self, name: str, rows: DataFrame, schema: pa.Schema, order: Sequence[str], size: int) -> tuple[JobObject, Spooled]:
        """Put rows of about `size` bytes under the attempt in the order of some columns; also the rows.

        Few come through the driver, which is quick. Many are written by Spark and go through this process piece by piece, since no driver
        holds them; either way the object is the same kind of Parquet (Spark's own keeps instants in nanoseconds, which end in 2262).
        """
        if size <= IN_THE_DRIVER_BYTES:
            table = rows.toArrow().cast(schema).sort_by([(column, "ascending") for column in order])
            return self._put(name, io.BytesIO(parquet_bytes(table)))
        instants = {field.name for field in schema if pa.types.is_timestamp(field.type)}
        plain = rows.selectExpr(*(f"unix_micros({column}) as {column}" if column in instants else column for column in schema.names))
        part, left = self._written_by_spark(name, plain, ", ".join(order))
        with self.store.read(self.request.bucket, part.key, part.etag) as there:
            spooled = Spooled(there)
        put = self.put_pieces(name, schema, (piece.cast(schema) for piece in spooled.pieces()))
        self._delete(left)
        return put

    def _written_by_spark(self, name: str, rows: DataFrame, order: str) -> tuple[FileStamp, list[FileStamp]]:
        """The one object of rows that Spark wrote in order, and everything that it left beside it."""
        folder = self.key(f"{name}/")
        one = query(f"select * from {{rows}} sort by {order}", rows=rows.repartition(1))
        one.write.mode("overwrite").option("compression", "zstd").parquet(f"{self.base}/{folder}")
        left = list(self.store.objects(self.request.bucket, folder))
        (part,) = (stamp for stamp in left if stamp.key.endswith(".parquet"))
        return part, left

    def _delete(self, left: Sequence[FileStamp]) -> None:
        for stamp in reversed(left):
            self.store.delete(stamp.bucket, stamp.key)


def objects_of(files: Sequence[JobFile]) -> list[str]:
    """The bronze objects of some files."""
    return [key for file in files for key in file.objects]


def of_each_file(values: Mapping[int, str]) -> str:
    """An SQL expression that gives each row of bronze the value of its file."""
    return f"map_from_arrays(array({', '.join(f'{file_id}L' for file_id in values)}), array({', '.join(values.values())}))[_file_id]"


def seq_of_each_file(files: Sequence[JobFile]) -> str:
    return of_each_file({file.file_id: f"{file.seq}L" for file in files})


def counted_files(files: Sequence[JobFile], rows: Mapping[int, int], cents: Mapping[int, int] | None = None) -> tuple[CountedFile, ...]:
    """What a job met of each file (by id), in seq order, compared with what the request counts.

    Raises:
        JobFailed: they differ, so bronze is not what the gate wrote.
    """
    for file in files:
        if rows.get(file.file_id, 0) != file.rows:
            what = f"bronze of file {file.file_id} (seq {file.seq}) holds {rows.get(file.file_id, 0)} rows"
            raise JobFailed(f"{what} where its gate counted {file.rows}")
    return tuple(CountedFile(file.file_id, file.seq, file.rows, None if cents is None else cents.get(file.file_id, 0)) for file in files)
