"""The book that is kept while sales are made: exact integers of cents, by month, of what each file adds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sluice.generate.sales.draw import Rows
from sluice.generate.sales.population import PRICES, Numbers, Population

Month = str  # YYYY-MM


@dataclass
class MonthSums:
    """One month: cents and lines by customer and by (store, seller) pair."""

    customer_cents: Numbers
    customer_lines: Numbers
    pair_cents: Numbers
    pair_lines: Numbers

    @classmethod
    def empty(cls, customers: int, pairs: int) -> MonthSums:
        return cls(*(np.zeros(size, np.int64) for size in (customers, customers, pairs, pairs)))

    def add(self, other: MonthSums, sign: int) -> None:
        self.customer_cents += sign * other.customer_cents
        self.customer_lines += sign * other.customer_lines
        self.pair_cents += sign * other.pair_cents
        self.pair_lines += sign * other.pair_lines


@dataclass
class Sums:
    """What a file, or all files in force, come to; `product_lines` by product and price."""

    customers: int
    pairs: int
    product_lines: Numbers
    months: dict[Month, MonthSums] = field(default_factory=dict)

    @classmethod
    def of(cls, people: Population) -> Sums:
        """An empty book over these people."""
        return cls(len(people.customers), people.pairs, np.zeros(len(people.products) * PRICES, np.int64))

    def count(self, people: Population, rows: Rows, dates: Sequence[dt.date]) -> None:
        """Enter rows of a file with these dates, by days ago."""
        cents = rows.total_cents(people)
        np.add.at(self.product_lines, rows.product * PRICES + rows.price, 1)
        month_of = [month(date) for date in dates]
        for name in sorted(set(month_of)):
            here = np.array([of == name for of in month_of])[rows.days_ago]
            if not here.any():
                continue
            sums = self._month(name)
            of_here = slice(None) if here.all() else here
            customer, pair, spent = rows.customer[of_here], rows.pair[of_here], cents[of_here]
            np.add.at(sums.customer_cents, customer, spent)
            np.add.at(sums.customer_lines, customer, 1)
            np.add.at(sums.pair_cents, pair, spent)
            np.add.at(sums.pair_lines, pair, 1)

    def add(self, other: Sums, sign: int = 1) -> None:
        """Put a file's sums in, or take them out; a month without a line is no month."""
        self.product_lines += sign * other.product_lines
        for name, sums in other.months.items():
            self._month(name).add(sums, sign)
        self.months = {name: sums for name, sums in sorted(self.months.items()) if sums.pair_lines.any()}

    def _month(self, name: Month) -> MonthSums:
        if name not in self.months:
            self.months[name] = MonthSums.empty(self.customers, self.pairs)
        return self.months[name]


def month(day: dt.date) -> Month:
    return f"{day:%Y-%m}"
