"""Where generated files go: a folder, the landing of a bucket, or nowhere."""

from __future__ import annotations

import io
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from include.files.keys import landing, landing_file
from include.settings import S3Settings
from sluice.generate.sales.dimension_file import DimensionFile
from sluice.generate.sales.plan import FactFile

SECOND_WAVE = "second-wave"
AnyFile = FactFile | DimensionFile


class Target(ABC):
    """A place that takes files one by one, in any order, from several processes."""

    @abstractmethod
    def opened(self, file: AnyFile) -> Any:
        """Where to write a file's bytes, as a context; at its end the file is there, whole."""


@dataclass(frozen=True)
class Folder(Target):
    """Feeds and dates as folders below `root`; what comes in the second wave lies in a folder of its own, as it may reuse a name."""

    root: Path

    def path(self, file: AnyFile) -> Path:
        top = self.root if file.wave == 1 else self.root / SECOND_WAVE
        return top / file.feed / f"dt={file.day.isoformat()}" / file.name

    @contextmanager
    def opened(self, file: AnyFile) -> Iterator[BinaryIO]:
        path = self.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as out:
                yield out
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@dataclass(frozen=True)
class Landing(Target):
    """The landing of a bucket. A file is made beside, then put: S3 has no file that grows."""

    where: S3Settings

    @contextmanager
    def opened(self, file: AnyFile) -> Iterator[BinaryIO]:
        from include.clients import s3_client
        from include.storage.s3 import S3Store

        with tempfile.TemporaryFile() as out:
            yield out
            out.seek(0)
            S3Store(s3_client(self.where)).put(self.where.bucket, landing_file(landing(file.feed), file.day, file.name), out)


@dataclass(frozen=True)
class Nowhere(Target):
    """For files that are made to learn about them."""

    @contextmanager
    def opened(self, file: AnyFile) -> Iterator[BinaryIO]:  # noqa: ARG002 (the port's)
        yield _Sink()  # type: ignore[misc]


class _Sink(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        return memoryview(piece).nbytes
