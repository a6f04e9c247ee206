"""What a feed promises of its files: columns, types, rules. The Great Expectations suite is built from it."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from include.errors import UsageError

MONEY = r"[0-9]{1,9}(\.[0-9]{1,2})?"
DECIMAL6 = r"[0-9]{1,12}(\.[0-9]{1,6})?"

_MOST = str(2**63 - 1)
_NINETEEN = "|".join(
    [_MOST, *(f"{_MOST[:place]}[0-{int(digit) - 1}][0-9]{{{18 - place}}}" for place, digit in enumerate(_MOST) if digit > "0")]
)  # the numbers of 19 digits up to 2^63 - 1
BIGINT = rf"-?(?:[0-9]{{1,18}}|{_NINETEEN})|-{2**63}"
WHOLE = rf"[0-9]{{1,18}}|{_NINETEEN}"  # a whole number from 0 that a bigint holds
COUNT = rf"(?!0+\Z)(?:[0-9]{{1,18}}|{_NINETEEN})"  # a whole number from 1 that a bigint holds

_COMMON = r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
_LEAP = r"(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)"
DATE = rf"(?:[1-9][0-9]{{3}}-{_COMMON}|{_LEAP}-02-29)"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)"
TIMESTAMP = rf"(?!9999-12-31.*[0-9]-)(?:{DATE})(?:[T ]{_TIME}{_ZONE}?)?"
EPOCH = r"-?[0-9]{1,15}"
INSTANT = rf"(?:{DATE})[T ]{_TIME}{_ZONE}?|{EPOCH}"

NO_BIGINT = "is no whole number that a bigint holds"
NO_COUNT = "is no whole number from 1"
NO_MONEY = "is no amount like 1234.50"
NO_DECIMAL6 = "is no amount like 1234.567890 of at most 12 digits and 6 decimals"
NO_WHOLE = "is no whole number from 0 that a bigint holds"
NO_DATE = "is no date like 2026-11-21"
NO_TIMESTAMP = "is neither a date nor a timestamp like 2026-11-21T10:00:00Z"
NO_INSTANT = "is neither a timestamp like 2026-11-21T10:00:00Z nor a whole number of seconds or milliseconds since 1970"


@dataclass(frozen=True)
class Bound:
    """How much a text may hold at most, in a unit that is counted alike in every format."""

    unit: Literal["characters", "bytes"]
    most: int

    @property
    def broken(self) -> str:
        """What is said of a text that holds more, after its name."""
        return f"is longer than {self.most:,} {self.unit}"


# A text that names something or is indexed: two of them, and a word beside, fit the 2,704 bytes of an index row of PostgreSQL.
OF_A_KEY = (Bound("characters", 512), Bound("bytes", 1024))
OF_A_TEXT = (Bound("characters", 32_768),)
OF_A_RECORD = Bound("characters", 1_048_576)


class Stored(enum.Enum):
    """How an accepted value lies in bronze."""

    TEXT = "text"
    BIGINT = "bigint"
    CENTS = "cents"  # money text to exact integer cents
    DECIMAL = "decimal"  # money text to decimal(12, 2)
    DECIMAL6 = "decimal6"  # to decimal(18, 6)
    DATE = "date"
    TIMESTAMP = "timestamp"  # microseconds, UTC; text without a zone is UTC, a date alone its midnight
    INSTANT = "instant"  # the same, or seconds since 1970; milliseconds where the number is 1e11 or more, whatever its sign


DECIMALS = {Stored.CENTS: 2, Stored.DECIMAL: 2, Stored.DECIMAL6: 6}


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
        says: what is said of a value that does not match, after the column's name; where empty, the expression is shown.
        optional: whether a file may be without it altogether; it is null throughout then.
        path: where the value lies in a JSON record, from the outermost key; the name alone where empty.
        unzoned_as: the name in bronze of a column that says where a timestamp came without its zone; none where empty.
        is_key: whether a text names something, or lies in an index: such a one is shorter than others.
    """

    name: str
    null: bool = False
    matches: str | None = None
    one_of: tuple[str, ...] | None = None
    stored: Stored = Stored.TEXT
    stored_as: str = ""
    says: str = field(default="", repr=False)
    optional: bool = field(default=False, repr=False)
    path: tuple[str, ...] = field(default=(), repr=False)
    unzoned_as: str = field(default="", repr=False)
    is_key: bool = field(default=False, repr=False)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """How long its values may be; nothing where an expression or a list of values says it."""
        if self.stored is not Stored.TEXT or self.matches is not None or self.one_of is not None:
            return ()
        return OF_A_KEY if self.is_key else OF_A_TEXT

    @property
    def bronze_name(self) -> str:
        return self.stored_as or self.name

    @property
    def decimals(self) -> int | None:
        """How many decimals its amounts have; None where it holds none."""
        return DECIMALS.get(self.stored)

    def in_units(self, smallest: int) -> str:
        """An amount that is counted in its smallest unit, as files write it.

        >>> money("m").in_units(450), decimal6("d").in_units(70001)
        ('4.50', '0.070001')
        """
        assert self.decimals is not None, "it holds amounts"
        return f"{smallest // 10**self.decimals}.{smallest % 10**self.decimals:0{self.decimals}}"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that lead to the value in a JSON record."""
        return self.path or (self.name,)


def bigint(name: str, *, null: bool = False, optional: bool = False) -> Column:
    """A column of whole numbers."""
    return Column(name, null, BIGINT, stored=Stored.BIGINT, says=NO_BIGINT, optional=optional)


def money(name: str, *, null: bool = False) -> Column:
    """A column of amounts, exact to the cent."""
    return Column(name, null, MONEY, stored=Stored.DECIMAL, says=NO_MONEY)


def decimal6(name: str) -> Column:
    """A column of amounts that are not negative, with up to 6 decimals."""
    return Column(name, False, DECIMAL6, stored=Stored.DECIMAL6, says=NO_DECIMAL6)


def whole(name: str) -> Column:
    """A column of whole numbers that are not negative."""
    return Column(name, False, WHOLE, stored=Stored.BIGINT, says=NO_WHOLE)


def date(name: str, *, null: bool = False) -> Column:
    """A column of calendar dates."""
    return Column(name, null, DATE, stored=Stored.DATE, says=NO_DATE)


def timestamp(name: str, *, null: bool = False) -> Column:
    """A column of dates or timestamps, kept as instants."""
    return Column(name, null, TIMESTAMP, stored=Stored.TIMESTAMP, says=NO_TIMESTAMP)


def instant(name: str, stored_as: str, unzoned_as: str) -> Column:
    """A column of moments: timestamps with a time of day, or seconds or milliseconds since 1970."""
    return Column(name, False, INSTANT, stored=Stored.INSTANT, stored_as=stored_as, says=NO_INSTANT, unzoned_as=unzoned_as)


def text(name: str, *, null: bool = False, path: tuple[str, ...] = ()) -> Column:
    """A column of any text; in JSON at the end of a path of keys, where it has one."""
    return Column(name, null, path=path)


def key_text(name: str, *, null: bool = False, path: tuple[str, ...] = (), stored_as: str = "") -> Column:
    """A column of texts that name something: a product, a merchant, an exchange."""
    return Column(name, null, stored_as=stored_as, path=path, is_key=True)


@dataclass(frozen=True)
class IsProduct:
    """In each row the money in `column` is that in `price` times the whole number in `quantity`, to the cent."""

    column: str
    price: str
    quantity: str

    @property
    def columns(self) -> tuple[str, ...]:
        return self.column, self.price, self.quantity


@dataclass(frozen=True)
class NotAfterFile:
    """In each row the date in `column` is at most `days` after the file's date."""

    column: str
    days: int

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)


@dataclass(frozen=True)
class Within:
    """In each row the instant in `column` is not before `first`, and before `end`; both lie on whole seconds."""

    column: str
    first: dt.datetime
    end: dt.datetime

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)


RowRule = IsProduct | NotAfterFile | Within


@dataclass(frozen=True)
class Contract:
    """The promise of one feed's files.

    Attributes:
        columns: the columns of the feed, in the order bronze keeps them; mandatory where not optional.
        ignored: columns that may be there and are not read.
        delimiter, quote: one byte each, as text.
        multiline: whether a quoted value may span lines; no reader of this release reads such files, so it is refused.
        tolerance: the share of rejected rows above which the whole file is quarantined.
        max_bytes: refused above this many bytes of content, after decompression.
        max_line_bytes: a physical line or JSON element longer than this condemns the file (memory stays bounded).
        rules: what a row must keep beyond its single values; a row with a value missing or unreadable breaks none.
        summed: the column of amounts that reconciliation adds up; the first one where empty.
        record: how long all values of a row may be together, with what it says beyond the contract.
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
    rules: tuple[RowRule, ...] = ()
    summed: str = ""
    record: Bound = OF_A_RECORD

    def __post_init__(self) -> None:
        """Refuse what no reader keeps.

        Raises:
            UsageError: `multiline`, or a rule on a column that is not there.
        """
        if self.multiline:
            raise UsageError("a contract cannot be multiline in this release: a record is one line, and no reader joins several")
        strangers = {name for rule in self.rules for name in rule.columns}.difference(self.names)
        if strangers:
            raise UsageError(f"a rule of the contract names {', '.join(sorted(strangers))}, which is none of its columns")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def mandatory(self) -> tuple[str, ...]:
        """The names that every file has."""
        return tuple(column.name for column in self.columns if not column.optional)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def amount(self) -> Column | None:
        """The column whose amounts are added up, in the smallest unit that it has: hundredths of money."""
        if self.summed:
            return self.column(self.summed)
        return next((column for column in self.columns if column.decimals is not None), None)

    @property
    def digest(self) -> str:
        """The first 12 hex digits of a sha256 over everything the contract says: recorded with what it judged."""
        text_form = repr((self.version, self.columns, sorted(self.ignored), self.delimiter, self.quote, self.multiline, self.tolerance))
        text_form += "".join(f";{part!r}" for part in self._later_parts())
        return hashlib.sha256(text_form.encode()).hexdigest()[:12]

    def _later_parts(self) -> Iterator[object]:
        """What contracts could not say when the first digests were recorded; nothing where this one does not say it either."""
        for column in self.columns:
            if column.optional or column.path:
                yield column.name, column.optional, column.path
            if column.unzoned_as:
                yield column.name, column.unzoned_as
        yield from self.rules
        for column in self.columns:
            if column.bounds:
                yield column.name, column.bounds
        yield self.record
