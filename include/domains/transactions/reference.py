"""CustomerImportance, aggregated: w(c, m) = the mean over transaction types of the mean Weight of (c, m, type), exactly."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import prod
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.domains.transactions.schema import REFERENCE

NANO = 10**9
_KEYS = ["merchant", "customer", "transaction_type"]
_SUMS = ["units", "nanos", "rows"]


def sums(rows: pa.Table) -> pa.Table:
    """Add up the weights of each (merchant, customer, transaction type).

    A sum is kept as whole units and nano units, so that neither overflows 64 bits: weights are below 10^9, with 9 decimals.

    Args:
        rows: accepted rows, columns as contract IMPORTANCE stores them; `weight` as text.
    """
    nano = _nano(rows.column("weight"))
    keys = [_plain(rows.column(name)) for name in _KEYS]
    table = pa.table([*keys, pa.array(nano // NANO), pa.array(nano % NANO), pa.array(np.ones(len(nano), np.int64))], names=[*_KEYS, *_SUMS])
    return _added(table)


def merged(parts: Iterable[pa.Table]) -> pa.Table:
    """Sums of several stretches of rows as one."""
    return _added(pa.concat_tables(parts))


def weights(summed: pa.Table) -> pa.Table:
    """The weight of each (merchant, customer) in nano units, rounded half to even, sorted by merchant and customer (bytes of UTF-8).

    >>> rows = {"merchant": ["m", "m", "m"], "customer": ["c", "c", "c"], "transaction_type": ["a", "a", "b"], "weight": ["1", "2", "2.1"]}
    >>> weights(sums(pa.table(rows))).to_pylist()
    [{'customer': 'c', 'merchant': 'm', 'weight_nano': 1800000000}]
    """
    ordered = summed.sort_by([(name, "ascending") for name in _KEYS]).combine_chunks()
    pairs = list(_pairs(ordered))
    merchants, customers, nano = zip(*pairs, strict=True) if pairs else ((), (), ())
    return pa.table([pa.array(customers, pa.string()), pa.array(merchants, pa.string()), pa.array(nano, pa.int64())], schema=REFERENCE)


def mean_of_means(types: Iterable[tuple[int, int]]) -> int:
    """The mean of total / count over (total, count) pairs, rounded half to even; in whole numbers, so exactly.

    >>> mean_of_means([(3, 2)]), mean_of_means([(5, 2)]), mean_of_means([(1, 1), (2, 1), (2, 3)])
    (2, 2, 1)
    """
    known = list(types)
    denominator = prod(count for _, count in known)
    numerator = sum(total * (denominator // count) for total, count in known)
    return round(Fraction(numerator, denominator * len(known)))


def _pairs(ordered: pa.Table) -> Iterator[tuple[str, str, int]]:
    columns = (ordered.column(name).to_pylist() for name in [*_KEYS, *_SUMS])
    for (merchant, customer), types in itertools.groupby(zip(*columns, strict=True), key=itemgetter(0, 1)):
        yield merchant, customer, mean_of_means((units * NANO + nanos, rows) for _, _, _, units, nanos, rows in types)


def _added(table: pa.Table) -> pa.Table:
    added = table.group_by(_KEYS).aggregate([(name, "sum") for name in _SUMS])
    return added.select([*_KEYS, *(f"{name}_sum" for name in _SUMS)]).rename_columns([*_KEYS, *_SUMS])


def _nano(texts: pa.ChunkedArray) -> np.typing.NDArray[np.int64]:
    """Weights in nano units: they are below 10^18, so the low word of a decimal holds them."""
    decimals = _plain(texts).cast(pa.decimal128(18, 9))
    words = np.frombuffer(decimals.buffers()[1], np.int64)
    return words[2 * decimals.offset : 2 * (decimals.offset + len(decimals)) : 2]


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """One array of plain text."""
    return pc.cast(column, pa.string()).combine_chunks()
