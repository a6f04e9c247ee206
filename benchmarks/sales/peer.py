"""What the peers of sales are asked, and the stages that all ways have."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peer_process import told_job

CHECK, MARTS, LAKE = "read, check, keep the rows", "marts in PostgreSQL", "star in the lake"


@dataclass(frozen=True)
class SalesJob:
    """What a peer is asked: take the files named in `facts` (keys), and the dimensions as well if they are given.

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


def read_job() -> SalesJob:
    """In the peer: its job."""
    return SalesJob(**told_job())
