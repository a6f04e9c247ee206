"""The version of the code that judged a file or made a batch: the release, and a digest of the sources that decide."""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_DECIDING = ("include", "spark_jobs")


@functools.cache
def code_version() -> str:
    """Release and source digest, such as `0.1.0+3f9c2a81`: two equal values are the same deciding code."""
    digest = hashlib.sha256()
    for folder in _DECIDING:
        for path in sorted((_ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(_ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{version('sluice')}+{digest.hexdigest()[:8]}"
