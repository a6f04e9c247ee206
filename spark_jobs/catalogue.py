"""The Spark jobs by name: what each domain's folder says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from include.domains import DOMAINS
from include.errors import UsageError
from include.pipeline.message import JobRequest, Manifest


@dataclass(frozen=True)
class SparkJob:
    """What a job is asked, and what it does."""

    request: type[JobRequest]
    run: Callable[[Any], Manifest]


_JOBS = {request.job: SparkJob(request, run) for domain in DOMAINS for request, run in import_module(f"spark_jobs.{domain}").JOBS.items()}


def job_named(name: str) -> SparkJob:
    """The job of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in _JOBS:
        raise UsageError(f"there is no Spark job {name!r}; there are: {', '.join(sorted(_JOBS))}")
    return _JOBS[name]
