"""How files are written."""

from __future__ import annotations

import enum
import gzip
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Format(enum.StrEnum):
    """How facts and dimensions are written."""

    CSV = "csv"
    CSV_GZ = "csv.gz"
    JSONL = "jsonl"
    JSONL_GZ = "jsonl.gz"
    PARQUET = "parquet"

    @property
    def is_csv(self) -> bool:
        return self in {Format.CSV, Format.CSV_GZ}

    def opened(self, out: Any) -> AbstractContextManager[Any]:
        """Where the text of such a file is written to: `out`, or a gzip member in it that holds no time and no name."""
        zipped = self in {Format.CSV_GZ, Format.JSONL_GZ}
        return gzip.GzipFile("", "wb", 1, out, mtime=0) if zipped else nullcontext(out)
