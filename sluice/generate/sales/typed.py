"""Rows as Parquet columns: integers, decimals and dates, never a float."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.generate.sales.draw import PAYMENTS, Rows
from sluice.generate.sales.faults import COLUMNS, Value
from sluice.generate.sales.population import Numbers, Population
from sluice.generate.sales.text import PAYMENT, Shape

MONEY = pa.decimal128(12, 2)
_TYPES = (pa.int64(), pa.int64(), pa.string(), pa.date32(), pa.int64(), MONEY, pa.int64(), MONEY)


def schema(shape: Shape) -> Any:
    types = {**dict(zip(COLUMNS, _TYPES, strict=True)), PAYMENT: pa.string()}
    return pa.schema([(name, types[name]) for name in shape.columns])


def table(people: Population, shape: Shape, rows: Rows) -> Any:
    """The rows as a table of the shape's columns."""
    columns = {
        "customer_id": lambda: pa.array(people.customers[rows.customer]),
        "store_id": lambda: pa.array(people.pair_store[rows.pair]),
        "product_name": lambda: pa.array(people.products).take(pa.array(rows.product)),
        "sales_date": lambda: pa.array(np.array(shape.dates, "datetime64[D]")[rows.days_ago]),
        "sales_person_id": lambda: pa.array(people.pair_seller[rows.pair]),
        "price": lambda: money(people.prices[rows.product, rows.price]),
        "quantity": lambda: pa.array(rows.quantity.astype(np.int64)),
        "total_cost": lambda: money(rows.total_cents(people)),
        PAYMENT: lambda: pa.array(PAYMENTS).take(pa.array(rows.payment)),
    }
    return pa.table([columns[name]() for name in shape.columns], schema=schema(shape))


def one_row(shape: Shape, row: Mapping[str, Value]) -> Any:
    return pa.Table.from_pylist([dict(row)], schema=schema(shape))


def money(cents: Numbers) -> Any:
    """Cents, not negative, as decimals: their 128 bits are written directly, since Arrow has no cast that moves the point.

    >>> money(np.array([1250, 5])).to_pylist()
    [Decimal('12.50'), Decimal('0.05')]
    """
    words = np.zeros((len(cents), 2), "<i8")
    words[:, 0] = cents
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(words)])
