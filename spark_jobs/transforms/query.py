"""A query over frames by name, on whatever kind of session they belong to; no view outlives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def query(text: str, **frames: DataFrame) -> DataFrame:
    """The answer to an SQL text in which `{name}` stands for the frame of that name."""
    return next(iter(frames.values())).sparkSession.sql(text, **frames)
