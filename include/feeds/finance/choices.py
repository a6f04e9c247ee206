"""What the feeds of finance have in common, and may be asked for."""

from __future__ import annotations

from include.ingestion.feed import Choice

GROUP = "finance"
FORMATS = ("parquet", "csv", "delta", "json")
OUTPUT_FORMAT = Choice(
    "output_format", "parquet", FORMATS, "The format of the tables below lake/finance/ that follow the batches this run opens."
)
