"""The job of the peers of sales, and the stages that all ways have."""

from __future__ import annotations

from dataclasses import dataclass

CHECK, MARTS, LAKE = "read, check, keep the rows", "marts in PostgreSQL", "star in the lake"


@dataclass(frozen=True)
class SalesJob:
    """A peer is to take the files named in `facts` (keys), and the dimensions as well if there are any.

    Attributes:
        folder: it may write here, and finds what it left.
        schema: its schema in PostgreSQL, made empty when `fresh`.
        lake: the prefix in the bucket that it writes below.
    """

    folder: str
    bucket: str
    facts: list[str]
    dimensions: dict[str, list[str]]
    schema: str
    lake: str
    fresh: bool
