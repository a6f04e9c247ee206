"""Rows as lines of CSV or JSON. A line is joined from texts made once: nothing is formatted a row at a time."""

from __future__ import annotations

import datetime as dt
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.generate.sales.draw import DATES, PAYMENTS, Rows
from sluice.generate.sales.faults import COLUMNS, Value
from sluice.generate.sales.population import MOST_QUANTITY, Population

PAYMENT = "payment_mode"
_QUOTED = re.compile(r'[,"\r\n]')


@dataclass(frozen=True)
class Shape:
    """What the lines of a file hold: its dates, the column it lacks, whether it has one more than it should."""

    dates: tuple[dt.date, ...]
    lacks: str | None = None
    payment: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """In the order of the file."""
        extra = (PAYMENT,) if self.payment else ()
        return tuple(name for name in (*COLUMNS, *extra) if name != self.lacks)


@dataclass(frozen=True)
class Style:
    """How one value and one row are written.

    Attributes:
        value: the text of a column's value, with what must stand before it on the line; "" where a null leaves nothing.
        line: a whole row of columns and values; the end of the line included.
        end: of a line made of such values; the first value's leading comma is never written.
    """

    value: Callable[[str, Value], str]
    line: Callable[[Mapping[str, Value]], bytes]
    first: str
    end: str


def csv_field(value: Value) -> str:
    """A value as CSV has it, quoted where it must be.

    >>> csv_field('the "old" kind'), csv_field(None), csv_field(Decimal("1.50"))
    ('"the ""old"" kind"', '', '1.50')
    """
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def json_value(value: Value) -> str:
    """A value as JSON has it: numbers by their literal text.

    >>> json_value(Decimal("1.50")), json_value("a"), json_value(None)
    ('1.50', '"a"', 'null')
    """
    return str(value) if isinstance(value, Decimal | int) else json.dumps(None if value is None else str(value), ensure_ascii=False)


def csv_line(values: Iterable[Value]) -> bytes:
    return (",".join(map(csv_field, values)) + "\n").encode()


def json_line(row: Mapping[str, Value]) -> bytes:
    return ("{" + ",".join(f'"{name}":{json_value(value)}' for name, value in row.items()) + "}\n").encode()


CSV = Style(lambda _, value: "," + csv_field(value), lambda row: csv_line(row.values()), "", "\n")
JSON = Style(
    lambda name, value: "" if value is None and name == PAYMENT else f',"{name}":{json_value(value)}',
    json_line,
    "{",
    "}\n",
)


def lines(style: Style, people: Population, shape: Shape, rows: Rows) -> Any:
    """The rows as an Arrow array of one text each, line ends included: its data is what the file holds."""
    texts = _texts(style, people, shape)
    number_of: dict[str, Any] = {
        "customer": rows.customer,
        "pair": rows.pair,
        "goods": rows.product * DATES + rows.days_ago,
        "sale": rows.sale,
        "payment": rows.payment,
    }
    pieces = [text.take(pa.array(number_of[by])) for by, text in texts]
    return pc.binary_join_element_wise(*pieces, "")


def _texts(style: Style, people: Population, shape: Shape) -> list[tuple[str, Any]]:
    """Pieces of a line in their order: what each is numbered by, and its text for each number."""
    pieces = [(by, shown) for by, names in _PIECES if (shown := tuple(name for name in names if name in shape.columns))]
    last = len(pieces) - 1
    return [
        (by, _piece(style, people, by, shown, shape.dates if by == "goods" else (), first=at == 0, last=at == last))
        for at, (by, shown) in enumerate(pieces)
    ]


@functools.lru_cache(maxsize=64)
def _piece(
    style: Style, people: Population, by: str, shown: tuple[str, ...], dates: tuple[dt.date, ...], *, first: bool, last: bool
) -> Any:
    """The texts of these columns for every number, with what opens a line and what ends it; only those of goods differ by date."""
    values = _VALUES[by](people, dates)
    texts = ["".join(map(style.value, shown, row)) for row in zip(*(values[name] for name in shown), strict=True)]
    if first:
        texts = [style.first + text.removeprefix(",") for text in texts]
    if last:
        texts = [text + style.end for text in texts]
    return pa.array(texts, pa.string())


_PIECES = (
    ("customer", ("customer_id",)),
    ("pair", ("store_id",)),
    ("goods", ("product_name", "sales_date")),
    ("pair", ("sales_person_id",)),
    ("sale", ("price", "quantity", "total_cost")),
    ("payment", (PAYMENT,)),
)
_VALUES: dict[str, Callable[[Population, tuple[dt.date, ...]], dict[str, list[Any]]]] = {
    "customer": lambda people, _: {"customer_id": people.customers.tolist()},
    "pair": lambda people, _: {"store_id": people.pair_store.tolist(), "sales_person_id": people.pair_seller.tolist()},
    "goods": lambda people, dates: {
        "product_name": [name for name in people.products for _ in dates],
        "sales_date": list(dates) * len(people.products),
    },
    "sale": lambda people, _: _sales(people),
    "payment": lambda _, __: {PAYMENT: list(PAYMENTS)},
}


def _sales(people: Population) -> dict[str, list[Any]]:
    """Price, quantity and total of everything that can be sold, by the number of a sale."""
    sales = [(cents, quantity) for cents in people.prices.ravel().tolist() for quantity in range(1, MOST_QUANTITY + 1)]
    return {
        "price": [Decimal(cents).scaleb(-2) for cents, _ in sales],
        "quantity": [quantity for _, quantity in sales],
        "total_cost": [Decimal(cents * quantity).scaleb(-2) for cents, quantity in sales],
    }
