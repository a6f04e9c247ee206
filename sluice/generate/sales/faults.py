"""What is planted: rows that must be rejected, rows that must count although they are odd_rows, and files with something about them."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

Value = int | str | Decimal | dt.date | None
COLUMNS = ("customer_id", "store_id", "product_name", "sales_date", "sales_person_id", "price", "quantity", "total_cost")


class About(enum.Enum):
    """What is special about a file."""

    NOTHING = "nothing"
    EXTRA_COLUMNS = "extra columns"
    MISSING_COLUMN = "missing column"
    TOO_MANY_REJECTS = "too many rejected rows"
    COPIED = "copied"
    COPY = "the bytes of another file under another name"
    REPLACED = "replaced in the second wave"
    REPLACED_IN_VAIN = "replaced in the second wave by a file that is quarantined"
    REPLACEMENT = "replaces a file of the first wave"
    BAD_REPLACEMENT = "replaces a file of the first wave and lacks a column"
    LATE = "an older date, arrived in the second wave"

    @property
    def quarantined(self) -> bool:
        return self in {About.MISSING_COLUMN, About.BAD_REPLACEMENT, About.TOO_MANY_REJECTS}

    @property
    def lacks_column(self) -> bool:
        return self in {About.MISSING_COLUMN, About.BAD_REPLACEMENT}


class OddRows(enum.Enum):
    """Rows that count, and are told of. Of the tied sellers one sells exactly what the other does."""

    CUSTOMER_UNKNOWN = "customer_unknown"
    STORE_UNKNOWN = "store_unknown"
    SELLER_UNKNOWN = "seller_unknown"
    PRODUCT_UNKNOWN = "product_unknown"
    PRICE_STRANGE = "price_strange"
    TIED = "tied"
    TIED_TOO = "tied_too"


@dataclass(frozen=True)
class Reject:
    """One way for a row to be wrong.

    Attributes:
        name: what is wrong, as the data files of the tests are named.
        column: the column at fault.
        value: what stands there instead; None is null.
        typed: whether a Parquet column of the right type can hold it.
    """

    name: str
    column: str
    value: Value
    typed: bool = True

    def row(self, good: Mapping[str, Value]) -> dict[str, Value]:
        return {**good, self.column: self.value}


def good_row(day: dt.date) -> dict[str, Value]:
    """What the rejected rows are made of: right in itself, by nobody the dimensions know."""
    price, quantity = Decimal("12.50"), 3
    return dict(zip(COLUMNS, (1, 1, "Rejected goods", day, 1, price, quantity, price * quantity), strict=True))


def rejects(day: dt.date, *, typed: bool) -> list[Reject]:
    """The ways to be wrong in a file of this date; only those a typed column can hold where `typed`."""
    every = (
        Reject("total_wrong", "total_cost", Decimal("37.51")),
        Reject("total_not_a_number", "total_cost", "much", typed=False),
        Reject("quantity_zero", "quantity", 0),
        Reject("quantity_null", "quantity", None),
        Reject("quantity_not_an_integer", "quantity", "3.5", typed=False),
        Reject("price_three_decimals", "price", "12.500", typed=False),
        Reject("price_null", "price", None),
        Reject("customer_null", "customer_id", None),
        Reject("customer_not_an_integer", "customer_id", "1a", typed=False),
        Reject("store_null", "store_id", None),
        Reject("seller_null", "sales_person_id", None),
        Reject("product_null", "product_name", None),
        Reject("date_null", "sales_date", None),
        Reject("date_not_in_the_calendar", "sales_date", "2026-02-30", typed=False),
        Reject("date_after_its_file", "sales_date", day + dt.timedelta(days=2)),
    )
    return [one for one in every if one.typed or not typed]
