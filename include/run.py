"""A run: who works, since when, with what limits and thresholds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """One run of a feed's ingest, in Airflow or from the command line.

    Attributes:
        run_id: how the ledger names it: the Airflow run, or the command with host and process.
        started_at: becomes `YStartTime` of what it detects.
        parameters: every threshold and choice of the feed, for the batches this run opens.
        max_files, max_bytes: what one batch takes at most.
        key_prefix: limits the listing, never the order.
        full: list everything; otherwise the last three dates and the undated keys.
        dates: list the files of these dates only; limits the listing like `key_prefix`, never the order.
    """

    run_id: str
    started_at: dt.datetime
    parameters: Mapping[str, Any] = field(default_factory=dict)
    max_files: int = 100
    max_bytes: int = 2 * 2**30
    key_prefix: str = ""
    full: bool = True
    dates: frozenset[dt.date] | None = None
