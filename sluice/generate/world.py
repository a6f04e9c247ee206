"""Who buys where, and for how much: the fixed population that synthetic rows are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GENDERS = ("F", "M", "E", "U")
_GENDER_SHARES = (0.545, 0.449, 0.004, 0.002)
_AGES = ("0", "1", "2", "3", "4", "5", "6")
_AGE_SHARES = (0.005, 0.1, 0.315, 0.245, 0.185, 0.105, 0.045)
_ZIP = "28007"

THRIFTY_SHARE = 0.03  # buy often and cheaply: what UPGRADE and CHILD look for
WAVERING_SHARE = 0.01  # their gender differs between rows
UNWEIGHTED_SHARE = 0.05  # pairs without a row in CustomerImportance


@dataclass(frozen=True)
class Kind:
    """A kind of merchant.

    Attributes:
        types: its transaction types; the first is the usual one.
        merchants: how many there are.
        share: of all rows, together.
        mean: the usual amount, in cents.
        reach: the share of customers who ever go there.
        male_pull: how much likelier a man is a customer there than a woman.
    """

    types: tuple[str, ...]
    merchants: int
    share: float
    mean: float
    reach: float
    male_pull: float = 1.0


_KINDS = (
    Kind(("sl_transport", "sl_parking"), 1, 0.50, 2700, 0.95),
    Kind(("sl_transport",), 1, 0.33, 2700, 0.97),
    Kind(("sl_food", "sl_hyper", "sl_home"), 4, 0.06, 3700, 0.7, 1.4),
    Kind(("sl_health", "sl_wellness"), 8, 0.04, 10_300, 0.5, 0.7),
    Kind(("sl_bars",), 6, 0.025, 4300, 0.5, 1.25),
    Kind(("sl_tech", "sl_leisure"), 8, 0.018, 9900, 0.3, 2.0),
    Kind(("sl_fashion",), 8, 0.015, 6500, 0.3, 0.5),
    Kind(("sl_sports", "sl_contents"), 8, 0.008, 8000, 0.2, 1.1),
    Kind(("sl_travel",), 6, 0.004, 66_900, 0.1),
)
_TYPE_SHARES = ((1.0,), (0.8, 0.2), (0.7, 0.2, 0.1))


@dataclass(frozen=True)
class World:
    """Arrays over customers and merchants, from which rows are drawn by number.

    Attributes:
        customers: the text of a row from customer to zipcodeOri; the second half with the other gender.
        names: customer ids, as they stand in CustomerImportance.
        merchants: merchant ids, likewise.
        types: all (merchant, type) pairs: the text of a row from merchant to category.
        merchant_steps, customer_steps, type_steps: cumulative shares; a uniform number finds its place in them.
        first_type: where a merchant's types begin.
        level: a customer's price level; mean: a (merchant, type)'s usual amount in cents.
        wavers: whether a customer's gender differs between rows.
        unweighted: whether a (merchant, customer) pair has no row in CustomerImportance.
    """

    customers: list[str]
    names: list[str]
    merchants: list[str]
    types: list[str]
    type_names: list[str]
    merchant_steps: NDArray[np.float64]
    customer_steps: NDArray[np.float64]
    type_steps: NDArray[np.float64]
    first_type: NDArray[np.int64]
    level: NDArray[np.float64]
    mean: NDArray[np.float64]
    wavers: NDArray[np.bool_]
    unweighted: NDArray[np.bool_]

    @classmethod
    def of(cls, seed: int, customers: int) -> World:
        """The population of a seed; it does not depend on the number of rows drawn from it."""
        random = np.random.default_rng([seed, 0])
        gender = random.choice(len(GENDERS), customers, p=_GENDER_SHARES)
        thrifty = random.random(customers) < THRIFTY_SHARE
        kinds = [kind for kind in _KINDS for _ in range(kind.merchants)]
        shares = np.array([kind.share / kind.merchants for kind in kinds]) * random.uniform(0.7, 1.3, len(kinds))
        names = _ids(random, "SC", customers)
        merchants = _ids(random, "SM", len(kinds))
        ages = random.choice(_AGES, customers, p=_AGE_SHARES)
        other = np.where(gender == 0, 1, 0)
        return cls(
            customers=[
                f"'{name}','{age}','{GENDERS[sex]}','{_ZIP}'"
                for genders in (gender, other)
                for name, age, sex in zip(names, ages, genders, strict=True)
            ],
            names=names,
            merchants=merchants,
            types=[f"'{name}','{_ZIP}','{kind}'" for name, its in zip(merchants, kinds, strict=True) for kind in its.types],
            type_names=[kind for its in kinds for kind in its.types],
            merchant_steps=_steps(shares),
            customer_steps=_offset(_clientele(random, kinds, gender, thrifty)),
            type_steps=np.concatenate([at + _steps(np.array(_TYPE_SHARES[len(its.types) - 1])) for at, its in enumerate(kinds)]),
            first_type=np.cumsum([0, *(len(its.types) for its in kinds[:-1])]),
            level=np.where(thrifty, 0.65, 1.0) * random.lognormal(0, 0.08, customers),
            mean=np.array([its.mean * (1 + 0.4 * at) for its in kinds for at in range(len(its.types))]),
            wavers=random.random(customers) < WAVERING_SHARE,
            unweighted=random.random((len(kinds), customers)) < UNWEIGHTED_SHARE,
        )


def _ids(random: np.random.Generator, prefix: str, count: int) -> list[str]:
    """Distinct ids that no BankSim id equals: theirs begin with a single letter."""
    numbers = random.choice(2 * 10**9, count, replace=False, shuffle=False) if count < 10**5 else 10**6 + random.permutation(count)
    return [f"{prefix}{number}" for number in numbers.tolist()]


def _clientele(
    random: np.random.Generator, kinds: list[Kind], gender: NDArray[np.int64], thrifty: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """How much of a merchant's trade each customer makes: rows are merchants, and sum to 1."""
    activity = random.gamma(6, 1 / 6, gender.size) * np.where(thrifty, 1.7, 1.0)
    reach = np.array([kind.reach for kind in kinds])[:, None]
    pull = np.array([kind.male_pull for kind in kinds])[:, None]
    odds = np.minimum(1.0, reach * np.where(gender == 1, pull, 1.0))
    goes = random.random((len(kinds), gender.size)) < odds
    goes[:, 0] = True  # no merchant is without a customer
    trade = np.where(goes, activity, 0.0)
    shares: NDArray[np.float64] = trade / trade.sum(axis=1, keepdims=True)
    return shares


def _steps(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    steps: NDArray[np.float64] = np.cumsum(shares / shares.sum())
    steps[-1] = 1.0
    return steps


def _offset(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulative shares of each row, moved up by the row's number: one sorted array for all rows."""
    steps = np.cumsum(shares, axis=1)
    steps /= steps[:, -1:]
    steps[:, -1] = 1.0
    offset: NDArray[np.float64] = steps + np.arange(len(steps))[:, None]
    return offset.ravel()
