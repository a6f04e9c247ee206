"""The rows of a file, as numbers of who and what; text is made of them later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.generate.sales.faults import About, OddRows
from sluice.generate.sales.plan import FactFile
from sluice.generate.sales.population import (
    FIRST_PRICE,
    GUEST,
    MOST_QUANTITY,
    MOVED,
    NEW_PRICE,
    PLACES,
    PRICES,
    STRANGE_PRICE,
    Numbers,
    Population,
)

BLOCK = 1 << 17
_GUESTS_IN_256 = 8
_ODD_EVERY = 500
_DAYS_AGO = np.repeat(np.array([0, 1, 2], np.int8), [200, 40, 16])  # a file holds sales of its date and of the two before
DATES = 3
_DEFAULT_PAY, PAYMENTS = 0, ("cash", "card", "UPI", None)


@dataclass(frozen=True)
class Rows:
    """Some rows of a file, in its order, beginning at row `first` (from 0).

    Attributes:
        days_ago: how long before the file's date they were sold.
        price: which of the product's prices.
        payment: what an extra column says, by number in PAYMENTS.
    """

    first: int
    customer: NDArray[np.int32]
    pair: NDArray[np.int32]
    product: NDArray[np.int32]
    days_ago: NDArray[np.int8]
    price: NDArray[np.int8]
    quantity: NDArray[np.int8]
    payment: NDArray[np.int8]

    @property
    def sale(self) -> NDArray[np.int32]:
        """What was sold at which price and how often, as one number: below products x PRICES x MOST_QUANTITY."""
        return (self.product * PRICES + self.price) * MOST_QUANTITY + (self.quantity - 1)

    def total_cents(self, people: Population) -> Numbers:
        totals: Numbers = people.prices[self.product, self.price] * self.quantity
        return totals

    def __len__(self) -> int:
        return len(self.customer)


def dates(file: FactFile) -> list[dt.date]:
    """The dates a file's rows may have, by days ago."""
    return [file.day - dt.timedelta(days=ago) for ago in range(DATES)]


def rows_of(file: FactFile, people: Population, *, faults: bool) -> Iterator[Rows]:
    """A file's rows, a block at a time; each block has a random generator of its own."""
    odd_rows = _OddRows(file, people) if faults else None
    for block, first in enumerate(range(0, file.rows, BLOCK)):
        random = np.random.default_rng([people.seed, 2, file.number, file.version, block])
        yield _block(file, people, random, first, min(BLOCK, file.rows - first), odd_rows)


def _block(file: FactFile, people: Population, random: np.random.Generator, first: int, count: int, odd_rows: _OddRows | None) -> Rows:
    sizes = people.sizes
    customer = people.liked_customers[random.integers(0, people.liked_customers.size, count, np.int32)]
    product = people.liked_products[random.integers(0, people.liked_products.size, count, np.int32)]
    seller = random.integers(0, people.sellers, count, np.int32)
    if file.about is About.LATE:  # the last seller of each store sells everything
        seller = seller // np.int32(sizes.sellers) * np.int32(sizes.sellers) + np.int32(sizes.sellers - 1)
    dice = random.integers(0, 256, (3, count), np.uint8)
    days_ago = _DAYS_AGO[dice[0]]
    place = np.where(dice[1] < _GUESTS_IN_256, GUEST, np.where(_since(file, people.move_day, days_ago) & people.moves[seller], MOVED, 0))
    quantity = (dice[2] % MOST_QUANTITY + 1).astype(np.int8)
    payment = (dice[1] % len(PAYMENTS)).astype(np.int8)
    pair = (seller * PLACES + place).astype(np.int32)
    price = np.full(count, FIRST_PRICE, np.int8)
    if odd_rows is not None:
        odd_rows.plant(first, customer, pair, product, days_ago, quantity)
    price[_since(file, people.change_day, days_ago) & people.changes[product]] = NEW_PRICE
    if odd_rows is not None:
        price[odd_rows.strange(first, count)] = STRANGE_PRICE
    return Rows(first, customer, pair, product, days_ago, price, quantity, payment)


def _since(file: FactFile, day: dt.date, days_ago: NDArray[np.int8]) -> NDArray[np.bool_]:
    since: NDArray[np.bool_] = days_ago <= (file.day - day).days
    return since


class _OddRows:
    """Where a file's odd_rows rows are. They take the place of drawn ones; every kind is there equally often."""

    def __init__(self, file: FactFile, people: Population) -> None:
        kinds = list(OddRows)
        random = np.random.default_rng([people.seed, 3, file.number, file.version])
        rounds = max(1, file.rows // _ODD_EVERY // len(kinds))
        at = random.permutation(file.rows)[: rounds * len(kinds)].reshape(rounds, len(kinds))
        self._at = dict(zip(kinds, at.T, strict=True))
        self._people = people

    def plant(
        self,
        first: int,
        customer: NDArray[np.int32],
        pair: NDArray[np.int32],
        product: NDArray[np.int32],
        days_ago: NDArray[np.int8],
        quantity: NDArray[np.int8],
    ) -> None:
        people, count = self._people, len(customer)
        customer[self._here(OddRows.CUSTOMER_UNKNOWN, first, count)[0]] = people.unknown_customer
        product[self._here(OddRows.PRODUCT_UNKNOWN, first, count)[0]] = people.unknown_product
        pair[self._here(OddRows.STORE_UNKNOWN, first, count)[0]] = people.unknown_store
        pair[self._here(OddRows.SELLER_UNKNOWN, first, count)[0]] = people.unknown_seller
        for kind, tied in zip((OddRows.TIED, OddRows.TIED_TOO), people.tied, strict=True):
            rows, turn = self._here(kind, first, count)
            pair[rows], days_ago[rows] = tied, 0
            product[rows], quantity[rows] = turn % people.sizes.products, turn % MOST_QUANTITY + 1

    def strange(self, first: int, count: int) -> Numbers:
        """Rows of the block with a price that no version of the product has."""
        return self._here(OddRows.PRICE_STRANGE, first, count)[0]

    def _here(self, kind: OddRows, first: int, count: int) -> tuple[Numbers, Numbers]:
        """Which rows of the block they are, and the how-manieth of the file."""
        at = self._at[kind]
        (turn,) = np.nonzero((at >= first) & (at < first + count))
        return at[turn] - first, turn
