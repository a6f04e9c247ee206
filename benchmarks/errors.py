"""How a measurement fails: a figure that cannot be trusted is no figure."""

from __future__ import annotations

from include.ingestion.errors import SluiceError


class BenchmarkFailed(SluiceError):
    """What was measured is not what should have been measured."""
