"""Who sells what to whom, and where: the fixed world that synthetic sales are drawn from."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

FIRST_CUSTOMER, FIRST_STORE, FIRST_SELLER, FIRST_PRODUCT = 1_000_001, 101, 10_001, 1
UNKNOWN_CUSTOMER, UNKNOWN_STORE, UNKNOWN_SELLER = 9_999_999_999, 999_999, 99_999_999  # the customer needs more than 32 bits
UNKNOWN_PRODUCT = "A product that no file describes"
MOST_QUANTITY = 12

FIRST_PRICE, NEW_PRICE, STRANGE_PRICE = range(3)  # a product's prices; no version of it ever has the strange one
PRICES = 3
HOME, GUEST, MOVED = range(3)  # where a seller sells: at home, now and then elsewhere, at the new store after a move
PLACES = 3

_SKEW = 1 << 16
_GOODS = ("Rice", "Oats", "Tea", "Soap", "Café molido", "Salt", "Flour", "Honey", "Beans", "Oil", "Milk", "Juice")
_KINDS = ("plain", "large", "family pack", "organic, whole", 'the "old" kind', "two for one", "500 g", "1.5 l")


@dataclass(frozen=True)
class Sizes:
    """How many there are of each; sellers are those of one store."""

    customers: int = 50_000
    stores: int = 100
    sellers: int = 10
    products: int = 500


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: there is one of each
class Population:
    """Arrays by number. The last customer and the last product are the ones that no dimension describes.

    Attributes:
        changes: products with a new price from `change_day`; of them `late_changes` are told of in the second wave.
        moves: sellers who work at another store from `move_day`.
        late_customers: described in the second wave only.
        pair_store, pair_seller: a seller at a store, `PLACES` for each seller, then the four below.
        prices: cents, by product and price.
        liked_customers, liked_products: numbers to draw from, popular ones often.
    """

    sizes: Sizes
    seed: int
    change_day: dt.date
    move_day: dt.date
    customers: Numbers
    late_customers: NDArray[np.bool_]
    moves: NDArray[np.bool_]
    pair_store: Numbers
    pair_seller: Numbers
    products: tuple[str, ...]
    prices: Numbers
    changes: NDArray[np.bool_]
    late_changes: NDArray[np.bool_]
    liked_customers: NDArray[np.int32]
    liked_products: NDArray[np.int32]

    @property
    def sellers(self) -> int:
        return self.sizes.stores * self.sizes.sellers

    @property
    def unknown_customer(self) -> int:
        return self.sizes.customers

    @property
    def unknown_product(self) -> int:
        return self.sizes.products

    @property
    def unknown_store(self) -> int:
        """A known seller at a store that nobody described."""
        return self.sellers * PLACES

    @property
    def unknown_seller(self) -> int:
        return self.unknown_store + 1

    @property
    def tied(self) -> tuple[int, int]:
        """Two sellers of a store of their own, who always sell the same."""
        return self.unknown_store + 2, self.unknown_store + 3

    @property
    def tied_store(self) -> int:
        return FIRST_STORE + self.sizes.stores

    @property
    def pairs(self) -> int:
        return len(self.pair_store)


@functools.lru_cache(maxsize=2)
def population(sizes: Sizes, seed: int, start: dt.date, days: int, *, faults: bool) -> Population:
    """The world of a seed. With `faults` it changes while the sales are made; without, every dimension is said once."""
    random = np.random.default_rng([seed, 0])
    changes = _some(random, sizes.products, 0.1, faults)
    moves = _some(random, sizes.stores * sizes.sellers, 0.05, faults)
    return Population(
        sizes=sizes,
        seed=seed,
        change_day=start + dt.timedelta(days=days // 2),
        move_day=start + dt.timedelta(days=days // 3),
        customers=np.append(np.arange(sizes.customers) + FIRST_CUSTOMER, UNKNOWN_CUSTOMER),
        late_customers=np.append(_some(random, sizes.customers, 0.02, faults), False),
        moves=moves,
        **_pairs(random, sizes, moves),
        products=(*(_product_name(number) for number in range(sizes.products)), UNKNOWN_PRODUCT),
        prices=_prices(random, sizes.products + 1, changes),
        changes=np.append(changes, False),
        late_changes=np.append(changes & (np.cumsum(changes) % 2 == 0), False),
        liked_customers=_liked(random, sizes.customers),
        liked_products=_liked(random, sizes.products),
    )


def _some(random: np.random.Generator, count: int, share: float, wanted: bool) -> NDArray[np.bool_]:
    """Some of them, at least two; drawn also where none are wanted, so that the rest of the world stays the same."""
    chosen = np.zeros(count, dtype=np.bool_)
    drawn = random.choice(count, max(2, round(count * share)), replace=False)
    if wanted:
        chosen[drawn] = True
    return chosen


def _pairs(random: np.random.Generator, sizes: Sizes, moves: NDArray[np.bool_]) -> dict[str, Numbers]:
    home = np.arange(sizes.stores * sizes.sellers) // sizes.sellers
    guest, away = (home + 1 + random.integers(0, sizes.stores - 1, home.size) for _ in range(2))
    places = np.stack([home, guest % sizes.stores, np.where(moves, away % sizes.stores, home)], axis=1)
    sellers = np.repeat(np.arange(home.size), PLACES)
    after = FIRST_SELLER + home.size
    tied_store = FIRST_STORE + sizes.stores
    return {
        "pair_store": np.append(places.ravel() + FIRST_STORE, [UNKNOWN_STORE, FIRST_STORE, tied_store, tied_store]),
        "pair_seller": np.append(sellers + FIRST_SELLER, [FIRST_SELLER, UNKNOWN_SELLER, after, after + 1]),
    }


def _product_name(number: int) -> str:
    return f"{_GOODS[number % len(_GOODS)]} {_KINDS[number // len(_GOODS) % len(_KINDS)]} {number + FIRST_PRODUCT}"


def _prices(random: np.random.Generator, products: int, changes: NDArray[np.bool_]) -> Numbers:
    first = random.integers(99, 99_999, products)
    raised = first + 1 + first // random.integers(5, 50, products)
    new = np.where(np.append(changes, False), raised, first)
    return np.stack([first, new, first + new], axis=1)


def _liked(random: np.random.Generator, count: int) -> NDArray[np.int32]:
    """Numbers below `count`, the popular ones again and again; at least as many as there are, so that nobody is left out."""
    extra = np.minimum((count * random.random(_SKEW) ** 3).astype(np.int32), count - 1)
    order: NDArray[np.int32] = random.permutation(count).astype(np.int32)
    return np.concatenate([order, order[extra]])
