"""What the values of a row owe each other, as one whole number a row that an expectation can judge."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.contract import BIGINT, DATE, INSTANT, MONEY, IsProduct, NotAfterFile, RowRule, Within
from include.quality.bronze import MONEY_TYPE, cents, instants
from include.quality.distinct import Distinct, of_numbers, of_text
from include.quality.records import Ints, Mask, Rows

_FAR = 10**15  # cents: more than any amount can be, and exact in a float
_EPOCH = dt.date(1970, 1, 1)
_Read = Callable[[pa.Array], pa.Array]
_NUMBER, _AMOUNT, _DAY, _INSTANT = (rf"\A(?:{pattern})\z" for pattern in (BIGINT, MONEY, DATE, INSTANT))


def column_of(rule: RowRule) -> str:
    """How the suite calls the numbers of a rule."""
    if isinstance(rule, IsProduct):
        return f"{rule.column} - {rule.price} * {rule.quantity} in cents"
    if isinstance(rule, Within):
        return f"seconds from 1970 to {rule.column}"
    return f"days from the file's date to {rule.column}"


def derived(rule: RowRule, pieces: Sequence[Rows], dates: Sequence[dt.date | None]) -> Distinct:
    """The numbers of a rule for all rows of the pieces; null where one of the row's values says nothing.

    Args:
        dates: of the file that each piece comes from.
    """
    if isinstance(rule, IsProduct):
        return _off(rule, pieces)
    if isinstance(rule, Within):
        return of_numbers(*_numbers(pieces, rule.column, _INSTANT, _seconds))
    return _days_after(rule, pieces, dates)


def _off(rule: IsProduct, pieces: Sequence[Rows]) -> Distinct:
    """By how many cents each total is off; far more than any total can be where the product is."""
    total, total_known = _numbers(pieces, rule.column, _AMOUNT, _cents)
    price, price_known = _numbers(pieces, rule.price, _AMOUNT, _cents)
    quantity, quantity_known = _numbers(pieces, rule.quantity, _NUMBER, _whole)
    far = np.abs(price.astype(np.float64) * quantity) > _FAR
    off = np.where(far, _FAR, total - price * np.where(far, 0, quantity))
    return of_numbers(off, total_known & price_known & quantity_known)


def _days_after(rule: NotAfterFile, pieces: Sequence[Rows], dates: Sequence[dt.date | None]) -> Distinct:
    if None in dates:
        raise ValueError(f"{rule.column} is compared with the date of its file, and these rows come from no dated file")
    day, known = _numbers(pieces, rule.column, _DAY, _days)
    file_day = np.repeat([(date - _EPOCH).days for date in dates if date], [len(rows) for rows in pieces])
    return of_numbers(np.where(known, day - file_day, 0), known)


def _numbers(pieces: Sequence[Rows], name: str, pattern: str, read: _Read) -> tuple[Ints, Mask]:
    """The values of a column as numbers, and which of them are such; 0 where one is not."""
    texts = of_text(pa.chunked_array([chunk for rows in pieces for chunk in rows.table[name].chunks]))
    fit = pc.match_substring_regex(texts.values, pattern)
    numbers = read(pc.if_else(fit, texts.values, None)).fill_null(0).to_numpy(zero_copy_only=False)
    nothing = np.zeros(texts.nulls, np.int64)
    return np.concatenate((nothing, numbers))[texts.place], np.concatenate((nothing > 0, fit.to_numpy(zero_copy_only=False)))[texts.place]


def _cents(text: pa.Array) -> pa.Array:
    return cents(text.cast(MONEY_TYPE))


def _whole(text: pa.Array) -> pa.Array:
    return text.cast(pa.int64())


def _seconds(text: pa.Array) -> pa.Array:
    """Whole seconds, rounded down: what is before a whole second stays before it."""
    return pc.floor_temporal(instants(text), unit="second").cast(pa.timestamp("s", "UTC")).cast(pa.int64())


def _days(text: pa.Array) -> pa.Array:
    return text.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
