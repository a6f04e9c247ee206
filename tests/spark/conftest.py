"""One classic Spark session for all tests here, and a store on a folder: these tests need no service."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from include.errors import AlreadyThere, ObjectGone
from include.files.file import FileStamp, ObjectRef
from include.settings import S3Settings, SparkSettings
from spark_jobs import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spark's own gateway leaves sockets to the garbage collector, at a time of its choosing."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


class FolderStore:
    """The part of the `ObjectStore` port that jobs use, on a folder that Spark reads with `file://`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = folder.as_uri()
        self.written: list[str] = []

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, rows: int = 0, if_absent: bool = False) -> ObjectRef:
        path = self.folder / key
        if if_absent and path.exists():
            raise AlreadyThere(bucket, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = body if isinstance(body, bytes) else body.read()
        path.write_bytes(content)
        self.written.append(key)
        return ObjectRef(key, len(content), hashlib.md5(content).hexdigest(), rows)

    def read_bytes(self, bucket: str, key: str, etag: str | None = None) -> bytes:
        try:
            return (self.folder / key).read_bytes()
        except FileNotFoundError as gone:
            raise ObjectGone(bucket, key, etag or "-", "gone") from gone

    def read(self, bucket: str, key: str, etag: str | None = None) -> BinaryIO:
        return io.BytesIO(self.read_bytes(bucket, key, etag))

    def objects(self, bucket: str, prefix: str) -> Iterator[FileStamp]:
        for path in sorted((self.folder / prefix).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                etag = hashlib.md5(path.read_bytes()).hexdigest()
                yield FileStamp(bucket, path.relative_to(self.folder).as_posix(), etag, path.stat().st_size, dt.datetime.now(dt.UTC))

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, etag: str) -> ObjectRef:
        content = self.read_bytes(bucket, key)
        assert hashlib.md5(content).hexdigest() == etag
        return self.put(to_bucket, to_key, content)

    def delete(self, bucket: str, key: str, etag: str | None = None) -> bool:  # noqa: ARG002 (the port's)
        (self.folder / key).unlink()
        return True


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bucket")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    settings = SparkSettings("local[2]", conf=(("spark.driver.bindAddress", "127.0.0.1"), ("spark.driver.host", "127.0.0.1")))
    opened = session.classic(settings, S3Settings("bucket"))
    yield opened
    opened.stop()
