"""What the gate says of a file, from which the ledger's row, the error object and the log line are made; and what a second reading says."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.files.file import ObjectRef

REPORT_FORMAT = 1


class Fault(enum.StrEnum):
    """Why a whole file is refused. The value is the code in the ledger's `reason_code`."""

    OBJECT_GONE = "object_gone"
    EMPTY = "empty"
    FORMAT = "format"
    NO_ROWS = "no_rows"
    HEADER_UNREADABLE = "header_unreadable"
    COLUMN_MISSING = "column_missing"
    COLUMN_DOUBLED = "column_doubled"
    COLUMN_UNNAMED = "column_unnamed"
    COLUMN_TYPE = "column_type"
    ENCODING = "encoding"
    NUL_BYTE = "nul_byte"
    GZIP_BROKEN = "gzip_broken"
    TOO_LARGE = "too_large"
    LINE_TOO_LONG = "line_too_long"
    QUOTE_OPEN = "quote_open"
    TOO_MANY_REJECTS = "too_many_rejects"
    OVERWRITE = "overwrite"
    REFERENCE = "reference"
    NOTHING_FIXED = "nothing_fixed"
    POISON = "poison"
    UNREADABLE = "unreadable"
    GIVEN_UP = "given_up"


STAYS_WHERE_IT_LIES = frozenset({Fault.UNREADABLE})
"""Nobody can copy an object that the store does not give."""


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on one file, before sameness and the overwrite policy are asked.

    Attributes:
        fault, reason: why the file is refused, in code and in one sentence without row values; None if accepted.
        sha256: of the raw object bytes; None where reading stopped before the end.
        lines, accepted, rejected: rows; all three None where reading stopped. lines = accepted + rejected.
        bronze: the Parquet objects with the accepted rows, in line order; empty if refused.
        rejects: the object with the rejected rows as `rejects.csv`, if any row was rejected.
        bronze_digest: sha256 over the logical accepted rows, independent of Parquet's bytes.
        decoded_bytes: of the values in bronze, each as often as it stands there, however little it takes encoded; None if refused.
        parent, fixes: of a row fix the file whose rows it corrects, and the lines that came in.
        header: the names in the file's header, where rows were rejected and may come back corrected.
        touched: the distinct values of the feed's `touch_column`, sorted; None = too many to name.
        report: what `report.json` says: counts by (column, rule), first rejected lines. Bounded, JSON, no row values.
        seconds: time this file took in the gate; gx_seconds: its share of Great Expectations.
    """

    file_id: int
    fault: Fault | None = None
    reason: str | None = None
    sha256: str | None = None
    lines: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    bronze: tuple[ObjectRef, ...] = ()
    rejects: ObjectRef | None = None
    bronze_digest: str | None = None
    decoded_bytes: int | None = None
    parent: int | None = None
    fixes: tuple[int, ...] = ()
    header: tuple[str, ...] | None = None
    touched_values: tuple[str, ...] | None = ()
    report: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    gx_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.fault is None


@dataclass(frozen=True)
class Reread:
    """Bronze read once more.

    Attributes:
        digest: over the logical rows; None where an object cannot be read.
        amount: the sum of the contract's `amount` column in its smallest unit, None where it has none.
        key, fault: the object that is wrong and what about it; None where all could be read.
    """

    rows: int
    digest: str | None
    amount: int | None
    key: str
    fault: str | None


@dataclass(frozen=True)
class Recount:
    """An original read once more. `rejected`, `amount_rejected`: of the lines that `rejects.csv` names and the original has."""

    sha256: str
    lines: int
    rejected: int
    amount: int | None
    amount_rejected: int | None
