"""What a feed promises of its files: columns, types, rules. The Great Expectations suite is built from it."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from fractions import Fraction

from include.ingestion.errors import UsageError

MONEY = r"[0-9]{1,9}(\.[0-9]{1,2})?"


class Stored(enum.Enum):
    """How an accepted value lies in bronze."""

    TEXT = "text"
    BIGINT = "bigint"
    CENTS = "cents"  # money text to exact integer cents


@dataclass(frozen=True)
class Column:
    """One column of a feed's files and the rules its values keep. All values arrive as text; empty text is null.

    Attributes:
        name: its name in the file, compared exactly.
        null: whether a row may leave it empty.
        matches: a regular expression that a whole value must match, or None.
        one_of: the only values allowed, or None.
        stored: its type in bronze.
        stored_as: its name in bronze; the file's name where empty.
    """

    name: str
    null: bool = False
    matches: str | None = None
    one_of: tuple[str, ...] | None = None
    stored: Stored = Stored.TEXT
    stored_as: str = ""

    @property
    def bronze_name(self) -> str:
        return self.stored_as or self.name


@dataclass(frozen=True)
class Contract:
    """The promise of one feed's files.

    Attributes:
        columns: the mandatory columns, in the order bronze keeps them.
        ignored: columns that may be there and are not read.
        delimiter, quote: one byte each, as text.
        multiline: whether a quoted value may span lines; no reader of this release reads such files, so it is refused.
        tolerance: the share of rejected rows above which the whole file is quarantined.
        max_bytes: refused above this many bytes of content, after decompression.
        max_line_bytes: a physical line longer than this condemns the file (memory stays bounded).
    """

    version: int
    columns: tuple[Column, ...]
    ignored: frozenset[str] = frozenset()
    delimiter: str = ","
    quote: str = '"'
    multiline: bool = False
    tolerance: Fraction = Fraction(1, 10)
    max_bytes: int = 64 * 2**30
    max_line_bytes: int = 16 * 2**20

    def __post_init__(self) -> None:
        """Refuse what no reader keeps.

        Raises:
            UsageError: `multiline`.
        """
        if self.multiline:
            raise UsageError("a contract cannot be multiline in this release: a record is one line, and no reader joins several")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def digest(self) -> str:
        """The first 12 hex digits of a sha256 over everything the contract says: recorded with what it judged."""
        said = repr((self.version, self.columns, sorted(self.ignored), self.delimiter, self.quote, self.multiline, self.tolerance))
        return hashlib.sha256(said.encode()).hexdigest()[:12]
