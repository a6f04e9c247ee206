"""One suite asked from several threads at once: every answer is that of its own frame."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from include.contract import Bound
from include.domains.transactions.feeds import TRANSACTIONS
from include.quality.suite import UNREADABLE, looked_at, suite_of


def frame(rows: int, unreadable: int) -> pd.DataFrame:
    values = {name: pd.Series(["1"] * rows, dtype="category") for name in suite_of(TRANSACTIONS.contract).columns}
    values[UNREADABLE] = pd.Series(["x"] * unreadable + [None] * (rows - unreadable), dtype="category")
    values |= {looked_at(rule): pd.Series([1] * rows) for rule in suite_of(TRANSACTIONS.contract).rules if isinstance(rule.of, Bound)}
    return pd.DataFrame(values)


def test_threads_of_one_process_ask_one_suite_at_once() -> None:
    frames = [frame(200 + 7 * n, n) for n in range(12)]
    suite = suite_of(TRANSACTIONS.contract)
    unreadable = suite.rules[0]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(suite.failing, frames))
    assert [len(found[unreadable]) for found in answers] == list(range(12))
    assert all(np.array_equal(found[unreadable], np.arange(n)) for n, found in enumerate(answers))
