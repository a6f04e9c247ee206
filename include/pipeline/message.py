"""What passes between processes as JSON: what every Spark job is asked, and the manifest that it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from pydantic import TypeAdapter

from include.files.batch import Batch, BatchFile
from include.files.file import ObjectRef

Json = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Message:
    """A value that is written as JSON and read back by other code than that which wrote it: `format` says whether it can."""

    format: int = 1

    def to_json(self) -> dict[str, object]:
        written: dict[str, object] = TypeAdapter(type(self)).dump_python(self, mode="json", by_alias=True)
        return written

    @classmethod
    def from_json(cls, written: Json) -> Self:
        """Read one back.

        Raises:
            ValueError: a format that this code does not know, or a value that does not fit.
        """
        if written["format"] != cls.format:
            raise ValueError(f"a {cls.__name__} of format {written['format']!r}; this code reads format {cls.format}")
        read: Self = TypeAdapter(cls).validate_python(written)
        return read


@dataclass(frozen=True)
class JobFile:
    """A file that a job reads: the bronze objects with its accepted rows, and how many these are.

    Attributes:
        seq: its place in its feed's order; of a superseded file that of the file which takes its place.
    """

    file_id: int
    seq: int
    objects: tuple[str, ...]
    rows: int = 0

    @classmethod
    def of(cls, file: BatchFile, seq: int | None = None) -> JobFile:
        return JobFile(file.file_id, file.seq if seq is None else seq, tuple(ref.key for ref in file.bronze), file.rows)


@dataclass(frozen=True, kw_only=True)
class JobRequest(Message):
    """What every Spark job is asked.

    Attributes:
        job: the name of the job.
        bucket: that of the objects it names.
        output: the folder of its results there.
    """

    job: ClassVar[str]
    feed: str
    batch: int
    attempt: int
    bucket: str
    output: str


@dataclass(frozen=True, kw_only=True)
class BatchRequest(JobRequest):
    """What a job is asked of a batch.

    Attributes:
        files: those of the batch, in seq order.
    """

    files: tuple[JobFile, ...]

    @classmethod
    def of_batch(cls, batch: Batch, attempt: int, bucket: str, output: str, **more: object) -> Self:
        """A request with the batch's files; `more`: what the kind of request has beside them."""
        head = {"feed": batch.feed, "batch": batch.number, "attempt": attempt, "bucket": bucket, "output": output}
        return cls(**{"files": tuple(map(JobFile.of, batch.files)), **head, **more})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class JobObject(ObjectRef):
    """An object under an attempt; the sha256 of its bytes where a later look at it needs it."""

    sha256: str | None = None


@dataclass(frozen=True)
class CountedFile:
    """How many accepted rows of a file a job met, and what they amount to where the feed counts money."""

    file_id: int
    seq: int
    rows: int
    cents: int | None = None


@dataclass(frozen=True)
class JobObjects:
    """The objects under an attempt by name; a kind of job says which."""


@dataclass(frozen=True, kw_only=True)
class Manifest(Message):
    """What a job leaves, written last: an attempt without one has no results.

    Attributes:
        code: digest of the code that ran.
        files: the batch, in seq order.
        seconds: how long each part of the work took.
    """

    feed: str
    batch: int
    attempt: int
    code: str
    objects: JobObjects = JobObjects()
    files: tuple[CountedFile, ...] = ()
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, object]:
        written: dict[str, object] = TypeAdapter(type(self)).dump_python(self, mode="json", by_alias=True, exclude_none=True)
        return written
