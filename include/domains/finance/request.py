"""What the job of finance is asked, and the manifest that it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from include.pipeline.message import BatchRequest, JobObject, JobObjects, Manifest


@dataclass(frozen=True, kw_only=True)
class LatestRequest(BatchRequest):
    """Pick the latest row of each id in each of these files, and find what is unusual in them."""

    job: ClassVar[str] = "pick_latest_rows"


@dataclass(frozen=True)
class LatestObjects(JobObjects):
    upserts: JobObject
    findings: JobObject


@dataclass(frozen=True, kw_only=True)
class LatestManifest(Manifest):
    objects: LatestObjects
