"""Which code a job's results come from."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import pyspark


@functools.cache
def code_digest() -> str:
    """The first 16 hex digits of a sha256 over every module of `spark_jobs` and the version of Spark's client."""
    digest = hashlib.sha256(pyspark.__version__.encode())
    folder = Path(__file__).parent
    for module in sorted(folder.rglob("*.py")):
        digest.update(module.relative_to(folder).as_posix().encode())
        digest.update(module.read_bytes())
    return digest.hexdigest()[:16]
