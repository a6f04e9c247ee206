"""Checked and typed rows of any stream, by the same code as the gate's: for what is loaded beside the feeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from include.contract import Contract
from include.quality.bronze import typed
from include.quality.formats import is_zipped, reader_for
from include.quality.lines import PIECE_BYTES, Content
from include.quality.rejects import Reason, reasons_by_row
from include.quality.validation import gathered, validate


@dataclass(frozen=True)
class Piece:
    """A stretch of a file: its accepted rows as bronze types them, and why the others were rejected, by line."""

    table: pa.Table
    lines: int
    rejected: tuple[tuple[int, tuple[Reason, ...]], ...]


def accepted_rows(contract: Contract, stream: BinaryIO, name: str) -> Iterator[Piece]:
    """Parse and validate a stream whose format is told by the ending of `name`; tolerance is the caller's to ask.

    Raises:
        Quarantined: the stream as a whole does not keep the contract (header, encoding, gzip, no rows).
    """
    content = Content(stream, zipped=is_zipped(name), max_bytes=contract.max_bytes)
    pieces = ((None, rows) for rows in reader_for(name)(content, contract, PIECE_BYTES))
    for group in gathered(pieces):
        together = [rows for _, rows in group]
        for rows, findings in zip(together, validate(contract, together), strict=True):
            rejected = ((int(rows.lines[row]), reasons) for row, reasons in reasons_by_row(rows, findings))
            yield Piece(typed(contract, rows, findings.accepted), len(rows), tuple(rejected))
